"""Which of several equal replicas gets which request.

A problem has a home, so that its prefixes lie in one cache. A new problem settles where there is
least to do. What waits for a full replica is taken over by one that has little to do, and its
problem moves there with it. Pure bookkeeping on one event loop: nothing here knows what a replica
is.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable

HOMES = 65_536
"""Problems whose home is remembered; one that was forgotten settles anew."""

Waiter = asyncio.Future["Place"]


class Replica:
    """One of them, as far as routing goes.

    Attributes:
        index: which one.
        places: how many requests it has at once.
        up: it serves.
        life: how often it has come up; places of an earlier life are gone with it.
        running: requests that it has.
        waiting: by problem, in order of arrival, those who wait for a place here.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.places = 0
        self.up = False
        self.life = 0
        self.running = 0
        self.waiting: OrderedDict[Hashable, deque[Waiter]] = OrderedDict()

    @property
    def free(self) -> bool:
        return self.up and self.running < self.places

    @property
    def idle(self) -> bool:
        """Whether it has less to do than it could, and nobody waits for it."""
        return self.up and not self.waiting and 2 * self.running <= self.places

    @property
    def load(self) -> float:
        """Requests that it has or will have, in shares of what it takes at once."""
        return (self.running + self.queued) / self.places

    @property
    def queued(self) -> int:
        return sum(len(line) for line in self.waiting.values())

    def line_up(self, problem: Hashable, waiter: Waiter, *, first: bool) -> None:
        line = self.waiting.setdefault(problem, deque())
        if first:
            line.appendleft(waiter)
            self.waiting.move_to_end(problem, last=False)
        else:
            line.append(waiter)


class Place:
    """Room for one request at a replica; given back once, whatever becomes of it.

    Attributes:
        index: of the replica.
    """

    def __init__(self, router: Router, replica: Replica) -> None:
        self.index = replica.index
        self._router = router
        self._life = replica.life
        self._held = True

    def give(self) -> None:
        if self._held:
            self._held = False
            self._router.given(self.index, self._life)


class Router:
    """Hands out the places of so many replicas, none of which is up at first.

    Attributes:
        stolen: requests that were taken over from the queue of another replica.
    """

    def __init__(self, count: int) -> None:
        self.replicas = [Replica(index) for index in range(count)]
        self.stolen = 0
        self._homes: OrderedDict[Hashable, int] = OrderedDict()
        self._homeless: deque[tuple[Hashable, Waiter]] = deque()
        self._ended: Exception | None = None

    async def place(self, problem: Hashable, *, first: bool = False) -> Place:
        """Wait for a place, and take it.

        Args:
            problem: equal ones go to the same replica while it is up and has places.
            first: before all who wait: the request had a place already, and lost it.

        Raises:
            Exception: that which `end` was given.
        """
        if self._ended is not None:
            raise self._ended
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._settle(problem, waiter, first=first)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().give()
            raise

    def rise(self, index: int, places: int) -> None:
        """A replica is there, or back, and takes so many requests at once."""
        replica = self.replicas[index]
        assert not replica.up
        assert places > 0
        replica.up, replica.places, replica.running = True, places, 0
        replica.life += 1
        waiting, self._homeless = self._homeless, deque()
        for problem, waiter in waiting:
            self._settle(problem, waiter, first=False)
        self._hand_out(replica)

    def fall(self, index: int) -> None:
        """A replica is lost: its places are void, and who waited for it settles elsewhere."""
        replica = self.replicas[index]
        replica.up = False
        waiting, replica.waiting = replica.waiting, OrderedDict()
        for problem, line in waiting.items():
            for waiter in line:
                self._settle(problem, waiter, first=False)

    def end(self, why: Exception) -> None:
        """No replica comes up again: whoever waits, now or later, gets the error."""
        self._ended = why
        lines = [line for replica in self.replicas for line in replica.waiting.values()]
        waiters = [waiter for line in lines for waiter in line]
        waiters += [waiter for _, waiter in self._homeless]
        for replica in self.replicas:
            replica.waiting.clear()
        self._homeless.clear()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(why)

    def home(self, problem: Hashable) -> int | None:
        """Where a problem's requests go now; None for one that has not settled."""
        return self._homes.get(problem)

    def given(self, index: int, life: int) -> None:
        """A place is free again; see `Place.give`."""
        replica = self.replicas[index]
        if replica.up and replica.life == life:
            replica.running -= 1
            self._hand_out(replica)

    def _settle(self, problem: Hashable, waiter: Waiter, *, first: bool) -> None:
        """Give a place at the problem's home, or at an idle replica, or a place in the line."""
        if waiter.done():
            return
        up = [replica for replica in self.replicas if replica.up]
        if not up:
            self._homeless.append((problem, waiter))
            return
        at = self._homes.get(problem)
        home = self.replicas[at] if at is not None else None
        if home is None or not home.up:
            home = min(up, key=lambda replica: replica.load)
        if not home.free or home.waiting:
            idle = [replica for replica in up if replica.idle]
            home = min(idle, key=lambda replica: replica.load, default=home)
        self._move_in(problem, home)
        if home.free and not home.waiting:
            self._grant(home, waiter)
        else:
            home.line_up(problem, waiter, first=first)

    def _move_in(self, problem: Hashable, replica: Replica) -> None:
        self._homes[problem] = replica.index
        self._homes.move_to_end(problem)
        if len(self._homes) > HOMES:
            self._homes.popitem(last=False)

    def _grant(self, replica: Replica, waiter: Waiter) -> None:
        replica.running += 1
        waiter.set_result(Place(self, replica))

    def _hand_out(self, replica: Replica) -> None:
        """Give free places to those who wait here; where nobody does, to those who wait longest."""
        while replica.free:
            if not replica.waiting and not (replica.idle and self._steal(replica)):
                return
            problem, line = next(iter(replica.waiting.items()))
            waiter = line.popleft()
            if not line:
                del replica.waiting[problem]
            if not waiter.done():
                self._grant(replica, waiter)

    def _steal(self, thief: Replica) -> bool:
        """Take over the problem that would have its turn last in the longest queue.

        It moves as a whole where it fits into the free places; the only problem of a queue is
        shared, half and half.
        """
        victim = max(self.replicas, key=lambda replica: replica.queued)
        if not victim.waiting:
            return False
        problem, line = next(reversed(victim.waiting.items()))
        most = thief.places - thief.running
        if len(victim.waiting) == 1:
            most = min(most, (len(line) + 1) // 2)
        taken = deque(line.pop() for _ in range(min(most, len(line))))
        taken.reverse()
        if not line:
            del victim.waiting[problem]
        self.stolen += sum(not waiter.done() for waiter in taken)
        thief.waiting[problem] = taken
        self._move_in(problem, thief)
        return True
