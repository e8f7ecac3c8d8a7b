"""The reward on the completions of pools: each is scored as it arrives, beside generation."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Iterator, Sequence
from typing import NamedTuple

from reasonbench.plan import Task
from reasonbench.rewarding import stored_as
from reasonbench.rewards.base import RewardError, Scored
from reasonbench.runs.store import RunStore
from reasonbench.runs.stored import Reading, SampleKey
from reasonbench.searching import Judging
from reasonbench.steps import Boundary, read, split
from reasonbench.strategies.base import REWARD, Strategy
from reasonbench.types import Question, Usage

WAITING = 1024
"""Completions that may wait for the reward; generation then waits for it too."""

AT_ONCE = 256
"""Completions that are scored at once where no engine says how many requests it takes."""

QUESTIONS_KEPT = 256
"""Questions whose prefixes the reward remembers."""


class Drawing(NamedTuple):
    """A strategy, and the pool that it draws from."""

    benchmark: str
    pool: str
    strategy: Strategy


class _Job(NamedTuple):
    """One completion to be scored."""

    question: Question
    key: SampleKey
    text: str | None
    """None where it lies in the store."""
    strategy: Strategy
    """Says how it is cut into steps."""


class Scoring:
    """Scores what is put in, and what the store holds without a score.

    Attributes:
        usage: what the reward took.
        scored: how many completions it scored.
        failed: completions that it refused; the next call tries them again.
        failure: why, of the first of them.
    """

    def __init__(
        self,
        drawings: Sequence[Drawing],
        judging: Judging | None,
        store: RunStore,
        weight_version: int = 0,
    ) -> None:
        self.judging = judging
        self.store = store
        self.usage = Usage()
        self.scored = 0
        self.failed = 0
        self.failure: str | None = None
        self._wanted = wanted(drawings) if judging is not None else {}
        # before anything new is stored, which would be scored twice
        self._stored = (
            [] if judging is None else list(_missing(drawings, judging.name, store, weight_version))
        )
        self._queue: asyncio.Queue[_Job | None] = asyncio.Queue(WAITING)
        self._seen: OrderedDict[tuple[str, str], Question] = OrderedDict()

    async def put(self, question: Question, key: SampleKey, text: str) -> None:
        """Have a new completion scored where a strategy asks for it."""
        for strategy in self._wanted.get((key.benchmark, key.pool), {}).values():
            if key.sample < strategy.n:
                await self._queue.put(_Job(question, key, text, strategy))

    async def put_stored(self) -> None:
        """Have everything scored that the store held when this began."""
        for job in self._stored:
            await self._queue.put(job)

    async def work(self) -> None:
        """Score until `end`.

        Raises:
            EngineDeadError: the reward died.
        """
        while (job := await self._queue.get()) is not None:
            await self._score(job)

    async def end(self, sources: Sequence[Awaitable[None]], workers: int) -> None:
        """Let the workers go when nothing more comes."""
        await asyncio.gather(*sources)
        for _ in range(workers):
            await self._queue.put(None)

    async def _score(self, job: _Job) -> None:
        assert self.judging is not None
        text = self.store.completion(job.key).text if job.text is None else job.text
        name = stored_as(self.judging.name, job.strategy)
        steps = split(text, Boundary(read(job.strategy.steps)))
        if not steps:  # nothing was written: nothing to judge
            self.store.add_score(job.key, name, whole=math.nan)
            self.store.add_scoring(job.key, name, Reading(), Usage())
            return
        self._remember(job.question)
        try:
            scored = await self.judging.reward.score(job.question, steps)
        except RewardError as error:
            self.failed += 1
            self.failure = self.failure or str(error).rstrip(".")
            return
        self._keep(job.key, name, scored)
        await self.store.drain()

    def _keep(self, key: SampleKey, name: str, scored: Scored) -> None:
        self.usage += scored.usage
        self.scored += 1
        self.store.add_score(key, name, scored.steps, whole=scored.whole)
        reading = Reading(scored.head_tokens, sum(scored.step_tokens))
        self.store.add_scoring(key, name, reading, scored.usage)

    def _remember(self, question: Question) -> None:
        assert self.judging is not None
        self._seen[question.benchmark, question.id] = question
        self._seen.move_to_end((question.benchmark, question.id))
        if len(self._seen) > QUESTIONS_KEPT:
            self.judging.forget(self._seen.popitem(last=False)[1])


def drawings(tasks: Sequence[Task]) -> list[Drawing]:
    """Who draws from which pool. Searches are left out: they score what they grow."""
    return [
        Drawing(task.benchmark.name, pool.id, strategy)
        for task in tasks
        for strategy, pool in task.strategies
        if pool.search is None
    ]


def is_scored(
    drawings: Sequence[Drawing], reward: str, store: RunStore, weight_version: int = 0
) -> bool:
    """Whether everything that is stored has the scores that strategies ask for."""
    return next(_missing(drawings, reward, store, weight_version), None) is None


async def score_stored(drawings: Sequence[Drawing], judging: Judging, store: RunStore) -> Scoring:
    """Score what is stored without a score, and nothing else.

    Raises:
        EngineDeadError: the reward died; what was scored before is in the store.
    """
    scoring = Scoring(drawings, judging, store)
    source = asyncio.ensure_future(scoring.put_stored())
    workers = [asyncio.ensure_future(scoring.work()) for _ in range(AT_ONCE)]
    jobs = [source, *workers, asyncio.ensure_future(scoring.end([source], len(workers)))]
    try:
        await asyncio.gather(*jobs)
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
    return scoring


def wanted(drawings: Sequence[Drawing]) -> dict[tuple[str, str], dict[str, Strategy]]:
    """By benchmark and pool: for each way to cut solutions, who needs most of them."""
    found: dict[tuple[str, str], dict[str, Strategy]] = {}
    for benchmark, pool, strategy in drawings:
        if strategy.scorer == REWARD:
            by_steps = found.setdefault((benchmark, pool), {})
            before = by_steps.get(strategy.steps)
            if before is None or before.n < strategy.n:
                by_steps[strategy.steps] = strategy
    return found


def _missing(
    drawings: Sequence[Drawing], reward: str, store: RunStore, weight_version: int
) -> Iterator[_Job]:
    """What is stored without a score that a strategy asks for."""
    for (benchmark, pool), by_steps in wanted(drawings).items():
        for strategy in by_steps.values():
            name = stored_as(reward, strategy)
            keys = list(store.unscored(benchmark, pool, name, strategy.n, weight_version))
            questions = {p.id: p.question for p in store.problems(benchmark)} if keys else {}
            for key in keys:
                yield _Job(questions[key.problem_id], key, None, strategy)
