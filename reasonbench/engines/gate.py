"""Keeps requests and changes of the weights apart, so that one version writes each completion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from reasonbench.engines.base import EngineDeadError, InFlight

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Request:
    """One that is running.

    Attributes:
        task: the one that runs it.
        restartable: it may be sampled again from its first token.
        restarting: it was cancelled by a push, not by whoever waits for it.
    """

    task: asyncio.Task[Any]
    restartable: bool
    restarting: bool = False


@dataclass(slots=True)
class Passage:
    """What emptying the engine took: see `Loaded`."""

    waited: float = 0.0
    restarted: int = 0


class Gate:
    """Requests pass while it is open; who changes the weights shuts it and waits for the last one.

    Attributes:
        held: it stays shut when a change ends, since the engine sleeps.
        refusing: why nothing can be served until weights are loaded, or None.
    """

    def __init__(self) -> None:
        self.held = False
        self.refusing: str | None = None
        self._running: set[_Request] = set()
        self._one_change = asyncio.Lock()
        self._opened = asyncio.Event()
        self._opened.set()
        self._empty = asyncio.Event()

    async def serve(self, ask: Callable[[], Awaitable[T]], *, restartable: bool) -> T:
        """What `ask` gives, called while the gate is open, and again after each restart.

        Args:
            ask: serves one request; cancelling it aborts the request.
            restartable: it may be cancelled and called again when weights change.

        Raises:
            EngineDeadError: see `refusing`.
        """
        task = asyncio.current_task()
        assert task is not None
        while True:
            while not self._opened.is_set():
                await self._opened.wait()
            if self.refusing is not None:
                raise EngineDeadError(self.refusing)
            request, cancelled = _Request(task, restartable), task.cancelling()
            self._running.add(request)
            try:
                return await ask()
            except asyncio.CancelledError:
                # whoever waits for the completion may have cancelled it too: then it ends
                if not request.restarting or task.uncancel() > cancelled:
                    raise
            finally:
                self._running.discard(request)
                if not self._running:
                    self._empty.set()

    @asynccontextmanager
    async def shut(self, in_flight: InFlight) -> AsyncIterator[Passage]:
        """No request runs inside the block; those that come wait for its end."""
        async with self._one_change:
            self._opened.clear()
            try:
                passage, started = Passage(), time.perf_counter()
                if in_flight == "restart":
                    passage.restarted = self._restart()
                while self._running:
                    self._empty.clear()
                    await self._empty.wait()
                passage.waited = time.perf_counter() - started
                yield passage
            finally:
                if not self.held:
                    self._opened.set()

    def refuse(self, why: str) -> None:
        """Let those that wait go, with an error: the engine was closed."""
        self.refusing = why
        self.held = False
        self._opened.set()

    def _restart(self) -> int:
        """Cancel what may be sampled again."""
        chosen = [request for request in self._running if request.restartable]
        for request in chosen:
            request.restarting = True
            request.task.cancel()
        return len(chosen)
