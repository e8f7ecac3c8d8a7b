"""Money: what requests that are paid for by the token have cost so far, and when that is enough."""

from __future__ import annotations

import asyncio

from reasonbench.costs import TokenPrices
from reasonbench.engines.base import Engine, Watch
from reasonbench.engines.delegating import Delegating
from reasonbench.types import Completion, Prompt, RequestKey, SamplingParams, Usage


class Spending:
    """What a command may spend, all its models and their reward together.

    Attributes:
        limit: US dollars.
        dollars: spent so far.
        reached: set as soon as these are the limit or more.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.dollars = 0.0
        self.reached = asyncio.Event()

    @property
    def left(self) -> float:
        """US dollars, ≥ 0."""
        return max(0.0, self.limit - self.dollars)

    @property
    def why(self) -> str:
        """What the user is told when it is reached."""
        return f"--max-usd {self.limit:g}"

    def add(self, dollars: float) -> None:
        """So much more was spent."""
        self.dollars += dollars
        if self.dollars >= self.limit:
            self.reached.set()


class Billed(Delegating):
    """An engine that tells what its completions cost.

    A request that comes when the limit is reached is not sent: it waits until it is cancelled by
    whoever watches `Spending.reached`.
    """

    def __init__(self, engine: Engine, prices: TokenPrices, spending: Spending) -> None:
        super().__init__(engine)
        self._prices = prices
        self._spending = spending
        self._aborted = engine.aborted

    async def sample(
        self, prompt: Prompt, params: SamplingParams, key: RequestKey, watch: Watch | None = None
    ) -> Completion:
        if self._spending.reached.is_set():
            await asyncio.Event().wait()
        try:
            made = await super().sample(prompt, params, key, watch)
        finally:
            self._spending.add(self._of_aborted())
        self._spending.add(self._dollars(_counted(prompt, params, made)))
        return made

    def _of_aborted(self) -> float:
        """What was aborted since the last look, as far as its tokens are known."""
        before, self._aborted = self._aborted, self.aborted
        return self._dollars(self._aborted) - self._dollars(before)

    def _dollars(self, used: Usage) -> float:
        # every request pays for its whole prompt, whatever is cached
        sent = used.prompt_tokens + used.cached_tokens
        return sent * self._prices.prompt + used.decode_tokens * self._prices.decoded


def _counted(prompt: Prompt, params: SamplingParams, made: Completion) -> Usage:
    """The tokens of a completion. Those that nobody counted are taken for the most there can be.

    No token is shorter than a byte, and no completion longer than its limit.
    """
    used = made.usage
    sent = used.prompt_tokens + used.cached_tokens or len(prompt.text.encode(errors="replace"))
    return Usage(prompt_tokens=sent, decode_tokens=used.decode_tokens or params.max_tokens)
