"""Completions that are drawn, and looked at, in the order of their index.

What a rule (reasonbench.strategies.adaptive) decides depends on the first completions alone, never
on which of them came first: online, where completions are drawn until every rule has enough, and
offline, where the same rules read a stored pool, however much of it there is.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

from reasonbench.engines.base import Watch
from reasonbench.grading.graders import Graders
from reasonbench.places import Places
from reasonbench.plan import Pool, Task
from reasonbench.runs.store import RunStore
from reasonbench.runs.stored import SampleKey, StoredProblem, StoredSample
from reasonbench.strategies import spell
from reasonbench.strategies.adaptive import Adaptive, Drawn, Taken
from reasonbench.strategies.confidence import Confidences
from reasonbench.together import together
from reasonbench.types import Completion, Problem, Verdict

TAKEN = "taken:*"
"""What rules make of samples, stored as scores: steps are answer class and tokens, the whole is the
weight. Samples beyond a rule's stopping point have none."""

_AT_ONCE = 8
"""Problems that are read at the same time."""


ENOUGH = "in_order"
"""meta key: "enough" where every rule had enough for every problem when generation ended."""


def enough_key(weight_version: int) -> str:
    """`ENOUGH` of a version of the weights."""
    return f"{ENOUGH}:{weight_version}" if weight_version else ENOUGH


def rules_of(task: Task, pool: Pool) -> tuple[Adaptive, ...]:
    """The rules that draw from a pool."""
    return tuple(s for s, p in task.strategies if p.id == pool.id and isinstance(s, Adaptive))


def certain(task: Task, pool: Pool) -> int:
    """Completions of each problem that a pool holds in the end, whatever its rules decide."""
    if not rules_of(task, pool):
        return pool.n
    others = (s.n for s, p in task.strategies if p.id == pool.id and not isinstance(s, Adaptive))
    return max(others, default=0)


def record(rule: Adaptive) -> str:
    """The name under which it is stored what a rule makes of samples."""
    return f"{TAKEN[:-1]}{spell(rule)}"


class Numbering:
    """Classes of one problem's answers as they come.

    An answer joins the first class whose first member is the same answer, so that its class depends
    on nothing that comes later: other than in `Graders.classes`, where an answer that is the same
    as two others makes them one class.
    """

    def __init__(self, graders: Graders, problem: Problem) -> None:
        self._graders = graders
        self._problem = problem
        self._first: list[str] = []
        self._known: dict[str, int] = {}

    async def add(self, answer: str | None) -> int:
        """The class of the next answer; −1 where there is none."""
        if not answer:
            return -1
        if answer not in self._known:
            found = await self._graders.classes(self._problem, [*self._first, answer])
            number = found.index(found[-1])
            if found[-1] < 0:
                number = -1
            elif number == len(self._first):
                self._first.append(answer)
            self._known[answer] = number
        return self._known[answer]


class InOrder:
    """One problem of a pool: how many completions are needed, as far as the first ones tell.

    Args:
        rules: all that draw from the pool.
        certain: completions that other strategies need, the first ones.
    """

    def __init__(self, rules: Sequence[Adaptive], certain: int, numbering: Numbering) -> None:
        self.rules = rules
        self.certain = certain
        self.seen: list[Drawn] = []
        self._numbering = numbering
        self._whole = max(certain, *(rule.whole for rule in rules))
        self._most = max(certain, *(rule.n for rule in rules))
        self._ahead = max(rule.ahead for rule in rules)
        self._drawing = list(rules)

    @property
    def reach(self) -> int:
        """At least so many are needed; not more than were seen where that is enough."""
        return max(self.certain, *(rule.reach(self.seen) for rule in self._drawing), 0)

    @property
    def horizon(self) -> int:
        """How many may have been begun by now, needed or not."""
        known = self._most if len(self.seen) >= self._whole else self._whole
        return min(self.reach + self._ahead, known)

    def watch(self, index: int) -> Watch | None:
        """What may end completion `index`: all rules that watch must have lost interest in it."""
        if index < self._whole:
            return None
        follows = [rule.follow(self.seen) for rule in self.rules if index < rule.n]
        lost = [False] * len(follows)

        def watch(token: int, confidence: float | None) -> bool:
            if confidence is None:
                return False
            for place, follow in enumerate(follows):
                lost[place] |= follow(confidence)
            return all(lost)

        return watch

    async def add(self, completion: Completion | None, verdict: Verdict) -> None:
        """The next completion in order; None where its request failed."""
        drawn = Drawn(-1)
        if completion is not None:
            votes = completion.finish == "stop"
            drawn = Drawn(
                await self._numbering.add(verdict.answer if votes else None),
                len(completion.token_ids) or completion.usage.decode_tokens,
                _confidences(completion),
            )
        self.seen.append(drawn)
        # a rule that has stopped stays so, whatever others see after that
        self._drawing = [r for r in self._drawing if r.reach(self.seen) > len(self.seen)]


