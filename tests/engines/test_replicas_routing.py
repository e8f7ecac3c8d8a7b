"""Which replica gets which request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonbench.engines.base import EngineDeadError
from reasonbench.engines.replicas_routing import Place, Replica, Router

T = TypeVar("T")


def run(going: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(going)


def routed(count: int, places: int) -> Router:
    router = Router(count)
    for index in range(count):
        router.rise(index, places)
    return router


async def asked(router: Router, problem: str) -> asyncio.Task[Place]:
    """A request that has its place, or stands in line."""
    task = asyncio.ensure_future(router.place(problem))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def test_a_problem_stays_at_its_home_and_new_ones_settle_where_there_is_least_to_do() -> None:
    async def scene() -> list[int]:
        router = routed(3, 8)
        return [(await router.place(p)).index for p in ("a", "a", "b", "c", "b", "a", "d", "c")]

    assert run(scene()) == [0, 0, 1, 2, 1, 0, 2, 2]


def test_what_finds_its_home_full_goes_to_an_idle_replica_and_stays_there() -> None:
    async def scene() -> None:
        router = routed(2, 2)
        held = [await router.place("a"), await router.place("a")]
        assert [place.index for place in held] == [0, 0]
        assert (await router.place("a")).index == 1
        assert router.home("a") == 1

    run(scene())


def test_a_replica_that_idles_takes_over_the_problem_whose_turn_is_last() -> None:
    async def scene() -> None:
        router = routed(2, 2)
        here = [await router.place("a"), await router.place("a")]
        there = [await router.place("b"), await router.place("b")]
        waiting = {p: await asked(router, p) for p in ("a", "b", "c", "d")}
        assert not any(task.done() for task in waiting.values())
        homes = {p: router.home(p) for p in waiting}
        # all that wait for the second replica, but for its own next one
        for place in there:
            place.give()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        done = {p: task.result().index for p, task in waiting.items() if task.done()}
        assert len(done) == 2
        assert set(done.values()) == {1}
        assert done.keys() == {p for p, home in homes.items() if home == 1}
        waiting[next(iter(done))].result().give()  # its queue is empty now, and it is half idle
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stolen = [p for p, home in homes.items() if home == 0 and waiting[p].done()]
        assert stolen == [[p for p, home in homes.items() if home == 0][-1]]
        assert router.home(stolen[0]) == 1
        assert router.stolen == 1
        assert [place.index for place in here] == [0, 0]

    run(scene())


def test_the_only_problem_of_a_queue_is_shared() -> None:
    async def scene() -> None:
        router = routed(1, 2)
        [await router.place("a") for _ in range(2)]
        waiting = [await asked(router, "a") for _ in range(4)]
        router.replicas.append(Replica(1))
        router.rise(1, 8)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sum(task.done() for task in waiting) >= 2
        assert router.home("a") == 1

    run(scene())


def test_who_waits_for_a_replica_that_falls_is_served_elsewhere() -> None:
    async def scene() -> None:
        router = routed(2, 1)
        lost, kept = await router.place("a"), await router.place("b")
        waiting = await asked(router, "a")
        router.fall(lost.index)
        lost.give()  # void: it belongs to a replica that is no more
        assert not waiting.done()
        kept.give()
        assert (await waiting).index == kept.index
        assert router.replicas[kept.index].running == 1

    run(scene())


def test_places_of_an_earlier_life_are_not_given_back_to_the_next() -> None:
    async def scene() -> None:
        router = routed(1, 1)
        old = await router.place("a")
        router.fall(0)
        waiting = await asked(router, "a")
        assert not waiting.done()
        router.rise(0, 1)
        new = await waiting
        old.give()
        assert router.replicas[0].running == 1
        new.give()
        new.give()
        assert router.replicas[0].running == 0

    run(scene())


def test_the_end_reaches_those_who_wait_and_those_who_come() -> None:
    async def scene() -> None:
        router = routed(1, 1)
        await router.place("a")
        waiting = await asked(router, "a")
        router.end(EngineDeadError("all gone."))
        with pytest.raises(EngineDeadError, match="all gone"):
            await waiting
        with pytest.raises(EngineDeadError, match="all gone"):
            await router.place("b")

    run(scene())


def test_a_place_that_nobody_waits_for_any_more_goes_to_the_next() -> None:
    async def scene() -> None:
        router = routed(1, 1)
        first = await router.place("a")
        cancelled, other = await asked(router, "a"), await asked(router, "b")
        first.give()  # the place is granted, and its owner is cancelled before it hears of it
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        assert (await other).index == 0

    run(scene())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("ask", "ask", "ask", "give", "give", "fall", "rise", "cancel")),
        st.integers(0, 5),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, count=st.integers(1, 3), places=st.integers(1, 4))
def test_whatever_happens_every_request_gets_a_place_in_the_end(
    steps: list[tuple[str, int]], count: int, places: int
) -> None:
    async def scene() -> None:
        router = routed(count, places)
        going: list[asyncio.Task[Place]] = []
        for what, number in steps:
            index = number % count
            if what == "ask":
                going.append(await asked(router, f"p{number}"))
            elif what == "fall" and router.replicas[index].up:
                router.fall(index)
            elif what == "rise" and not router.replicas[index].up:
                router.rise(index, places)
            elif going and what in ("give", "cancel"):
                task = going[number % len(going)]
                if what == "cancel":
                    task.cancel()
                elif task.done() and not task.cancelled():
                    task.result().give()
            await asyncio.sleep(0)
            for replica in router.replicas:
                assert 0 <= replica.running <= replica.places
                assert not (replica.free and replica.waiting)
            if any(replica.idle for replica in router.replicas):
                assert not any(replica.waiting for replica in router.replicas)
        for replica in router.replicas:
            if not replica.up:
                router.rise(replica.index, places)
        while waiting := [task for task in going if not task.done()]:
            for task in going:
                if task.done() and not task.cancelled():
                    task.result().give()
            await asyncio.wait(waiting, timeout=0)
        for task in going:
            if not task.cancelled():
                task.result().give()
        assert [replica.running for replica in router.replicas] == [0] * count

    run(scene())
