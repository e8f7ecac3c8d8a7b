"""One request to a server, from its sending to its answer. What a retry is, others decide."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from reasonbench.engines.openai_failure import Failure, in_body, of_status
from reasonbench.engines.openai_pace import Pace

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_GRACE = 3.0
_BYTES = 10_000
"""An answer is sent when it is complete, so once it has begun it comes at once: its bytes may take
this many seconds, and one more for each so many of them. What drips more slowly is given up on."""

MOST_BYTES = 1 << 28
"""Of an answer, or of one event of a stream: 20 log-probabilities at each of 100,000 tokens are a
hundred megabytes, and what goes on without end would fill the memory."""

_CONNECT = 10.0
_LOOK = 0.1

Late = Callable[[Callable[[], None]], bool]
"""Told that a request takes longer than 95 % of the others, with what ends it, again and again
until it returns True."""

Chunk = Callable[[dict[str, Any]], bool]
"""Told every chunk of a streamed answer; True ends the request."""


class _Sent(NamedTuple):
    """A request that is running: when it was sent, how often before, and who is told it is late."""

    at: float
    attempt: int
    late: Late | None


class Wire:
    """Connections to servers, kept open and shared. Closing one aborts its request there.

    Args:
        headers: of every request.
        pace: when a request is given up on.
    """

    def __init__(self, headers: dict[str, str], pace: Pace) -> None:
        from aiohttp import ClientSession, ClientTimeout, TCPConnector

        self._session: ClientSession = ClientSession(
            connector=TCPConnector(limit=0, keepalive_timeout=15),
            timeout=ClientTimeout(total=None, sock_connect=_CONNECT),
            headers={"Content-Type": "application/json", **headers},
            auto_decompress=True,
            trust_env=True,
        )
        self._pace = pace
        self._running: dict[asyncio.Timeout, _Sent] = {}
        self._looking: asyncio.Task[None] | None = None

    async def post(
        self,
        url: str,
        body: dict[str, Any],
        attempt: int,
        chunk: Chunk | None = None,
        late: Late | None = None,
    ) -> dict[str, Any]:
        """Send a request and read its answer.

        Args:
            attempt: how often it was sent before: it may take the longer.
            chunk: the answer is streamed, and this told of it; then {} is returned.
            late: told when it takes long.

        Raises:
            Failure: it was not served.
        """
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return await self._ask("POST", url, data, attempt, chunk, late)

    async def get(self, url: str) -> dict[str, Any]:
        """See `post`."""
        return await self._ask("GET", url, None, 0, None)

    async def alive(self, url: str) -> bool:
        """Whether there is a server that answers, be it with a refusal of ours."""
        try:
            async with asyncio.timeout(_CONNECT):
                await self._ask("GET", f"{url}/models", None, 0, None)
        except TimeoutError:
            return False
        except Failure as failure:
            return failure.kind in ("final", "fatal") or failure.status == 429
        return True

    async def aclose(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        await self._session.close()

    async def _ask(
        self,
        method: str,
        url: str,
        data: bytes | None,
        attempt: int,
        chunk: Chunk | None,
        late: Late | None = None,
    ) -> dict[str, Any]:
        from aiohttp import ClientConnectorError, ClientError, InvalidURL

        sent = time.monotonic()
        try:
            async with asyncio.timeout(self._pace.timeout) as clock:
                self._watch(clock, _Sent(sent, attempt, late))
                try:
                    async with self._session.request(method, url, data=data) as response:
                        return await self._read(response, chunk)
                finally:
                    self._running.pop(clock, None)
        except TimeoutError as error:
            raise Failure("broken", f"no answer after {time.monotonic() - sent:.0f} s") from error
        except InvalidURL as error:
            raise Failure("final", f"{url} is no URL") from error
        except ClientConnectorError as error:
            raise Failure("dead", f"no connection to {url} ({_reason(error)})") from error
        except (ClientError, OSError) as error:
            raise Failure("broken", f"the connection was cut ({_reason(error)})") from error

    async def _read(self, response: ClientResponse, chunk: Chunk | None) -> dict[str, Any]:
        if response.status != 200:
            body = b""
            # an error whose text is cut is the same error
            with suppress(OSError, TimeoutError, ValueError):
                body = await asyncio.wait_for(response.content.read(65536), _GRACE)
            raise of_status(response.status, body, response.headers)
        if chunk is not None and "event-stream" in response.headers.get("Content-Type", ""):
            await _stream(response, chunk)
            return {}
        found = _parsed(await _whole(response))
        if chunk is not None:
            chunk(found)
        return found

    def _watch(self, clock: asyncio.Timeout, sent: _Sent) -> None:
        """End it when it takes too long, as the pace of the others will tell."""
        self._running[clock] = sent
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            now = time.monotonic()
            for clock, sent in list(self._running.items()):
                if now - sent.at > self._pace.allowed(sent.attempt):
                    del self._running[clock]
                    _end(clock)
                elif (
                    sent.late is not None
                    and now - sent.at > self._pace.usual
                    and sent.late(partial(_end, clock))
                ):
                    self._running[clock] = sent._replace(late=None)


def _end(clock: asyncio.Timeout) -> None:
    """Give a request up, if it is still running."""
    with suppress(RuntimeError):  # it has just ended
        clock.reschedule(asyncio.get_running_loop().time())


async def _whole(response: ClientResponse) -> bytes:
    """The body of an answer. Blank bytes that keep a connection awake may come at any time."""
    found = bytearray()
    reading = response.content
    while not found:
        piece = await reading.readany()
        if not piece and reading.at_eof():
            raise Failure("broken", "the answer is empty")
        found += piece.lstrip()
    begun = asyncio.get_running_loop().time() + _GRACE
    async with asyncio.timeout_at(begun) as clock:
        while piece := await reading.readany():
            found += piece
            bounded(found)
            clock.reschedule(begun + len(found) / _BYTES)
    return bytes(found)


async def _stream(response: ClientResponse, chunk: Chunk) -> None:
    """The events of an answer. One that ends without its last event was cut."""
    rest = b""
    async for piece in response.content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        bounded(rest)
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]" or (data and chunk(_parsed(data))):
                return
    raise Failure("broken", "the answer ended before its last event")


def bounded(read: bytes | bytearray) -> None:
    """Raises:
    Failure: what was read of an answer is longer than any.
    """
    if len(read) > MOST_BYTES:
        raise Failure("broken", f"the answer has more than {MOST_BYTES:,} bytes")


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:  # the latter of brackets without end
        raise Failure("broken", "the answer is no JSON") from error
    if not isinstance(found, dict):
        raise Failure("broken", "the answer is no JSON object")
    if failure := in_body(found):
        raise failure
    return found


def _reason(error: BaseException) -> str:
    cause = getattr(error, "os_error", error)
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__).rstrip(".")
