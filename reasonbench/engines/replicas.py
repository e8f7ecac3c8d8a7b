"""Several replicas of the same models: requests are routed, and replayed where one is lost.

A request that was given to a replica is answered by it, or goes to another one when the replica is
lost (its process died, its model died, it gives no sign of life). Nobody else sees an answer, so
nothing is lost and nothing counts twice. A replica that is lost is started anew, so often. Where
replicas run is the matter of a `Link`; see `reasonbench.engines.ray`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reasonbench.engines.base import EngineDeadError, Watch
from reasonbench.engines.replicas_connection import (
    PATIENCE,
    Connection,
    Link,
    LinkError,
    ReplicaLostError,
    Watching,
)
from reasonbench.engines.replicas_messages import Kind, Opened
from reasonbench.engines.replicas_routing import Router
from reasonbench.errors import UsageError
from reasonbench.types import Usage

T = TypeVar("T")

RESTARTS = 3
"""How often a replica that was lost is started anew."""

Start = Callable[[int], Awaitable[Link]]
"""Starts the host of a replica by its number, or raises UsageError or LinkError."""

Restore = Callable[[Connection], Awaitable[None]]
"""Brings a part that was opened anew into the state that it had."""


@dataclass(slots=True)
class _Part:
    """A model that every replica has.

    Attributes:
        kind, config: as it is opened.
        router: of its requests.
        used: told what no completion says.
        restore: see `Restore`; None where opening is enough.
    """

    kind: Kind
    config: Any
    router: Router
    used: Callable[[Usage], None]
    restore: Restore | None = None


@dataclass(slots=True)
class Losses:
    """What went wrong so far.

    Attributes:
        lost: replicas that were lost; one that was lost twice counts twice.
        replayed: requests that were given to another replica, or again to the same.
        restarted: replicas that came back.
        why: of the last loss.
    """

    lost: int = 0
    replayed: int = 0
    restarted: int = 0
    why: str = ""

    def sentence(self) -> str | None:
        """What the user should know, or None where nothing went wrong."""
        if not self.lost:
            return None
        replicas = "1 replica was lost" if self.lost == 1 else f"{self.lost} replicas were lost"
        requests = "1 request was" if self.replayed == 1 else f"{self.replayed} requests were"
        return (
            f"{replicas} ({self.why}), {self.restarted} of them came back; {requests} sent again."
        )


@dataclass(slots=True)
class _Replica:
    """One of them.

    Attributes:
        connection: None while it is down.
        restarts: how often it was started anew.
        gone: it will not be again.
    """

    connection: Connection | None = None
    restarts: int = 0
    gone: bool = False


@dataclass(slots=True)
class Replicas:
    """So many hosts with the same parts. Made by `start_replicas`.

    Attributes:
        losses: see there.
        routers: by part.
        ended: called when all have ended, or None.
    """

    start: Start
    count: int
    restarts: int = RESTARTS
    patience: float = PATIENCE
    losses: Losses = field(default_factory=Losses)
    ended: Callable[[], Awaitable[None]] | None = None
    _parts: dict[str, _Part] = field(default_factory=dict)
    _replicas: list[_Replica] = field(default_factory=list)
    _restarting: set[asyncio.Task[None]] = field(default_factory=set)
    _closed: bool = False

    @property
    def routers(self) -> dict[str, Router]:
        return {name: part.router for name, part in self._parts.items()}

    async def open(
        self, name: str, kind: Kind, config: Any, used: Callable[[Usage], None]
    ) -> list[Opened]:
        """Load a model on every replica; returns what each says of it.

        Args:
            used: told what requests used that were cancelled, or lost with their replica.

        Raises:
            UsageError: it cannot be opened on one of them, or a replica is lost meanwhile.
        """
        await self._settled()
        part = self._parts[name] = _Part(kind, config, Router(self.count), used)
        try:
            opened = await _all(self._open_on(index, name, part) for index in range(self.count))
        except ReplicaLostError as error:
            raise UsageError(f"a replica did not start: {error}.") from error
        for index, one in enumerate(opened):
            # a replica that was lost behind the others' backs comes up when it is back
            if self._replicas[index].connection is not None and not part.router.replicas[index].up:
                part.router.rise(index, one.places)
        return opened

    async def launch(self) -> None:
        """Start all hosts.

        Raises:
            UsageError: one of them does not start.
        """
        self._replicas = [_Replica() for _ in range(self.count)]

        async def one(index: int) -> None:
            self._replicas[index].connection = await self._launch(index)

        try:
            await _all(one(index) for index in range(self.count))
        except LinkError as error:
            raise UsageError(f"a replica did not start: {error}.") from error

    async def _settled(self) -> None:
        """Wait until every replica that was lost is back, or gone."""
        while self._restarting:
            await asyncio.wait(set(self._restarting))

    async def _open_on(self, index: int, name: str, part: _Part) -> Opened:
        connection = self._replicas[index].connection
        if connection is None:
            raise ReplicaLostError(self.losses.why or "it was lost")
        return await connection.open(name, part.kind, part.config)

    async def ask(
        self,
        name: str,
        problem: Hashable,
        method: str,
        *arguments: Any,
        watch: Watch | None = None,
    ) -> Any:
        """What a method of a part returns, at whichever replica.

        Args:
            problem: requests of the same one go to the same replica; see `Router`.
            watch: told every token once; see `Engine.sample`.

        Raises:
            EngineDeadError: no replica is left.
            Exception: what the method raised.
        """
        router = self._parts[name].router
        watching = None if watch is None else Watching(watch)
        again = False
        while True:
            place = await router.place(problem, first=again)
            connection = self._replicas[place.index].connection
            try:
                if connection is None:
                    raise ReplicaLostError("it is down")
                return await connection.ask(name, method, *arguments, watching=watching)
            except EngineDeadError as error:  # its model died, and the replica goes with it
                if connection is not None:
                    connection.lose(str(error).rstrip("."))
            except ReplicaLostError:
                pass
            finally:
                place.give()
            again = True
            self.losses.replayed += 1

    async def everywhere(
        self, name: str, method: str, *arguments: Any, restore: Restore | None = None
    ) -> list[Any]:
        """What a method of a part returns at every replica that is up.

        Args:
            restore: what brings a replica into the same state that is started later.

        Raises:
            EngineDeadError: no replica is left.
            Exception: what the method raised.
        """
        if restore is not None:
            self._parts[name].restore = restore
        await self._settled()  # none may come up with what was before
        up = [replica.connection for replica in self._replicas if replica.connection is not None]
        results = await asyncio.gather(
            *(connection.ask(name, method, *arguments) for connection in up),
            return_exceptions=True,
        )
        found = []
        for connection, result in zip(up, results, strict=True):
            if isinstance(result, EngineDeadError):
                connection.lose(str(result).rstrip("."))
            elif isinstance(result, ReplicaLostError):
                continue
            elif isinstance(result, BaseException):
                raise result
            else:
                found.append(result)
        if found:
            return found
        if self._restarting:
            return await self.everywhere(name, method, *arguments)
        raise EngineDeadError(self._why_dead())

    async def close_part(self, name: str) -> None:
        """Free a model on every replica; the others stay."""
        part = self._parts.pop(name, None)
        if part is None or self._closed:
            return
        part.router.end(EngineDeadError("the engine was closed."))
        up = [replica.connection for replica in self._replicas if replica.connection is not None]
        await asyncio.gather(
            *(connection.ask(name, "aclose") for connection in up), return_exceptions=True
        )

    async def aclose(self) -> None:
        """End every replica. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        for task in self._restarting:
            task.cancel()
        await asyncio.gather(*self._restarting, return_exceptions=True)
        for part in self._parts.values():
            part.router.end(EngineDeadError("the engine was closed."))
        up = [replica.connection for replica in self._replicas if replica.connection is not None]
        await asyncio.gather(*(connection.aclose() for connection in up), return_exceptions=True)
        if self.ended is not None:
            await self.ended()

    async def _launch(self, index: int) -> Connection:
        """Start a replica's host, and speak to it.

        Raises:
            UsageError, LinkError: it cannot be started.
        """
        link = await self.start(index)
        connection: Connection

        def lost(why: str) -> None:
            self._lost(index, connection, why)

        def used(part: str, usage: Usage) -> None:
            if part in self._parts:
                self._parts[part].used(usage)

        connection = Connection(link, lost, used, self.patience)
        return connection

    def _lost(self, index: int, connection: Connection, why: str) -> None:
        replica = self._replicas[index]
        if replica.connection is not connection:  # it was lost while it was being started anew
            return
        replica.connection = None
        self.losses.lost += 1
        self.losses.why = why
        for part in self._parts.values():
            if part.router.replicas[index].up:
                part.router.fall(index)
        if not self._closed:
            task = asyncio.ensure_future(self._restart(index, connection))
            self._restarting.add(task)
            task.add_done_callback(self._restarting.discard)

    async def _restart(self, index: int, before: Connection) -> None:
        """Bring a replica back, or note that it is gone for good."""
        replica = self._replicas[index]
        await before.kill()
        while replica.restarts < self.restarts:
            replica.restarts += 1
            connection = None
            try:
                connection = await self._launch(index)
                places = {}
                for name, part in list(self._parts.items()):
                    opened = await connection.open(name, part.kind, part.config)
                    if part.restore is not None:
                        await part.restore(connection)
                    places[name] = opened.places
            except asyncio.CancelledError:
                if connection is not None:
                    await connection.kill()
                raise
            except Exception as error:  # whatever it is, there are other replicas
                self.losses.why = str(error).rstrip(".")
                if connection is not None:
                    await connection.kill()
                continue
            replica.connection = connection
            self.losses.restarted += 1
            for name, number in places.items():
                if name in self._parts:
                    self._parts[name].router.rise(index, number)
            return
        replica.gone = True
        if all(one.gone for one in self._replicas):
            dead = EngineDeadError(self._why_dead())
            for part in self._parts.values():
                part.router.end(dead)

    def _why_dead(self) -> str:
        often = "" if not self.restarts else f", each {self.restarts + 1} times"
        number = "the replica" if self.count == 1 else f"all {self.count} replicas"
        return f"{number} were lost{often} (the last: {self.losses.why})."


async def start_replicas(
    start: Start, count: int, *, restarts: int = RESTARTS, patience: float = PATIENCE
) -> Replicas:
    """Start so many hosts, without any part.

    Raises:
        UsageError: one of them does not start.
    """
    replicas = Replicas(start, count, restarts, patience)
    try:
        await replicas.launch()
    except BaseException:
        await replicas.aclose()
        raise
    return replicas


async def _all(going: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Every result; the first error ends the others."""
    tasks = [asyncio.ensure_future(one) for one in going]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
