"""What a run's strategies reach at every size, problem by problem, with what each problem took.

Read from the store alone: nothing is drawn, graded or classed here.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from reasonbench.costs import policy_tokens
from reasonbench.errors import UsageError, unknown
from reasonbench.metrics import powers_of_two, problem_scores
from reasonbench.results import JudgedBy, Measured
from reasonbench.runs import RunStore
from reasonbench.runs.stored import StoredProblem
from reasonbench.strategies import AnyStrategy, Search, options_of, parse, spell
from reasonbench.strategies.adaptive import Adaptive
from reasonbench.strategies.base import REWARD
from reasonbench.summary import MODEL, NO_MODEL, PLAN, ends_unknown, judged_by, measured_of
from reasonbench.types import ModelInfo, Problem

DifficultyKind = Literal["pass@1", "reward", "votes"]
"""How problems are told apart by difficulty: by gold, by the mean reward, or by the share of the
largest answer class."""


class Reached(NamedTuple):
    """One problem's score in [0, 1], NaN without a graded sample; its policy-equivalent tokens."""

    score: float
    tokens: float


Column = Mapping[str, Reached]
"""By problem."""


@dataclass(frozen=True, eq=False)
class Point:
    """A strategy at one size.

    Attributes:
        run: the name of its run.
        series: the strategy with its options, without its size.
        label: as it is spelled at this size.
        size: samples, or what the n of a search means.
        ceiling: it takes the gold answer to choose so: nobody can run it.
        truncated: share of its strategy's samples that the token limit cut; None where it is not
            known.
        column: all its samples.
        halves: its samples of even and of odd index alone; None where it has no such halves: it
            draws in order, or has no two samples for the size.
        searched: whether it is a search.
        seed: of its run.
    """

    run: str
    series: str
    label: str
    size: int
    ceiling: bool
    truncated: float | None
    column: Column
    halves: tuple[Column, Column] | None = None
    searched: bool = False
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class Difficulty:
    """How easy problems are, the larger the easier.

    Attributes:
        source: run and strategy whose samples it is estimated from.
        samples: of each problem.
        parts: of all samples; for pass@1 of those of even, and of odd index.
        seed: of the run.
    """

    source: str
    samples: int
    parts: tuple[Mapping[str, float], ...]
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class RunPoints:
    """One benchmark of a run.

    Attributes:
        run: its name.
        model: what the run says of it.
        clusters: the source of each problem, by problem.
        points: in the order of the run's strategies.
        difficulty: None where it was not asked for, or the run has no samples for it.
        notes: what a reader must know.
    """

    run: str
    model: Mapping[str, Any]
    benchmark: str
    clusters: Mapping[str, str]
    points: Sequence[Point]
    difficulty: Difficulty | None = None
    notes: Sequence[str] = field(default=())


def read_points(
    store: RunStore,
    name: str,
    *,
    benchmark: str | None = None,
    level: str | None = None,
    difficulty: DifficultyKind | None = None,
) -> Iterator[RunPoints]:
    """The points of a run whose results are written, one benchmark after another.

    Args:
        name: what to call the run.
        benchmark: only this one; nothing where the run has not got it.
        level: only problems of this level.
        difficulty: also estimate it, and for pass@1 what each half of the samples reaches.

    Raises:
        UsageError: the run cannot be read, or no problem is of that level.
    """
    plan: dict[str, Any] = json.loads(store.meta(PLAN) or '{"benchmarks": {}}')
    model = json.loads(store.meta(MODEL) or "null") or NO_MODEL
    judging = judged_by(store, plan.get("reward"), ModelInfo(**model))
    for one in plan["benchmarks"]:
        if benchmark in (None, one):
            yield _Reader(store, name, plan, model, judging, one, level).read(difficulty)


