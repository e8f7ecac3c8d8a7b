"""The driver's end of a replica: calls go out and answers come in, until the replica is lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from reasonbench.engines.base import EngineError, Watch
from reasonbench.engines.replicas_messages import (
    Ask,
    Batch,
    Cancel,
    Decide,
    Failed,
    Kind,
    Message,
    Open,
    Opened,
    Told,
    Used,
    raised,
)
from reasonbench.types import Usage

PATIENCE = 60.0
"""Seconds without a sign of life after which a replica counts as lost."""

_TO_ABORT = 10.0
"""Seconds that a cancelled call has to say what it used."""

_NOTHING = Used(Usage(), Usage())


class LinkError(Exception):
    """The host is gone, or cannot be reached."""


class ReplicaLostError(Exception):
    """The replica was lost before it answered: the call can be made at another one."""


class Link(Protocol):
    """Carries messages to one host: see `reasonbench.engines.replicas_host.Host`."""

    async def put(self, messages: Sequence[Message]) -> None:
        """Raises:
        LinkError: the host is gone.
        """
        ...

    async def take(self) -> Batch:
        """Raises:
        LinkError: the host is gone.
        """
        ...

    async def kill(self) -> None:
        """End the host, whatever state it is in."""
        ...

    async def aclose(self) -> None:
        """End a host in peace: its parts were closed."""
        ...


class Watching:
    """A watch, and what it was told: not again where a request is sent to another replica.

    Args:
        watch: of the request.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._seen: list[int] = []
        self.at: int | None = None

    def tell(self, read: int, told: Told) -> None:
        """Tokens of one sending.

        Args:
            read: how many of its tokens came before them.

        Raises:
            EngineError: an earlier sending gave other tokens.
        """
        for place, token in enumerate(told.tokens, start=read):
            if self.at is not None:
                return
            if place < len(self._seen):
                if token != self._seen[place]:
                    raise EngineError(
                        "a request whose replica was lost gave other tokens when it was sent "
                        "again: it cannot be watched."
                    )
                continue
            self._seen.append(token)
            if self._watch(token, told.confidences[place - read]):
                self.at = len(self._seen)


