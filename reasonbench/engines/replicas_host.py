"""Where a replica's models run: serves the calls of a driver that is elsewhere.

Messages come and go in batches: whatever happened while the last batch was under way is in the
next one, so that a driver of many replicas has one message to read for each and round, not one
for each token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from reasonbench.engines.base import EngineDeadError
from reasonbench.engines.replicas_messages import (
    Ask,
    Batch,
    Cancel,
    Decide,
    Done,
    Kind,
    Message,
    Open,
    Opened,
    Told,
    Used,
    failed,
)
from reasonbench.types import Usage

BEAT = 1.0
"""Seconds after which a host says that it is there, having nothing else to say."""

_NOTHING = Usage()

Opener = Callable[[Any], Awaitable[Any]]
"""Opens an engine or a reward backend by its configuration."""


class Host:
    """Opens parts (engines, reward models) and calls their methods.

    Args:
        openers: by kind of part.
        beat: see `BEAT`.
    """

    def __init__(self, openers: Mapping[Kind, Opener], beat: float = BEAT) -> None:
        self._openers = openers
        self._beat = beat
        self._parts: dict[str, Any] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._watches: dict[int, RemoteWatch] = {}
        self._batch = Batch()
        self._news = asyncio.Event()

    async def put(self, messages: Sequence[Message]) -> None:
        """Take what the driver says; calls are served from here on, at the same time."""
        for message in messages:
            if isinstance(message, Cancel):
                if watch := self._watches.get(message.call):
                    watch.end()
                if task := self._tasks.get(message.call):
                    task.cancel()
            elif isinstance(message, Decide):
                if watch := self._watches.get(message.call):
                    watch.decide(message.told, message.at)
            else:
                task = asyncio.ensure_future(self._serve(message))
                self._tasks[message.call] = task
                task.add_done_callback(partial(self._served, message.call))

    def _served(self, call: int, _: asyncio.Future[None]) -> None:
        self._tasks.pop(call)

    async def take(self) -> Batch:
        """What has happened; waits for something to happen, but no longer than a beat."""
        if not self._news.is_set():
            waiting = asyncio.ensure_future(self._news.wait())
            await asyncio.wait({waiting}, timeout=self._beat)
            waiting.cancel()
        self._news.clear()
        batch, self._batch = self._batch, Batch()
        for call, watch in self._watches.items():
            if told := watch.news(call):
                batch.told.append(told)
        batch.used = {name: _used(part) for name, part in self._parts.items()}
        return batch

    async def aclose(self) -> None:
        """Close every part."""
        for task in list(self._tasks.values()):
            task.cancel()
        for name in list(self._parts):
            await self._parts.pop(name).aclose()

    async def _serve(self, message: Open | Ask) -> None:
        try:
            if isinstance(message, Open):
                result = await self._open(message)
            else:
                result = await self._ask(message)
        except asyncio.CancelledError:
            self._batch.cancelled.append(message.call)
        except Exception as error:  # all of them are the driver's to raise
            self._batch.failed.append(failed(message.call, error))
        else:
            self._batch.done.append(Done(message.call, result))
        self._news.set()

    async def _open(self, message: Open) -> Opened:
        part = await self._openers[message.kind](message.config)
        self._parts[message.part] = part
        places, in_flight = _places(part)
        return Opened(
            part.info, places, in_flight, part.max_model_len(), getattr(part, "notice", None)
        )

    async def _ask(self, message: Ask) -> Any:
        part = self._parts.get(message.part)
        if part is None:
            raise EngineDeadError(f"the replica has no {message.part}.")
        if message.method == "aclose":
            del self._parts[message.part]
        method = getattr(part, message.method)
        if not message.watched:
            return await method(*message.arguments)
        watch = self._watches[message.call] = RemoteWatch(self._news)
        try:
            return await method(*message.arguments, watch)
        finally:
            del self._watches[message.call]


class RemoteWatch:
    """Stands for a watch that is with the driver: see `reasonbench.engines.ending.LateWatch`.

    It collects what it is told. The completion runs on meanwhile, and is cut afterwards where the
    driver's watch ends it, so that the place does not depend on how long its answer took.
    """

    def __init__(self, news: asyncio.Event) -> None:
        self._news = news
        self._tokens: list[int] = []
        self._confidences: list[float | None] = []
        self._sent = 0
        self._heard = 0
        self._at: int | None = None
        self._last = self._asked = False
        self._decided = asyncio.Event()

    def __call__(self, token: int, confidence: float | None) -> bool:
        self._tokens.append(token)
        self._confidences.append(confidence)
        self._news.set()
        return self._at is not None

    def news(self, call: int) -> Told | None:
        """What the driver has not been told."""
        since, self._sent = self._sent, len(self._tokens)
        if since == self._sent and self._asked == self._last:
            return None
        self._asked = self._last
        tokens, confidences = self._tokens[since:], self._confidences[since:]
        return Told(call, tuple(tokens), tuple(confidences), self._last)

    def decide(self, told: int, at: int | None) -> None:
        """What the driver's watch says of the first so many tokens."""
        self._heard, self._at = told, self._at if at is None else at
        self._decided.set()

    def end(self) -> None:
        """Nobody cares any more where the completion ends."""
        self.decide(len(self._tokens), len(self._tokens) or None)

    async def settle(self) -> int | None:
        """Wait until the driver's watch has seen all; the token with which it ends, or None."""
        self._last = True
        self._news.set()
        while self._at is None and self._heard < len(self._tokens):
            self._decided.clear()
            await self._decided.wait()
        return self._at


def _places(part: Any) -> tuple[int, int]:
    """Requests that keep a part busy, and what it says itself.

    vLLM has a queue of its own; what waits there cannot be given to another replica, so it is kept
    short: a quarter of what runs at once.
    """
    in_flight: int = getattr(part, "in_flight", 256)
    config = getattr(getattr(part, "llm", None), "vllm_config", None)
    if config is None:
        return in_flight, in_flight
    running: int = config.scheduler_config.max_num_seqs
    return min(in_flight, running + max(1, running // 4)), in_flight


def _used(part: Any) -> Used:
    """See `Used`; an aborted request is reported once."""
    aborted = getattr(part, "aborted", _NOTHING)
    if aborted != _NOTHING:
        part.aborted = _NOTHING
    return Used(aborted, getattr(part, "unfinished", _NOTHING))