Made = tuple[Completion | None, Verdict]
Make = Callable[[int, Watch | None], Awaitable[Made]]


async def draw(
    unit: InOrder, stored: Callable[[int], Awaitable[Made | None]], make: Make, places: Places,
    rank: int,
) -> None:  # fmt: skip
    """Draw until every rule has enough; whatever is in flight beyond that is aborted.

    Args:
        stored: the completion that an earlier call drew, or None.
        make: draws one; cancelling it aborts the request.
        rank: of the problem among those that wait for the engine.
    """
    arrived: dict[int, Made] = {}
    running: dict[asyncio.Task[Made], int] = {}
    begun = 0
    try:
        while True:
            while len(unit.seen) in arrived and len(unit.seen) < unit.reach:
                await unit.add(*arrived.pop(len(unit.seen)))
            needed = unit.reach
            if len(unit.seen) >= needed:
                return
            while begun < unit.horizon:
                if (found := await stored(begun)) is not None:
                    arrived[begun] = found
                elif begun >= needed and not places.free:
                    break
                else:
                    await places.take(rank)
                    task = asyncio.ensure_future(make(begun, unit.watch(begun)))
                    task.add_done_callback(lambda _: places.give())
                    running[task] = begun
                begun += 1
            if len(unit.seen) not in arrived:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    arrived[running.pop(task)] = task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def decide(
    store: RunStore,
    graders: Graders,
    benchmark: str,
    pool: str,
    rules: Sequence[Adaptive],
    weight_version: int = 0,
) -> bool:
    """Apply rules to a stored pool and store what they make of its samples.

    Returns:
        Whether every rule had enough for every problem.
    """
    if not rules:
        return True
    short: list[str] = []

    async def one(stored: StoredProblem) -> None:
        numbering = Numbering(graders, stored.problem)
        samples = {sample.sample: sample for sample in stored.samples}
        seen: list[Drawn] = []
        for rule in sorted(rules, key=lambda rule: rule.n):
            count = 0
            while count < rule.reach(seen[:count]):
                if count == len(seen):
                    sample = samples.get(count)
                    if sample is None or sample.verdict is None:
                        short.append(stored.problem.id)
                        break
                    key = SampleKey(benchmark, stored.problem.id, pool, weight_version, count)
                    seen.append(await _read(store, numbering, key, sample))
                count += 1
            for index, taken in enumerate(rule.taken(seen[:count])):
                key = SampleKey(benchmark, stored.problem.id, pool, weight_version, index)
                _write(store, key, record(rule), taken)

    problems = store.samples(benchmark, pool, weight_version)
    await together((one(stored) for stored in problems), store, _AT_ONCE)
    return not short


async def _read(
    store: RunStore, numbering: Numbering, key: SampleKey, sample: StoredSample
) -> Drawn:
    votes = sample.finish in ("stop", None)
    number = await numbering.add(sample.answer if votes else None)
    confidences = None
    if sample.finish is not None:
        confidences = _confidences(store.completion(key))
    return Drawn(number, sample.tokens or sample.usage.decode_tokens, confidences)


def _write(store: RunStore, key: SampleKey, name: str, taken: Taken) -> None:
    weight = math.nan if taken.weight is None else taken.weight
    store.add_score(key, name, (float(taken.answer_class), float(taken.tokens)), whole=weight)


def taken(sample: StoredSample, rule: Adaptive) -> Taken | None:
    """What a rule made of a sample; None where it did not draw it."""
    found = sample.scores.get(record(rule))
    if found is None or len(found.steps) != 2 or found.whole is None:
        return None
    weight = None if math.isnan(found.whole) else found.whole
    return Taken(int(found.steps[0]), weight, int(found.steps[1]))


def _confidences(completion: Completion) -> Confidences | None:
    return Confidences(completion.token_confidences) if completion.token_confidences else None
