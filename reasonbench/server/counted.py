"""The engine of a server, with a count of what it is serving."""

from __future__ import annotations

from reasonbench.engines.base import Engine, Watch
from reasonbench.engines.delegating import Delegating
from reasonbench.types import Completion, Prompt, RequestKey, SamplingParams


class Counted(Delegating):
    """An engine; see `Engine`.

    Attributes:
        running: requests that it has not answered, those that are being aborted among them.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.running = 0

    async def sample(
        self, prompt: Prompt, params: SamplingParams, key: RequestKey, watch: Watch | None = None
    ) -> Completion:
        self.running += 1
        try:
            return await super().sample(prompt, params, key, watch)
        finally:
            self.running -= 1
