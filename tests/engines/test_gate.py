"""Requests and changes of the weights, kept apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from reasonbench.engines import EngineDeadError
from reasonbench.engines.base import InFlight
from reasonbench.engines.gate import Gate, Passage


async def _turns(count: int = 10) -> None:
    """Let everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


class Weights:
    """Requests that read a version when they begin and end when they are let go."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.version = 0
        self.begun = 0
        self.go = asyncio.Event()

    async def ask(self) -> int:
        self.begun += 1
        version = self.version
        await self.go.wait()
        assert version == self.version, "the weights changed under a request"
        return version

    def request(self, restartable: bool = True) -> asyncio.Task[int]:
        return asyncio.ensure_future(self.gate.serve(self.ask, restartable=restartable))

    async def change(self, in_flight: InFlight) -> Passage:
        async with self.gate.shut(in_flight) as passage:
            self.version += 1
            return passage


def _play(scene: Callable[[Weights], Awaitable[None]]) -> None:
    async def play() -> None:
        await asyncio.wait_for(scene(Weights()), timeout=10)

    asyncio.run(play())


def test_a_change_waits_for_what_runs_and_later_requests_wait_for_it() -> None:
    async def scene(weights: Weights) -> None:
        early = weights.request()
        await _turns()
        change = asyncio.ensure_future(weights.change("wait"))
        await _turns()
        late = weights.request()
        await _turns()
        assert (weights.version, weights.begun) == (0, 1)
        weights.go.set()
        assert (await early, await late) == (0, 1)
        assert (await change).restarted == 0

    _play(scene)


def test_a_restarted_request_is_asked_again_with_the_new_weights() -> None:
    async def scene(weights: Weights) -> None:
        tasks = [weights.request() for _ in range(3)]
        await _turns()
        passage = await weights.change("restart")
        assert passage.restarted == 3
        weights.go.set()
        assert await asyncio.gather(*tasks) == [1, 1, 1]
        assert all(task.cancelling() == 0 for task in tasks)
        assert weights.begun == 6

    _play(scene)


def test_what_cannot_be_restarted_is_waited_for() -> None:
    async def scene(weights: Weights) -> None:
        kept, again = weights.request(restartable=False), weights.request()
        await _turns()
        change = asyncio.ensure_future(weights.change("restart"))
        await _turns()
        assert weights.version == 0
        weights.go.set()
        assert (await kept, await again) == (0, 1)
        assert (await change).restarted == 1

    _play(scene)


def test_a_request_that_its_owner_cancels_during_a_restart_ends() -> None:
    async def scene(weights: Weights) -> None:
        task = weights.request()
        await _turns()
        change = asyncio.ensure_future(weights.change("restart"))
        await asyncio.sleep(0)
        task.cancel()
        await change
        with pytest.raises(asyncio.CancelledError):
            await task
        assert weights.begun == 1

    _play(scene)


def test_a_failed_request_is_not_asked_again() -> None:
    async def scene(weights: Weights) -> None:
        async def fail() -> int:
            raise ValueError("refused")

        with pytest.raises(ValueError, match="refused"):
            await weights.gate.serve(fail, restartable=True)
        await weights.change("restart")
        assert weights.version == 1

    _play(scene)


def test_changes_come_one_after_the_other() -> None:
    async def scene(weights: Weights) -> None:
        task = weights.request()
        await _turns()
        changes = [asyncio.ensure_future(weights.change("wait")) for _ in range(2)]
        await _turns()
        weights.go.set()
        await asyncio.gather(*changes)
        assert (await task, weights.version) == (0, 2)

    _play(scene)


def test_a_gate_that_refuses_lets_waiting_requests_fail() -> None:
    async def scene(weights: Weights) -> None:
        async with weights.gate.shut("wait"):
            weights.gate.held = True
        waiting = weights.request()
        await _turns()
        assert weights.begun == 0
        weights.gate.refuse("the engine was closed.")
        with pytest.raises(EngineDeadError, match="closed"):
            await waiting

    _play(scene)
