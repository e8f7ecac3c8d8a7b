"""From what a server answers to tokens, text, log-probabilities and counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from reasonbench.engines.base import EngineError
from reasonbench.engines.chat import CLOSED, OPENED
from reasonbench.engines.openai_failure import Failure
from reasonbench.types import Finish

_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "eos_token": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
    "length": "length",
    "max_tokens": "length",
}


class Answer:
    """What a request has given so far: all of it at once, or chunk by chunk.

    Attributes:
        tokens: ids of those that were generated; empty where the server gives none.
        logprobs: of each; empty where the server gives none.
        confidences: −mean log-probability of the likeliest tokens, where these were asked for.
        text: of the answer.
        reasoning: thinking that came in a field of its own.
        finish: None until the request ended.
        stop_reason: the stop string that ended it, where the server says.
        prompt_tokens, cached_tokens: the prompt's, all and those read from a cache.
        tops: the most likeliest tokens that came with one token.
        counted: tokens that were generated, by the server's count: None where it gives none, or
            where thinking that is hidden is not in it.
    """

    def __init__(self, top: int = 0, *, hidden: bool = False) -> None:
        """Args:
        top: likeliest tokens that a confidence is of.
        hidden: the model thinks out of sight.
        """
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.confidences: list[float] = []
        self.text = ""
        self.reasoning = ""
        self.finish: Finish | None = None
        self.stop_reason: str | None = None
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.tops = 0
        self.counted: int | None = None
        self._top = top
        self._hidden = hidden
        self._scored = True

    def add(self, found: Mapping[str, Any]) -> None:
        """One answer, or one chunk of a streamed one.

        Raises:
            Failure: it is not what it should be.
            EngineError: the server filtered the completion.
        """
        try:
            choices = found.get("choices") or []
            if choices:
                self._choice(choices[0])
            if found.get("usage"):
                self._usage(found["usage"])
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise Failure("broken", f"the answer is not as it should be ({error!r})") from error

    def whole(self) -> Answer:
        """Itself, when nothing is missing.

        Raises:
            Failure: the answer holds no completion, or does not say how it ended.
        """
        if self.finish is None:
            raise Failure("broken", "the answer holds no finished completion")
        return self

    @property
    def unseen(self) -> bool:
        """Whether the model thought out of sight: its tokens are more than those of the text."""
        return self._hidden and not self.reasoning and not self.tokens

    @property
    def written(self) -> str:
        """The text with the thinking before it, in tags."""
        if not self.reasoning:
            return self.text
        if not self.text and self.finish != "stop":
            return f"{OPENED}\n{self.reasoning}"
        return f"{OPENED}\n{self.reasoning}\n{CLOSED}\n\n{self.text}"

    def _choice(self, choice: Mapping[str, Any]) -> None:
        said = choice.get("message") or choice.get("delta")
        if said is None:
            self.text += choice.get("text") or ""
            self.reasoning += choice.get("reasoning") or ""
        else:
            self.text += said.get("content") or said.get("refusal") or ""
            self.reasoning += said.get("reasoning_content") or said.get("reasoning") or ""
            details = said.get("reasoning_details") or []
            self._hidden |= any("encrypted" in str(part.get("type")) for part in details)
        self.tokens += map(_id, choice.get("token_ids") or [])
        if scores := choice.get("logprobs"):
            self._scores(scores)
        if (reason := choice.get("finish_reason")) is None:
            return
        if reason == "content_filter":
            raise EngineError("the server filtered the completion (finish_reason content_filter).")
        if reason not in _FINISH:
            raise Failure("broken", f"the request ended with {reason!r}")
        self.finish = _FINISH[reason]
        stopped = choice.get("stop_reason", choice.get("matched_stop"))
        self.stop_reason = stopped if isinstance(stopped, str) else None

    def _scores(self, scores: Mapping[str, Any]) -> None:
        """Of completions (`token_logprobs`), or of chats (`content`)."""
        if content := scores.get("content"):
            own = [one["logprob"] for one in content]
            tops = [[t["logprob"] for t in one.get("top_logprobs") or []] for one in content]
        else:
            own = scores.get("token_logprobs") or []
            tops = [list((one or {}).values()) for one in scores.get("top_logprobs") or []]
        # a server that has one missing says null: what is left would be another completion's mean
        self._scored &= all(map(_is_number, chain(own, *tops)))
        if not self._scored:
            self.logprobs, self.confidences = [], []
            return
        self.logprobs += own
        self.tops = max(self.tops, *map(len, tops), 0)
        if self._top:
            self.confidences += [_confidence(values, self._top) for values in tops]

    def _usage(self, usage: Mapping[str, Any]) -> None:
        self.prompt_tokens = _count(usage.get("prompt_tokens")) or 0
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        self.cached_tokens = _count(cached) or 0
        self.counted = _count(usage.get("completion_tokens"))
        details = usage.get("completion_tokens_details") or {}
        thought = _count(details.get("reasoning_tokens"))
        total = _count(usage.get("total_tokens"))
        self._hidden |= "reasoning_tokens" in details and thought != 0
        if self.unseen and not thought:
            self.counted = None  # null, nothing, or a 0 of a relay that fills in what it lacks
        elif (
            thought
            and self.counted is not None
            and (total == self.prompt_tokens + self.counted + thought)
        ):
            self.counted += thought  # some count thinking beside the completion, not in it


def _count(value: Any) -> int | None:
    """A number of tokens, which some servers write with a decimal point; None where there is none.

    Raises:
        TypeError: it is no such number.
    """
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf or value % 1:
        raise TypeError(f"{value!r} is no number of tokens")
    return int(value)


def _id(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{value!r} is no token")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and value == value


def _confidence(values: Sequence[float], top: int) -> float:
    """−mean of the largest; NaN of none."""
    largest = sorted(values, reverse=True)[:top]
    return -math.fsum(largest) / len(largest) if largest else math.nan