class _Reader:
    """One benchmark of one run."""

    def __init__(
        self,
        store: RunStore,
        name: str,
        plan: Mapping[str, Any],
        model: Mapping[str, Any],
        judging: JudgedBy | None,
        benchmark: str,
        level: str | None,
    ) -> None:
        self.store, self.name, self.plan, self.model = store, name, plan, model
        self.judging, self.benchmark = judging, benchmark
        self.seed: int | None = store.config.get("seed")
        problems = list(store.problems(benchmark))
        if level is not None and all(p.level != level for p in problems):
            raise unknown("level", level, sorted({p.level for p in problems if p.level}))
        self.keys = [key_of(p) if level in (None, p.level) else None for p in problems]
        self.clusters = {
            key: p.source or p.id
            for key, p in zip(self.keys, problems, strict=True)
            if key is not None
        }
        last = store.last_evaluation()
        self.version = last.weight_version
        self.notes: list[str] = (
            [f"{name}: the weights of step {last.step:,}, the last evaluated."] if last.step else []
        )
        self._stored: dict[str, list[StoredProblem]] = {}

    def read(self, difficulty: DifficultyKind | None) -> RunPoints:
        task: Mapping[str, str] = self.plan["benchmarks"][self.benchmark]["strategies"]
        strategies = {spelled: parse(spelled) for spelled in task}
        averaged = {pool for s, pool in task.items() if strategies[s].name == "cot"}
        # of strategies that differ in n alone the largest pool has the best estimate at any size
        found: dict[tuple[str, int], Point] = {}
        for spelled in sorted(strategies, key=lambda s: strategies[s].n):
            strategy = strategies[spelled]
            for point in self._points(spelled, strategy, halves=difficulty == "pass@1"):
                one_of_one = is_subset(strategy) and strategy.name != "cot" and point.size == 1
                if not (one_of_one and task[spelled] in averaged):  # the same samples as `cot`
                    found[point.series, point.size] = point
        order = list(dict.fromkeys(series_of(s) for s in strategies.values()))
        points = sorted(found.values(), key=lambda p: (order.index(p.series), p.size))
        return RunPoints(
            self.name,
            self.model,
            self.benchmark,
            self.clusters,
            points,
            self._difficulty(difficulty, strategies) if difficulty else None,
            self.notes,
        )

    def _points(self, spelled: str, strategy: AnyStrategy, *, halves: bool) -> Iterator[Point]:
        measured = self._measured(spelled)
        searching = isinstance(strategy, Search)
        blind = strategy.scorer and all(m.unscored == len(m.tokens) for m in measured)
        if blind and (not searching or any(any(m.tokens) for m in measured)):
            self.notes.append(
                f"{self.name}: {spelled} is left out: no completion has a {strategy.scorer} score."
            )
            return
        samples = sum(m.samples for m in measured)
        cut = None
        if samples and not ends_unknown(self.plan["benchmarks"][self.benchmark], spelled):
            cut = sum(m.truncated for m in measured) / samples
        sides: list[Mapping[int, Column]] = []
        if halves and is_subset(strategy):
            sides = [
                columns_of(strategy, list(self.clusters), self._measured(spelled, parity))
                for parity in (0, 1)
            ]
        for size, column in columns_of(strategy, list(self.clusters), measured).items():
            yield Point(
                run=self.name,
                series=series_of(strategy),
                label=series_of(strategy)
                if strategy.name == "cot"  # its mean over n samples is what one of them is worth
                else spell(strategy.model_copy(update={"n": size})),
                size=size,
                ceiling=strategy.metric == "pass@k" and size > 1,
                truncated=cut,
                column=column,
                halves=(sides[0][size], sides[1][size])
                if sides and all(size in side for side in sides)
                else None,
                searched=searching,
                seed=self.seed,
            )

    def _measured(self, spelled: str, parity: int | None = None) -> list[Measured]:
        pool: str = self.plan["benchmarks"][self.benchmark]["strategies"][spelled]
        if pool not in self._stored:
            samples = self.store.samples(self.benchmark, pool, self.version)
            every = zip(self.keys, samples, strict=True)
            self._stored[pool] = [stored for key, stored in every if key is not None]
        problems = self._stored[pool]
        if parity is not None:
            problems = [_half(stored, parity) for stored in problems]
        return measured_of(
            self.store,
            self.plan,
            self.benchmark,
            spelled,
            self.judging,
            problems=problems,
            weight_version=self.version,
        )

    def _difficulty(
        self, kind: DifficultyKind, strategies: Mapping[str, AnyStrategy]
    ) -> Difficulty | None:
        """Of the largest pool that can tell; of equal ones the first."""
        able = [
            spelled
            for spelled, s in strategies.items()
            if is_subset(s)
            and (s.scorer == REWARD if kind == "reward" else True)
            and (s.n > 1 or kind == "reward")
        ]
        if not able:
            return None
        spelled = max(able, key=lambda s: (strategies[s].n, strategies[s].name == "cot"))
        estimate = {"pass@1": _pass_at_1, "reward": _mean_reward, "votes": _largest_share}[kind]
        parts = [
            {
                key: estimate(m)
                for key, m in zip(self.clusters, self._measured(spelled, parity), strict=True)
            }
            for parity in ((0, 1) if kind == "pass@1" else (None,))
        ]
        return Difficulty(f"{self.name}, {spelled}", strategies[spelled].n, tuple(parts), self.seed)


