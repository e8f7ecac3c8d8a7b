"""Replicas without Ray: requests are answered once, whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonbench.engines.base import EngineDeadError, EngineError
from reasonbench.engines.replicas import RESTARTS
from reasonbench.engines.replicas_engine import REWARD, ReplicatedBackend, ReplicatedEngine
from reasonbench.errors import UsageError
from reasonbench.types import Completion, Usage
from tests.engines.toy_replicas import (
    BAD_SEED,
    DEADLY_SEED,
    Toys,
    sample,
    tokens_of,
)

T = TypeVar("T")


def run(going: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(going, 60))


async def sampled(engine: ReplicatedEngine, seeds: range, problems: int = 5) -> list[Completion]:
    return list(await asyncio.gather(*(sample(engine, seed, seed % problems) for seed in seeds)))


async def settled() -> None:
    """Let everything go on that can."""
    for _ in range(200):
        await asyncio.sleep(0)


def test_replicas_write_what_one_engine_writes_and_usage_adds_up() -> None:
    async def scene() -> None:
        toys = Toys()
        engine = await toys.engine(3)
        found = await sampled(engine, range(60))
        await engine.aclose()
        assert [c.token_ids for c in found] == [tokens_of(seed) for seed in range(60)]
        assert sum((c.usage for c in found), Usage()).decode_tokens == toys.ledger.computed
        assert sorted(toys.ledger.began) == list(range(60))
        assert engine.aborted == Usage()
        assert engine.notice is None
        assert all(toy.closed for toy in toys.toys)
        assert all(link.closed for link in toys.links)

    run(scene())


def test_a_problem_has_one_home_while_there_is_room() -> None:
    async def scene() -> None:
        toys = Toys(places=64)
        engine = await toys.engine(3)
        await sampled(engine, range(60), problems=6)
        await engine.aclose()
        assert all(len(hosts) == 1 for hosts in toys.ledger.homes.values())
        assert set.union(*toys.ledger.homes.values()) == {0, 1, 2}

    run(scene())


def test_messages_go_together() -> None:
    async def scene() -> None:
        toys = Toys(places=200)
        engine = await toys.engine(1)
        before = toys.links[0].puts
        await sampled(engine, range(200))
        await engine.aclose()
        assert toys.links[0].puts - before < 10

    run(scene())


DEATHS = st.lists(st.integers(1, 25) | st.none(), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(deaths=DEATHS, places=st.integers(1, 6), problems=st.integers(1, 6))
def test_whenever_replicas_die_every_request_is_answered_once(
    deaths: list[int | None], places: int, problems: int
) -> None:
    """The first two hosts have opened their model by their eighth step; the rest are restarts."""

    async def scene() -> None:
        count = 2
        late = [None if d is None else d + 8 for d in deaths[:count]]
        toys = Toys(places, [*late, *deaths[count:]])
        engine = await toys.engine(count, restarts=5)
        found = await sampled(engine, range(40), problems)
        await engine.aclose()
        assert [c.token_ids for c in found] == [tokens_of(seed) for seed in range(40)]
        reported = sum((c.usage for c in found), Usage())
        assert reported.requests == 40
        assert reported.decode_tokens == sum(len(tokens_of(seed)) for seed in range(40))
        # what a host told of the requests that died with it is counted, and nothing twice
        assert reported.decode_tokens + engine.aborted.decode_tokens <= toys.ledger.computed
        lost = engine.replicas.losses
        assert (engine.notice is None) == (lost.lost == 0)
        if lost.replayed == 0:
            assert sorted(toys.ledger.began) == list(range(40))

    run(scene())


def test_tokens_that_died_with_a_replica_count_as_aborted() -> None:
    async def scene() -> None:
        toys = Toys(places=8)
        engine = await toys.engine(1)
        toys.toys[0]._hold = hold = asyncio.Event()
        going = asyncio.ensure_future(sampled(engine, range(4)))
        await settled()
        for row in toys.toys[0]._running.values():
            row += [5, 6]
        toys.toys[0].aborted += Usage(decode_tokens=1)
        await asyncio.sleep(0.2)  # the next sign of life tells it
        await toys.links[0].kill()
        found = await going
        hold.set()
        await engine.aclose()
        assert engine.aborted.decode_tokens == 4 * 2 + 1
        assert [c.token_ids for c in found] == [tokens_of(seed) for seed in range(4)]

    run(scene())


def test_a_replica_that_gives_no_sign_of_life_is_lost() -> None:
    async def scene() -> None:
        toys = Toys()
        engine = await toys.engine(2, patience=0.5)
        first = toys.links[0]
        first._hung = True
        found = await sampled(engine, range(30))
        await engine.replicas._settled()
        await engine.aclose()
        assert [c.token_ids for c in found] == [tokens_of(seed) for seed in range(30)]
        assert first.killed
        assert engine.replicas.losses.lost == 1
        assert engine.replicas.losses.restarted == 1
        assert "no sign of life for 0.5 s" in str(engine.notice)

    run(scene())


def test_a_cancelled_request_is_cancelled_at_its_replica_and_what_it_used_is_known() -> None:
    async def scene() -> None:
        toys = Toys()
        toys.hold = asyncio.Event()
        engine = await toys.engine(2)
        going = asyncio.ensure_future(sample(engine, 12))
        await settled()
        for toy in toys.toys:
            for row in toy._running.values():
                row += [1, 2, 3]
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        assert toys.ledger.cancelled == [12]
        assert engine.aborted == Usage(decode_tokens=3, requests=1)
        toys.hold.set()
        assert (await sample(engine, 5)).token_ids == tokens_of(5)
        await engine.aclose()

    run(scene())


def test_a_request_that_ends_while_it_is_cancelled_is_counted() -> None:
    async def scene() -> None:
        toys = Toys()
        engine = await toys.engine(1)
        going = asyncio.ensure_future(sample(engine, 12))
        while toys.ledger.computed < 13:
            await asyncio.sleep(0)
        assert not going.done()
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        await engine.aclose()
        assert engine.aborted.decode_tokens == 13
        assert engine.aborted.requests == 1

    run(scene())


@pytest.mark.parametrize("deaths", [[], [14, None, None], [16, None], [20], [9, 12, 15]])
def test_a_watch_ends_a_completion_at_the_same_token_whatever_happens(
    deaths: list[int | None],
) -> None:
    async def scene() -> None:
        toys = Toys(deaths=deaths)
        engine = await toys.engine(1)
        for limit in (1, 4, 12, 13):
            seen: list[tuple[int, float | None]] = []

            def watch(token: int, score: float | None, seen: Any = seen, at: int = limit) -> bool:
                seen.append((token, score))
                return len(seen) == at

            found = await sample(engine, 12, watch=watch)
            whole = tokens_of(12)
            assert found.token_ids == whole[:limit]
            assert found.finish == ("stop" if limit == len(whole) else "aborted")
            assert seen == [(token, float(token)) for token in whole[:limit]]
            assert found.usage.decode_tokens >= limit
        await engine.aclose()

    run(scene())


def test_a_request_that_is_refused_fails_alone() -> None:
    async def scene() -> None:
        toys = Toys()
        engine = await toys.engine(2)
        with pytest.raises(EngineError, match="refuses this seed"):
            await sample(engine, BAD_SEED)
        assert (await sample(engine, 5)).token_ids == tokens_of(5)
        assert engine.replicas.losses.lost == 0
        await engine.aclose()

    run(scene())


def test_a_request_that_kills_its_replicas_ends_the_run_after_so_many_restarts() -> None:
    async def scene() -> None:
        toys = Toys()
        engine = await toys.engine(2)
        with pytest.raises(EngineDeadError, match=r"all 2 replicas were lost.*the toy died"):
            await sample(engine, DEADLY_SEED)
        with pytest.raises(EngineDeadError, match="all 2 replicas"):
            await sample(engine, 5)
        assert len(toys.links) == 2 * (1 + RESTARTS)
        await engine.aclose()

    run(scene())


def test_a_model_that_opens_nowhere_is_said_and_every_host_ends() -> None:
    class Broken(Toys):
        async def start(self, index: int) -> Any:
            if index == 2:
                raise UsageError("there is no room.")
            return await super().start(index)

    async def scene() -> None:
        toys = Broken()
        with pytest.raises(UsageError, match="no room"):
            await toys.replicas(3)
        assert all(link.closed for link in toys.links)

    run(scene())


def test_a_replica_that_dies_while_it_opens_is_said() -> None:
    async def scene() -> None:
        with pytest.raises(UsageError, match="a replica did not start: its process died"):
            await Toys(deaths=[None, 3]).engine(2)

    run(scene())


def test_new_weights_reach_every_replica_and_those_that_come_later() -> None:
    async def scene() -> None:
        toys = Toys()
        engine = await toys.engine(2)
        loaded = await engine.load_weights(Path("weights"), 7)
        assert loaded.bytes == 16
        assert engine.weight_version == 7
        assert (await engine.held()).version == (7, 7)
        await toys.links[0].kill()
        assert {c.weight_version for c in await sampled(engine, range(20))} == {7}
        await engine.replicas._settled()
        assert (await engine.held()).version == (7, 7)
        assert [toy.weight_version for toy in toys.toys] == [7, 7, 7]
        await engine.aclose()

    run(scene())


def test_requests_that_run_during_a_push_are_written_by_one_version() -> None:
    async def scene() -> None:
        toys = Toys()
        engine = await toys.engine(2)
        before = [asyncio.ensure_future(sample(engine, seed, seed)) for seed in range(8)]
        await asyncio.sleep(0)
        await engine.load_weights(Path("weights"), 1)
        after = await sample(engine, 3)
        assert {c.weight_version for c in await asyncio.gather(*before)} == {0}
        assert after.weight_version == 1
        await engine.aclose()

    run(scene())


def test_a_reward_judges_on_the_replicas_of_its_policy_and_comes_back_with_them() -> None:
    async def scene() -> None:
        toys = Toys()
        engine = await toys.engine(2)
        backend = ReplicatedBackend(engine.replicas, owned=False)
        await backend.open(None)
        await toys.links[1].kill()

        async def read(number: int) -> tuple[tuple[float, ...], ...]:
            return (await backend.read([number, 2, 3], [1, 2], [1, 3])).outputs

        found = await asyncio.gather(*(read(number) for number in range(20)))
        assert list(found) == [((n + 2.0,), (n + 5.0,)) for n in range(20)]
        await engine.replicas._settled()
        assert len(toys.toys) == 6  # an engine and a reward, in three hosts
        await backend.aclose()
        assert REWARD not in engine.replicas.routers
        assert (await sample(engine, 5)).token_ids == tokens_of(5)
        await engine.aclose()

    run(scene())