class _Call:
    """One that has not been answered.

    Attributes:
        part: that it was made to.
        answer: done when it is.
        watching: its watch, or None.
        read: tokens that the watch has got of it.
        wrong: why it cannot be watched any more, or None.
    """

    def __init__(self, part: str, watching: Watching | None) -> None:
        self.part = part
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.watching = watching
        self.read = 0
        self.wrong: Exception | None = None

    def lose(self, why: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(ReplicaLostError(why))
            self.answer.exception()  # read, also where the caller was cancelled meanwhile


class Connection:
    """Speaks to one host.

    Args:
        link: to it.
        lost: told once, with the reason, when the replica is lost.
        used: told what parts used that no completion says: of cancelled requests as they end, of
            all that were running when the replica is lost.
        patience: see `PATIENCE`.
    """

    def __init__(
        self,
        link: Link,
        lost: Callable[[str], None],
        used: Callable[[str, Usage], None],
        patience: float = PATIENCE,
    ) -> None:
        self.why: str | None = None
        self._link = link
        self._tell_lost = lost
        self._tell_used = used
        self._patience = patience
        self._numbers = itertools.count()
        self._calls: dict[int, _Call] = {}
        self._used: dict[str, Used] = {}
        self._outbox: list[Message] = []
        self._mail = asyncio.Event()
        self._tasks = [asyncio.ensure_future(self._send()), asyncio.ensure_future(self._read())]

    @property
    def calls(self) -> int:
        """How many have not been answered."""
        return len(self._calls)

    async def open(self, part: str, kind: Kind, config: Any) -> Opened:
        """Load a model there.

        Raises:
            UsageError: it cannot be opened.
            ReplicaLostError: see there.
        """
        number = next(self._numbers)
        opened: Opened = await self._call(Open(number, part, kind, config), part, None)
        return opened

    async def ask(
        self, part: str, method: str, *arguments: Any, watching: Watching | None = None
    ) -> Any:
        """What a method of a part returns. Cancelling the awaiting task cancels it there.

        Raises:
            Exception: what the method raised, as far as `replicas_messages.ERRORS` knows it;
                RuntimeError otherwise.
            ReplicaLostError: see there.
        """
        number = next(self._numbers)
        message = Ask(number, part, method, arguments, watching is not None)
        return await self._call(message, part, watching)

    async def _call(self, message: Open | Ask, part: str, watching: Watching | None) -> Any:
        if self.why is not None:
            raise ReplicaLostError(self.why)
        call = self._calls[message.call] = _Call(part, watching)
        self._say(message)
        try:
            answer = await asyncio.shield(call.answer)
        except asyncio.CancelledError:
            await self._cancel(message.call, call)
            raise
        finally:
            self._calls.pop(message.call, None)
        if call.wrong is not None:
            raise call.wrong
        if isinstance(answer, Failed):
            raise raised(answer)
        return answer

    async def _cancel(self, number: int, call: _Call) -> None:
        """Have a call ended there, and wait until what it used is known."""
        if not call.answer.done():
            self._say(Cancel(number))
            await asyncio.wait({call.answer}, timeout=_TO_ABORT)
        if not call.answer.done():
            call.answer.cancel()
        elif call.answer.exception() is None:
            # it ended by itself meanwhile, and nobody counts what it took
            used = getattr(call.answer.result(), "usage", None)
            if isinstance(used, Usage):
                self._tell_used(call.part, used)

    def _say(self, message: Message) -> None:
        self._outbox.append(message)
        self._mail.set()

    async def _send(self) -> None:
        """Messages that are written while others are under way go together."""
        while True:
            await self._mail.wait()
            self._mail.clear()
            messages, self._outbox = self._outbox, []
            if not await self._answered(self._link.put(messages)):
                return

    async def _read(self) -> None:
        while True:
            batch = await self._answered(self._link.take())
            if batch is None:
                return
            self._hear(batch)

    async def _answered(self, going: Any) -> Any:
        """What a link says, True for nothing; None, and the replica is lost, where it fails."""
        task = asyncio.ensure_future(going)
        try:
            # a second look, for where this program itself was busy for so long
            for seconds in (self._patience, self._patience / 10):
                await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
            self.lose(f"it gave no sign of life for {self._patience:g} s")
            return None
        try:
            said = task.result()
        except LinkError as error:
            self.lose(str(error))
            return None
        except Exception as error:  # whatever it is, nothing comes through any more
            self.lose(f"{type(error).__name__}: {error}")
            return None
        return True if said is None else said

    def _hear(self, batch: Batch) -> None:
        for part, used in batch.used.items():
            self._used[part] = used
            if used.aborted != _NOTHING.aborted:
                self._tell_used(part, used.aborted)
        for told in batch.told:
            self._watch(told)
        for number, answer in batch.done:
            self._answer(number, answer)
        for number in batch.cancelled:
            if number in self._calls:
                self._calls[number].lose("the host was closed")
        for failure in batch.failed:
            self._answer(failure.call, failure)
            if failure.what == "dead":
                self.lose(failure.why.rstrip("."))

    def _answer(self, number: int, answer: Any) -> None:
        call = self._calls.get(number)
        if call is not None and not call.answer.done():
            call.answer.set_result(answer)

    def _watch(self, told: Told) -> None:
        """Tell a watch its tokens, and the host what it says where that matters."""
        call = self._calls.get(told.call)
        if call is None or call.watching is None:  # its cancelling is under way
            return
        watching = call.watching
        read, call.read = call.read, call.read + len(told.tokens)
        try:
            watching.tell(read, told)
        except Exception as error:  # of the watch: whoever asked gets it
            call.wrong = error
        at = watching.at if call.wrong is None else call.read
        if at is not None or told.last:
            self._say(Decide(told.call, call.read, at))

    def lose(self, why: str) -> None:
        """The replica is lost: so are the calls that it has not answered."""
        if self.why is not None:
            return
        self.why = why
        self._stop()
        for part, used in self._used.items():
            self._tell_used(part, used.unfinished)
        for call in self._calls.values():
            call.lose(why)
        self._tell_lost(why)

    async def kill(self) -> None:
        """End what is left of it."""
        await self._link.kill()

    async def aclose(self) -> None:
        """End it in peace. Calls that are under way are lost."""
        if self.why is None:
            self.why = "it was closed"
            self._stop()
            for call in self._calls.values():
                call.lose(self.why)
        await self._link.aclose()

    def _stop(self) -> None:
        me = asyncio.current_task()
        for task in self._tasks:
            if task is not me:
                task.cancel()
