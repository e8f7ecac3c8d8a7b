"""A request until it is served: which server, how often, how long."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

from reasonbench.engines.base import EngineDeadError, EngineError
from reasonbench.engines.openai_answers import Answer
from reasonbench.engines.openai_failure import Failure, hide, pause
from reasonbench.engines.openai_http import Chunk, Wire
from reasonbench.engines.openai_pace import Pace
from reasonbench.engines.openai_requests import Request
from reasonbench.engines.openai_served import Options
from reasonbench.engines.openai_servers import Place, Server, Servers

_COPIES = 6
"""Sendings of a request beside its first one; each waits twice as long for the next."""
_QUIET = 5.0
_ALONE = 1.0
"""Seconds without any answer after which the server may stand still: then one request is sent twice
in so many seconds, to find out."""


class Attempt(NamedTuple):
    """One sending of a request.

    Attributes:
        answer: which it fills.
        chunk: told of the chunks of a streamed answer, or None.
    """

    answer: Answer
    chunk: Chunk | None = None


class _Second:
    """A second sending of a request that may be lost, beside the first one.

    Attributes:
        patience: how many times as long as usual the first one may take before.
        running: None before it was sent.
        served: whether it was.
    """

    def __init__(
        self, again: Callable[[], Coroutine[Any, Any, tuple[Answer, float]]], copy: int
    ) -> None:
        self._again = again
        self.patience = 2.0**copy
        self.served = False
        self.running: asyncio.Task[tuple[Answer, float]] | None = None

    def send(self, end: Callable[[], None]) -> None:
        """Args:
        end: ends the first one; called when this one is served.
        """

        def done(task: asyncio.Task[tuple[Answer, float]]) -> None:
            if not task.cancelled() and task.exception() is None:
                self.served = True
                end()

        self.running = asyncio.ensure_future(self._again())
        self.running.add_done_callback(done)

    def cancel(self) -> None:
        if self.running is not None:
            self.running.cancel()


class Calls:
    """Sends requests to servers until each is served once.

    Args:
        urls: base URLs.
        key: of the API, or None; it stands in no message.
        most: requests at once at each server.

    Attributes:
        equal: a request that is sent twice gets the same completion twice. Elsewhere the faster of
            two would more often be the shorter one, so none is sent beside another.
    """

    def __init__(self, urls: Sequence[str], key: str | None, options: Options, most: int) -> None:
        self.equal = False
        self._key = key
        self._options = options
        self.pace = Pace(options.timeout, options.patience)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.wire = Wire(headers, self.pace)
        self.servers = Servers(urls, most, self.wire.alive, options.outage)
        self._alone = 0.0
        # jitter alone: no result depends on it
        self._dice = random.Random()

    async def complete(
        self, request: Request, begin: Callable[[], Attempt], number: int
    ) -> tuple[Answer, float]:
        """The whole answer to a request, and the seconds since it was first sent.

        Args:
            begin: called for each sending. Several may run side by side (`_late`).
            number: requests with equal ones prefer the same server.

        Raises:
            EngineError: it is refused, or failed too often.
            EngineDeadError: no request can be served any more.
        """
        return await self._complete(request, begin, number, None, 0)

    async def _complete(
        self,
        request: Request,
        begin: Callable[[], Attempt],
        number: int,
        avoid: Server | None,
        copy: int,
    ) -> tuple[Answer, float]:
        """See `complete`.

        Args:
            avoid: the server that has the request already.
            copy: how many sendings it runs beside.
        """
        first: float | None = None
        failures = refusals = 0
        while True:
            server = await self.servers.place(number, avoid)
            place = Place(self.servers, server)
            sent = time.monotonic()
            first = sent if first is None else first
            attempt = begin()
            again = partial(self._complete, request, begin, number, server, copy + 1)
            second = _Second(again, copy) if self.equal and copy < _COPIES else None
            try:
                found = await self.wire.post(
                    f"{server.url}/{request.path}",
                    request.body,
                    failures,
                    attempt.chunk,
                    partial(self._late, place, second, sent),
                )
                if attempt.chunk is None:
                    attempt.answer.add(found)
                answer = attempt.answer.whole()
            except Failure as failure:
                if second is not None and second.served:
                    self.pace.lost()  # ended since the second one was faster
                else:
                    self._note(server, failure, sent)
                if second is not None and second.running is not None:
                    return (await second.running)[0], time.monotonic() - first
                failed = failure
            else:
                seconds = time.monotonic() - sent
                self.pace.served(seconds)
                tokens = answer.counted or len(answer.tokens) or 1
                self.servers.served(server, tokens, sent)
                return answer, time.monotonic() - first
            finally:
                place.give()
                if second is not None:
                    second.cancel()
            self._or_end(failed, failures, first)
            wait = pause(failures + refusals, failed, self._dice)
            if failed.kind == "busy":
                refusals += 1
            else:
                failures, avoid = failures + 1, server
            await asyncio.sleep(wait)

    def _late(
        self, place: Place, second: _Second | None, sent: float, end: Callable[[], None]
    ) -> bool:
        """A request takes longer than others do; whether that is all that is to be done about it.

        It may be lost, and must not hold up others: it holds no place any more. If requests were
        lost lately, while others are answered, it is sent a second time, and the answer that comes
        first is taken (Dean and Barroso 2013, "The Tail at Scale", hedged requests). It has twice
        as long while others wait for places: then nothing stands still for it.
        """
        place.give()
        if second is None:
            return True
        now, usual = time.monotonic(), self.pace.usual
        patience = usual * second.patience * (2 if self.servers.crowded else 1)
        if not self.pace.doubtful or now - sent < patience:
            return False
        if now - self.servers.answered > max(_QUIET, 2 * usual):
            if now - self._alone < _ALONE:
                return False
            self._alone = now
        second.send(end)
        return True

    def _note(self, server: Server, failure: Failure, sent: float) -> None:
        if failure.kind == "busy":
            self.servers.busy(server, sent)
        elif failure.kind in ("final", "fatal"):
            self.servers.heard(server)
        else:
            self.pace.lost()
            why = self.hidden(failure.sentence)
            self.servers.broke(server, why, dead=failure.kind == "dead")

    def _or_end(self, failure: Failure, failures: int, first: float) -> None:
        """Raise where the request is not sent again."""
        said = self.hidden(failure.sentence)
        if failure.kind == "fatal":
            raise EngineDeadError(f"the server refuses all requests ({said}).")
        if failure.kind == "final":
            raise EngineError(f"the server refused the request ({said}).")
        if failure.kind == "busy":
            quiet = time.monotonic() - max(first, self.servers.answered)
            if quiet > self._options.outage + (failure.wait or 0):
                raise EngineDeadError(f"the server has been too busy for {quiet:.0f} s ({said}).")
        # without any server the run stops as soon as that is certain; the request waits for it
        elif failures >= self._options.retries and failure.kind != "dead":
            raise EngineError(f"the server failed {failures + 1} times ({said}).")

    def hidden(self, text: str) -> str:
        """A text that may be shown and written down."""
        return hide(text, self._key)

    async def aclose(self) -> None:
        await self.servers.aclose()
        await self.wire.aclose()