def key_of(problem: Problem) -> str:
    """The same for the same problem in any run: by its id, its text and its gold answer."""
    said = json.dumps([problem.question.text, problem.gold])
    return f"{problem.id} {hashlib.sha256(said.encode()).hexdigest()[:16]}"


def _half(stored: StoredProblem, parity: int) -> StoredProblem:
    return stored._replace(samples=tuple(s for s in stored.samples if s.sample % 2 == parity))


def columns_of(
    strategy: AnyStrategy, keys: Sequence[str], measured: Sequence[Measured]
) -> dict[int, Column]:
    """What a strategy reaches at every size that its rows in results.json have.

    Args:
        keys: of the problems (`key_of`), in the order of `measured`.
        measured: as the strategy sees its samples.

    Returns:
        By size; empty where nothing is graded.
    """
    held = max((m.pool.graded for m in measured), default=0)
    if held == 0:
        return {}
    held = max(len(m.pool.correct) for m in measured)
    most = held if isinstance(strategy, Search) else min(strategy.n, held)
    if not is_subset(strategy):
        sizes = {strategy.n: most}
    elif strategy.name == "cot":
        sizes = {1: 1}
    else:
        sizes = {k: k for k in sorted({*powers_of_two(most), most})}
    values = problem_scores(
        [m.pool for m in measured], strategy.metric, list(sizes.values())
    ).values
    return {
        size: {
            key: Reached(float(score), _known(policy_tokens(size, m)))
            for key, m, score in zip(keys, measured, values[:, column], strict=True)
        }
        for column, size in enumerate(sizes)
    }


def is_subset(strategy: AnyStrategy) -> bool:
    """Whether any of its samples make a smaller one of it: it neither searches nor has an order."""
    return not isinstance(strategy, Search | Adaptive)


def series_of(strategy: AnyStrategy) -> str:
    """The strategy with its options, without its size."""
    options = spell(strategy).partition(":")[2]
    return f"{strategy.name}:{options}" if options and options_of(strategy) else strategy.name


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _pass_at_1(m: Measured) -> float:
    graded = m.pool.graded
    return sum(v is True for v in m.pool.correct) / graded if graded else math.nan


def _mean_reward(m: Measured) -> float:
    known = [s for s in m.pool.scores or () if s is not None and math.isfinite(s)]
    return math.fsum(known) / len(known) if known else math.nan


def _largest_share(m: Measured) -> float:
    """Of all samples: those that abstain agree with nobody."""
    votes = [c for c in m.pool.classes if c >= 0]
    return max((votes.count(c) for c in set(votes)), default=0) / max(1, len(m.pool.classes))


def no_difficulty(benchmark: str, kind: DifficultyKind) -> UsageError:
    """What to say where no run of a benchmark has the samples that an estimate takes."""
    needed = {
        "pass@1": "a strategy that draws two completions or more (such as cot@64)",
        "reward": "draws scored by a reward model (such as wbon@16 with --reward)",
        "votes": "a strategy that draws two completions or more (such as maj@64)",
    }[kind]
    return UsageError(f"{benchmark}: --difficulty {kind} needs {needed} in one of the runs.")
