"""Where a completion ends that its pattern or its watch ends, whatever the batching.

An engine feeds every token, one at a time, so the place depends on the tokens alone: not on how
many of them arrive together, nor on how far the engine has run ahead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol, runtime_checkable

from reasonbench.engines.base import EngineError, Watch
from reasonbench.types import Finish, SamplingParams

Decode = Callable[[Sequence[int], Sequence[int]], str]
"""The text of tokens (second) behind others (first); see `Decoder.decode`."""


@runtime_checkable
class LateWatch(Protocol):
    """A watch whose verdict comes late, from another machine: the completion runs on meanwhile."""

    async def settle(self) -> int | None:
        """Wait for the verdict on all tokens: with how many of them it ends, or None."""
        ...


_HELD = 8
"""Tokens that may wait for a character to become whole: it takes at most four."""

_BROKEN = "\ufffd"


class Ending:
    """Follows one completion.

    Attributes:
        at: how many tokens the completion keeps once it is ended, else None.
        finish, stop_reason: how it ended then: "stop" by the pattern, "aborted" by the watch.
    """

    def __init__(self, params: SamplingParams, watch: Watch | None, decode: Decode) -> None:
        """Raises:
        EngineError: the pattern is no regular expression.
        """
        self._pattern = None if params.stop_pattern is None else _compiled(params.stop_pattern)
        self._watch = watch
        self._decode = decode
        self._before: list[int] = []
        self._held: list[int] = []
        self._text = ""
        self._count = 0
        self.at: int | None = None
        self.finish: Finish = "aborted"
        self.stop_reason: str | None = None

    def feed(self, token: int, confidence: float | None = None) -> bool:
        """Whether the completion ends with this token. Not to be fed any further then.

        Args:
            confidence: of the token, where the request asked for `top_logprobs`.
        """
        self._count += 1
        # the watch sees every token, also that in which a match ends
        watched = self._watch is not None and self._watch(token, confidence)
        if self._pattern is not None and self._matches(token, self._pattern):
            self.at, self.finish, self.stop_reason = self._count, "stop", self._pattern.pattern
        elif watched:
            self.at = self._count
        return self.at is not None

    async def settle(self) -> None:
        """Cut the completion, now that it has ended, where a late watch ends it."""
        if not isinstance(self._watch, LateWatch):
            return
        at = await self._watch.settle()
        if at is not None and (at, "stop") != (self.at, self.finish):
            self.at, self.finish, self.stop_reason = at, "aborted", None

    def _matches(self, token: int, pattern: re.Pattern[str]) -> bool:
        """Whether the text so far holds a match; half a character is not looked at."""
        self._held.append(token)
        piece = self._decode(self._before, self._held)
        if piece.endswith(_BROKEN) and len(self._held) < _HELD:
            return False
        self._text += piece
        self._before, self._held = [*self._before, *self._held][-_HELD:], []
        return pattern.search(self._text) is not None


def ending(params: SamplingParams, watch: Watch | None, decode: Decode) -> Ending | None:
    """What follows a request's tokens; None where only the model, a stop string or a limit end it.

    Raises:
        EngineError: the pattern is no regular expression.
    """
    if params.stop_pattern is None and watch is None:
        return None
    return Ending(params, watch, decode)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise EngineError(f"{pattern!r} is no regular expression: {error}.") from error
