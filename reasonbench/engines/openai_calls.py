"""A request until it is served: which server, how often, how long."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from reasonbench.engines.base import EngineDeadError, EngineError
from reasonbench.engines.openai_answers import Answer
from reasonbench.engines.openai_failure import Failure, hide, pause
from reasonbench.engines.openai_http import Chunk, Wire
from reasonbench.engines.openai_pace import Pace
from reasonbench.engines.openai_requests import Request
from reasonbench.engines.openai_served import Options
from reasonbench.engines.openai_servers import Place, Server, Servers


class Attempt(NamedTuple):
    """One sending of a request.

    Attributes:
        answer: which it fills.
        chunk: told of the chunks of a streamed answer, or None.
    """

    answer: Answer
    chunk: Chunk | None = None


class Calls:
    """Sends requests to servers until each is served once.

    Args:
        urls: base URLs.
        key: of the API, or None; it stands in no message.
        most: requests at once at each server.
    """

    def __init__(self, urls: Sequence[str], key: str | None, options: Options, most: int) -> None:
        self._key = key
        self._options = options
        self.pace = Pace(options.timeout, options.patience)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.wire = Wire(headers, self.pace)
        self.servers = Servers(urls, most, self.wire.alive, options.outage)
        # jitter alone: no result depends on it
        self._dice = random.Random()

    async def complete(
        self, request: Request, begin: Callable[[], Attempt], number: int
    ) -> tuple[Answer, float]:
        """The whole answer to a request, and the seconds since it was first sent.

        Args:
            begin: called for each sending.
            number: requests with equal ones prefer the same server.

        Raises:
            EngineError: it is refused, or failed too often.
            EngineDeadError: no request can be served any more.
        """
        first: float | None = None
        failures = refusals = 0
        avoid: Server | None = None
        while True:
            server = await self.servers.place(number, avoid)
            place = Place(self.servers, server)
            sent = time.monotonic()
            first = sent if first is None else first
            attempt = begin()
            try:
                found = await self.wire.post(
                    f"{server.url}/{request.path}",
                    request.body,
                    failures,
                    attempt.chunk,
                    place.give,  # what takes that long may be lost, and must not hold up others
                )
                if attempt.chunk is None:
                    attempt.answer.add(found)
                answer = attempt.answer.whole()
            except Failure as failure:
                self._note(server, failure, sent)
                failed = failure
            else:
                seconds = time.monotonic() - sent
                self.pace.served(seconds)
                tokens = answer.counted or len(answer.tokens) or 1
                self.servers.served(server, tokens, sent)
                return answer, time.monotonic() - first
            finally:
                place.give()
            self._or_end(failed, failures, first)
            wait = pause(failures + refusals, failed, self._dice)
            if failed.kind == "busy":
                refusals += 1
            else:
                failures, avoid = failures + 1, server
            await asyncio.sleep(wait)

    def _note(self, server: Server, failure: Failure, sent: float) -> None:
        if failure.kind == "busy":
            self.servers.busy(server, sent)
        elif failure.kind in ("final", "fatal"):
            self.servers.heard(server)
        else:
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
