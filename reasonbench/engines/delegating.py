"""An engine in front of another one: what it does not change itself, the other one does."""

from __future__ import annotations

from collections.abc import Sequence

from reasonbench.engines.base import Engine, Watch
from reasonbench.engines.needs import Needs
from reasonbench.types import Completion, Message, Prompt, RequestKey, SamplingParams, Usage


class Delegating:
    """See `reasonbench.engines.base.Engine`; subclasses override what they are there for.

    Args:
        engine: which does the work, and is closed with this one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.info = engine.info
        self.in_flight = engine.in_flight
        self.notice = engine.notice

    @property
    def aborted(self) -> Usage:
        """The other one's, which counts what nobody waited for."""
        return self._engine.aborted

    @aborted.setter
    def aborted(self, usage: Usage) -> None:
        self._engine.aborted = usage

    def lacks(self, needs: Needs) -> str | None:
        """The first thing that is needed and the other one does not give, or None."""
        lacks = getattr(self._engine, "lacks", None)
        why: str | None = None if lacks is None else lacks(needs)
        return why

    def render(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool | None = None,
        chat: bool | None = None,
    ) -> Prompt:
        return self._engine.render(messages, thinking=thinking, chat=chat)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._engine.encode(text)

    def decode(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        return self._engine.decode(before, tokens)

    async def sample(
        self, prompt: Prompt, params: SamplingParams, key: RequestKey, watch: Watch | None = None
    ) -> Completion:
        # engines that never stop early need not know what a watch is
        watched = {} if watch is None else {"watch": watch}
        return await self._engine.sample(prompt, params, key, **watched)

    def max_model_len(self) -> int:
        return self._engine.max_model_len()

    async def aclose(self) -> None:
        await self._engine.aclose()
