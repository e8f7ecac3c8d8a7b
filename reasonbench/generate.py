"""The loop: problems × pools through one engine, graded as they arrive, stored as they arrive."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reasonbench.engines.base import Engine, EngineDeadError, EngineError, Watch
from reasonbench.grading.graders import Graders
from reasonbench.in_order import InOrder, Made, Numbering, draw, enough_key
from reasonbench.places import Places
from reasonbench.plan import Pool, Task
from reasonbench.runs.store import RunStore
from reasonbench.runs.stored import SampleKey
from reasonbench.scoring import Scoring, drawings
from reasonbench.searching import Judging, leading, read_only, search
from reasonbench.seeds import request_seed
from reasonbench.spending import Spending
from reasonbench.types import Completion, Problem, Prompt, RequestKey, Usage, Verdict
from reasonbench.verdicts import grade
from reasonbench.work import Draw, Solve, Unit, finished, work

PROMPTS_KEPT = 1024
"""Rendered prompts held in memory; requests come problem by problem, so few are needed."""

CLOCK_EVERY = 2.0
"""Seconds between notes of how long the run has been generating."""

ABORTED_TOKENS = "aborted_tokens"
"""meta key of the run store: tokens decoded for requests that were aborted, so that no completion
counts them."""

GENERATION_SECONDS = "generation_seconds"
"""meta key of the run store: wall-clock seconds of generation, summed over resumptions."""

_TESTS = Verdict("ungraded", None, "tests", "tests are not graded")


class Observer(Protocol):
    """Who is told how the run goes."""

    def starting(self, model: str) -> None:
        """The plan stands; the engine is being started for this model."""

    def begin(self, total: int, done: int) -> None:
        """`total` completions and searches are needed, `done` of them were stored before."""

    def advance(self, problem: Problem, completion: Completion | None, verdict: Verdict) -> None:
        """One completion was graded and handed to the store (None: the request failed).

        Completions of tests are not graded: their verdict is "ungraded". For a search its best
        solution stands, without token ids and with the usage of the whole search (None: it found
        none).
        """

    def spare(self, count: int) -> None:
        """So many completions of `total` turned out not to be needed."""


@dataclass(slots=True)
class Limits:
    """When to stop before the end.

    Attributes:
        seconds: wall-clock seconds of generation, or None.
        why: what the user is told when they are used up.
        spending: what requests cost that are paid for by the token, or None.
    """

    seconds: float | None = None
    why: str = ""
    spending: Spending | None = None


@dataclass(slots=True)
class Outcome:
    """How the loop ended.

    Attributes:
        complete: every completion that was asked for is stored or failed for good.
        stopped: why it ended early ("interrupted", "the limit of 5 minutes"), or None.
        failed: requests that the engine refused; the next call tries them again.
        failure: why the first of them failed, or None.
        searches_failed: searches that errors ended; the next call tries them again.
        search_failure: the state of the first of them, or None.
        unscored: completions that the reward refused; the next call tries them again.
        unscored_why: why it refused the first of them, or None.
        aborted_tokens: decoded for requests that were aborted, so that no completion counts them.
        usage: of the completions, searches and scores made by this call.
        seconds: wall-clock seconds of generation.
    """

    complete: bool = False
    stopped: str | None = None
    failed: int = 0
    failure: str | None = None
    searches_failed: int = 0
    search_failure: str | None = None
    unscored: int = 0
    unscored_why: str | None = None
    aborted_tokens: int = 0
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0


async def generate(
    tasks: Sequence[Task],
    engine: Engine | None,
    store: RunStore,
    graders: Graders,
    *,
    seed: int,
    max_in_flight: int,
    observer: Observer,
    stop: asyncio.Event,
    limits: Limits | None = None,
    judging: Judging | None = None,
    budget: int | None = None,
    weight_version: int = 0,
) -> Outcome:
    """Sample, search, score and grade what the store does not hold yet.

    Finished completions go to the store at once, so an interrupt or a kill loses only what was in
    flight. Setting `stop` aborts the requests in flight and returns. The reward scores
    completions while others are sampled.

    Args:
        engine: None where nothing is left to sample, and only scores are missing.
        max_in_flight: requests given to the engine at once; a search takes the room of as many as
            it has in flight.
        judging: the reward, where anything needs one.
        budget: policy-equivalent tokens of each search.
        weight_version: of the engine's weights; what other versions wrote stays beside it.

    Raises:
        EngineDeadError: the engine or the reward died; everything finished before is in the store.
    """
    session = _Session(
        tasks,
        engine,
        store,
        graders,
        seed,
        observer,
        max_in_flight,
        judging,
        budget,
        weight_version,
    )
    total = sum(task.requests + task.searches for task in tasks)
    observer.begin(total, session.stored)
    outcome, scoring = session.outcome, session.scoring
    aborted = 0 if engine is None else engine.aborted.decode_tokens
    started = session.started = session.clocked = time.perf_counter()
    items = session.work()
    sources = [
        asyncio.create_task(session.worker(items))
        for _ in range(min(max_in_flight, session.missing))
    ]
    sources.append(asyncio.create_task(scoring.put_stored()))
    scorers = [asyncio.create_task(scoring.work()) for _ in range(max_in_flight if judging else 0)]
    workers = [*sources, *scorers, asyncio.create_task(scoring.end(sources, len(scorers)))]
    watchers: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait(), name="interrupted")]
    if limits is not None and limits.seconds is not None:
        watchers.append(asyncio.create_task(asyncio.sleep(limits.seconds), name=limits.why))
    if limits is not None and limits.spending is not None:
        spent = limits.spending.reached.wait()
        watchers.append(asyncio.create_task(spent, name=limits.spending.why))
    ended: asyncio.Task[object] = asyncio.create_task(_all(workers))
    try:
        await asyncio.wait({ended, *watchers}, return_when=asyncio.FIRST_COMPLETED)
        outcome.stopped = next((w.get_name() for w in watchers if w.done()), None)
        if ended.done() and not stop.is_set():
            ended.result()  # an engine that died, a store that cannot write
            outcome.complete, outcome.stopped = True, None
            if not outcome.failed:
                store.set_meta(enough_key(weight_version), "enough")
    finally:
        jobs = (ended, *workers, *watchers)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        outcome.seconds = time.perf_counter() - started
        outcome.usage += read_only(scoring.usage)
        outcome.unscored, outcome.unscored_why = scoring.failed, scoring.failure
        session.clock(outcome.seconds)
        if engine is not None:
            outcome.aborted_tokens = engine.aborted.decode_tokens - aborted
            before = int(store.meta(ABORTED_TOKENS) or 0)
            store.set_meta(ABORTED_TOKENS, str(before + outcome.aborted_tokens))
        store.flush()
    return outcome


async def _all(workers: Sequence[asyncio.Task[None]]) -> None:
    """Wait for every worker; the first error ends the wait."""
    await asyncio.gather(*workers)


class _Session:
    """One call of `generate`."""

    def __init__(
        self,
        tasks: Sequence[Task],
        engine: Engine | None,
        store: RunStore,
        graders: Graders,
        seed: int,
        observer: Observer,
        max_in_flight: int,
        judging: Judging | None,
        budget: int | None,
        weight_version: int,
    ) -> None:
        self.tasks = tasks
        self._engine = engine
        self.store = store
        self.graders = graders
        self.seed = seed
        self.observer = observer
        self.judging = judging
        self.budget = budget
        self.version = weight_version
        self.scoring = Scoring(drawings(tasks), judging, store, weight_version)
        self.outcome = Outcome()
        self.prompts: OrderedDict[tuple[str, str, str], Prompt] = OrderedDict()
        self.places = Places(max_in_flight)
        self.done = finished(tasks, store, weight_version)
        self.missing = sum(1 for _ in self.work())
        self.stored = sum(
            (self.done[task.benchmark.name, pool.id].get(problem.id, 0)
             & (1 << (1 if pool.search else pool.n)) - 1).bit_count()
            for task in tasks
            for pool in task.pools
            for problem in task.problems
        )  # fmt: skip
        self.seconds_before = float(store.meta(GENERATION_SECONDS) or 0.0)
        self.started = self.clocked = time.perf_counter()

    @property
    def engine(self) -> Engine:
        assert self._engine is not None, "nothing is left to sample"
        return self._engine

    def work(self) -> Iterator[Draw | Solve | Unit]:
        """What is missing."""
        return work(self.tasks, self.done)

    async def worker(self, items: Iterator[Draw | Solve | Unit]) -> None:
        for item in items:
            if isinstance(item, Unit):
                await self.in_order(item)
            else:
                searching = item.pool.search
                size = 1 if searching is None else searching.at_once
                await self.places.take(item.rank, size)
                try:
                    if isinstance(item, Solve):
                        await self.solve(item.problem, item.pool)
                    else:
                        await self.one(item.problem, item.pool, item.sample)
                finally:
                    self.places.give(size)
            # recorded completions never wait, and the clock and Ctrl-C need their turn
            await asyncio.sleep(0)

    async def in_order(self, unit: Unit) -> None:
        """Draw one problem's completions until every rule has enough."""
        problem, pool = unit.problem, unit.pool
        series = (problem.benchmark, problem.id, pool.id, self.version)
        done = self.done[problem.benchmark, pool.id].get(problem.id, 0)
        before = {s.sample: s for s in self.store.of_problem(*series)} if done else {}
        drawing = InOrder(unit.rules, unit.certain, Numbering(self.graders, problem))

        async def stored(sample: int) -> Made | None:
            if not done >> sample & 1:
                return None
            completion = self.store.completion(SampleKey(*series, sample))
            found = before[sample]
            if found.verdict is None:  # a kill came between the two
                return completion, await grade(self.graders, problem, completion)
            return completion, Verdict(found.verdict, found.answer, found.layer or "")

        async def make(sample: int, watch: Watch | None) -> Made:
            return await self.one(problem, pool, sample, watch)

        await draw(drawing, stored, make, self.places, unit.rank)
        self.observer.spare(pool.n - max(len(drawing.seen), done.bit_count()))

    async def one(
        self, problem: Problem, pool: Pool, sample: int, watch: Watch | None = None
    ) -> Made:
        """One request, from its prompt to its stored verdict; completions of tests get none.

        The reward has its turn later, beside other requests.
        """
        key = SampleKey(problem.benchmark, problem.id, pool.id, self.version, sample)
        path = pool.path(sample)
        seed = request_seed(self.seed, problem.benchmark, problem.id, path)
        params = pool.params(seed, problem.question, chat=self.chat(pool))
        completion: Completion | None = None
        try:
            prompt = self.prompt(problem, pool)
            place = RequestKey(problem.benchmark, problem.id, path)
            watched = {} if watch is None else {"watch": watch}
            completion = await self.engine.sample(prompt, params, place, **watched)
        except EngineDeadError:
            raise
        except EngineError as error:
            self.outcome.failed += 1
            self.outcome.failure = self.outcome.failure or str(error).rstrip(".")
            verdict = Verdict("ungraded", None, "engine", str(error))
        else:
            self.store.add_completion(key, completion)
            self.outcome.usage += completion.usage
            verdict = _TESTS
            if pool.role == "answers":
                await self.scoring.put(problem.question, key, completion.text)
                verdict = await grade(self.graders, problem, completion)
        if verdict is not _TESTS:
            self.store.add_verdict(key, verdict)
        await self.told(problem, completion, verdict)
        return completion, verdict

    async def solve(self, problem: Problem, pool: Pool) -> None:
        """One search, from its prompt to its stored tree."""
        chat = self.chat(pool)
        done = await search(
            problem,
            pool,
            self.prompt(problem, pool),
            pool.messages(problem.question, chat=chat),
            chat=chat,
            engine=self.engine,
            store=self.store,
            graders=self.graders,
            judging=self.judging,
            seed=self.seed,
            budget=self.budget,
            weight_version=self.version,
        )
        self.outcome.usage += done.usage
        if done.failed:
            self.outcome.searches_failed += 1
            self.outcome.search_failure = self.outcome.search_failure or done.state
        await self.told(problem, *leading(done))

    async def told(self, problem: Problem, completion: Completion | None, verdict: Verdict) -> None:
        """Something was finished and given to the store."""
        now = time.perf_counter()
        if now - self.clocked > CLOCK_EVERY:
            self.clocked = now
            self.clock(now - self.started)
        self.observer.advance(problem, completion, verdict)
        await self.store.drain()

    def clock(self, seconds: float) -> None:
        """Write down how long the run has been generating, so that a kill forgets little of it."""
        self.store.set_meta(GENERATION_SECONDS, repr(self.seconds_before + seconds))

    def chat(self, pool: Pool) -> bool:
        """Whether the pool speaks to a chat template: where there is one, unless told otherwise."""
        return self.engine.info.chat_template if pool.chat is None else pool.chat

    def prompt(self, problem: Problem, pool: Pool) -> Prompt:
        name = (problem.benchmark, problem.id, pool.id)
        if name in self.prompts:
            return self.prompts[name]
        chat = self.chat(pool)
        messages = pool.messages(problem.question, chat=chat)
        prompt = self.engine.render(messages, thinking=pool.thinking, chat=chat)
        self.store.add_prompt(*name, prompt, messages)
        self.prompts[name] = prompt
        if len(self.prompts) > PROMPTS_KEPT:
            self.prompts.popitem(last=False)
        return prompt
