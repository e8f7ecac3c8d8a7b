"""Several servers of one model: who gets which request, who rests, and who is back."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from reasonbench.engines.base import EngineDeadError
from reasonbench.engines.openai_limit import Limit

_IN_A_ROW = 8
_REFUSED = 4
"""Failures in a row after which a server rests; a connection that is refused counts for several."""

_REST = 0.5
_LONGEST_REST = 30.0
"""Seconds until a resting server is asked how it is: the first time, and at most."""


class Server:
    """One base URL.

    Attributes:
        url: without a slash at its end.
        limit: how many requests it gets at once.
        in_flight: that it has now.
        failed: requests in a row.
        resting: it failed too often and gets none.
        last: what it failed with last, or "".
        waiting: those who would rather have a place here.
    """

    def __init__(self, url: str, most: int) -> None:
        self.url = url
        self.limit = Limit(most)
        self.in_flight = 0
        self.failed = 0
        self.resting = False
        self.last = ""
        self.waiting: deque[asyncio.Future[Server]] = deque()

    @property
    def free(self) -> bool:
        return not self.resting and self.in_flight < self.limit.value


class Servers:
    """Hands out places.

    A problem's requests go to the same server, where their prefix is cached, as long as it has
    places; a server that has nothing to do takes what waits for another.

    Args:
        urls: at least one.
        most: requests at once at each.
        alive: asks a server whether it is there.
        outage: seconds without any server after which the run stops.
    """

    def __init__(
        self,
        urls: Sequence[str],
        most: int,
        alive: Callable[[str], Awaitable[bool]],
        outage: float,
    ) -> None:
        self.servers = [Server(url, most) for url in urls]
        self.outage = outage
        self.answered = time.monotonic()
        self._alive = alive
        self._probes: set[asyncio.Task[None]] = set()
        self._dead: str | None = None

    async def place(self, number: int, avoid: Server | None = None) -> Server:
        """Wait for a place, and take it.

        Args:
            number: equal ones prefer the same server.
            avoid: the server at which the request failed last: another one where there is one.

        Raises:
            EngineDeadError: no server has been there for too long.
        """
        self._check()
        wanted = self.servers[number % len(self.servers)]
        if avoid is not None:
            others = [s for s in self.servers if s is not avoid and not s.resting]
            wanted = others[number % len(others)] if others else avoid
        server = wanted if wanted.free else self._idle()
        if server is not None:
            server.in_flight += 1
        else:
            server = await self._wait(wanted)
        server.limit.sending(server.in_flight, time.monotonic())
        return server

    @property
    def crowded(self) -> bool:
        """Whether requests wait for places."""
        return any(server.waiting for server in self.servers)

    async def _wait(self, wanted: Server) -> Server:
        place: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        wanted.waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.give(place.result())
            raise

    def _idle(self) -> Server | None:
        """A server that is at most half busy and has nobody waiting."""
        free = [s for s in self.servers if s.free and not s.waiting]
        found = min(free, key=lambda s: s.in_flight / s.limit.value, default=None)
        if found is None or 2 * found.in_flight > found.limit.value:
            return None
        return found

    def give(self, server: Server) -> None:
        """A place is free again."""
        server.in_flight -= 1
        self._hand_out(server)

    def _hand_out(self, server: Server) -> None:
        while server.free:
            crowd = server.waiting or max((s.waiting for s in self.servers), key=len)
            if not crowd:
                return
            place = crowd.popleft()
            if not place.done():
                server.in_flight += 1
                place.set_result(server)

    def served(self, server: Server, tokens: int, sent: float) -> None:
        """A request that was sent at a time (monotonic) gave a completion of so many tokens."""
        now = time.monotonic()
        server.limit.served(tokens, sent, now)
        self.heard(server)

    def heard(self, server: Server) -> None:
        """It answered, whatever it said."""
        server.failed = 0
        self.answered = time.monotonic()
        self._hand_out(server)

    def busy(self, server: Server, sent: float) -> None:
        """It refused a request since it has too many."""
        server.failed = 0
        server.limit.refused(sent, time.monotonic())

    def broke(self, server: Server, why: str, *, dead: bool) -> None:
        """It failed with a request, or took no connection."""
        server.failed += _REFUSED if dead else 1
        server.last = why
        if server.failed >= _IN_A_ROW and not server.resting:
            server.resting = True
            probe = asyncio.ensure_future(self._rest(server))
            self._probes.add(probe)
            probe.add_done_callback(self._probes.discard)
            for other in self.servers:
                self._hand_out(other)

    async def _rest(self, server: Server) -> None:
        """Ask a resting server how it is until it answers."""
        rest = _REST
        while True:
            await asyncio.sleep(rest)
            if await self._alive(server.url):
                break
            if self._all_gone():
                self._end(server)
                return
            rest = min(_LONGEST_REST, 2 * rest)
        # one more failure, and it rests again: its probe may answer where its model does not
        server.resting, server.failed = False, _IN_A_ROW - 1
        self._hand_out(server)

    def _all_gone(self) -> bool:
        gone = all(s.resting for s in self.servers)
        return gone and time.monotonic() - self.answered > self.outage

    def _end(self, server: Server) -> None:
        """Tell everybody who waits that there is no server."""
        where = "the server" if len(self.servers) == 1 else f"none of {len(self.servers)} servers"
        said = "did not answer" if len(self.servers) == 1 else "answered"
        self._dead = f"{where} {said} for {self.outage:g} s ({server.url}: {server.last})."
        for each in self.servers:
            while each.waiting:
                place = each.waiting.popleft()
                if not place.done():
                    place.set_exception(EngineDeadError(self._dead))

    def _check(self) -> None:
        if self._dead is not None:
            raise EngineDeadError(self._dead)

    async def aclose(self) -> None:
        """Ask no server any more."""
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)


class Place:
    """One that was taken, and is given back once."""

    def __init__(self, servers: Servers, server: Server) -> None:
        self._servers = servers
        self._server: Server | None = server

    def give(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            self._servers.give(server)
