"""The engine of a server, with a count of what it is serving."""

from __future__ import annotations

from collections.abc import Sequence

from reasonbench.engines.base import Engine, Watch
from reasonbench.types import Completion, Message, Prompt, RequestKey, SamplingParams, Usage


class Counted:
    """An engine; see `Engine`.

    Attributes:
        running: requests that it has not answered.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.running = 0
        self.info = engine.info
        self.in_flight = engine.in_flight
        self.notice = engine.notice

    @property
    def aborted(self) -> Usage:
        return self._engine.aborted

    @aborted.setter
    def aborted(self, usage: Usage) -> None:
        self._engine.aborted = usage

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
        self.running += 1
        try:
            watched = {} if watch is None else {"watch": watch}
            return await self._engine.sample(prompt, params, key, **watched)
        finally:
            self.running -= 1

    def max_model_len(self) -> int:
        return self._engine.max_model_len()

    async def aclose(self) -> None:
        await self._engine.aclose()
