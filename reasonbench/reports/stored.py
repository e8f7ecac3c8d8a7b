"""What a report needs of the stored samples: one pass over each pool, problem by problem.

A pool's samples are read once, and every strategy that draws from it sees them as results.json
does (reasonbench.results.measure). Only numbers are kept, so that memory does not grow with texts.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from reasonbench.metrics import problem_scores
from reasonbench.points import is_subset, key_of
from reasonbench.reports.columns import Drawn, DrawnColumns, Scored, ScoredColumns
from reasonbench.results import JudgedBy, Measured, measure
from reasonbench.rewarding import stored_as
from reasonbench.runs import RunStore, SampleKey
from reasonbench.runs.stored import Series, StoredProblem
from reasonbench.strategies import AnyStrategy, parse, spell
from reasonbench.strategies.base import REWARD
from reasonbench.summary import ends_unknown, judging_of, measured_of
from reasonbench.text import mixture

BATCH = 64
"""Problems whose samples are in memory at once."""

MIXED_RESPONSES = 10_000
MIXED_TOKENS = 2_000_000
"""So many responses of a pool, and tokens of them, are looked at for mixed languages; where there
are more, the first samples of the problems stand for the others."""

Plan = Mapping[str, Any]
"""As reasonbench.summary.PLAN holds it."""


@dataclass(frozen=True, eq=False)
class PoolFacts:
    """One pool of one benchmark: P problems.

    Attributes:
        strategies: that draw from it, as results.json spells them.
        exchangeable: its samples are drawn independently, one as good as another: no solutions of
            a search, nor drawn by rules that stop early alone.
        keys, ids, sources, levels, subjects: [P] of the problems, in their order.
        reached: by strategy, [P] the score of each problem at the k of the leaderboard; NaN
            without a graded sample. Oracles are not in it: they are not compared.
        ends_known: whether it is known which samples a limit cut.
        drawn: its samples.
        scored: them again, for each score that a strategy chooses by.
        mixed: how many responses mix languages.
        looked_at: how many were looked at for that.
        responses: how many there are.
    """

    benchmark: str
    pool: str
    strategies: tuple[str, ...]
    exchangeable: bool
    keys: Sequence[str]
    ids: Sequence[str]
    sources: Sequence[str]
    levels: Sequence[str | None]
    subjects: Sequence[str | None]
    reached: Mapping[str, Sequence[float]]
    ends_known: bool
    drawn: Drawn
    scored: Sequence[Scored]
    mixed: int
    looked_at: int
    responses: int


def read_pools(
    store: RunStore,
    plan: Plan,
    benchmark: str,
    judging: JudgedBy | None,
    version: int,
    lengths: Mapping[str, float],
) -> Iterator[PoolFacts]:
    """The pools of a benchmark that strategies draw from, one after another.

    Args:
        judging: the run's reward.
        version: of the weights.
        lengths: mean tokens of a response, by strategy as results.json spells it.

    Raises:
        UsageError: a strategy is not known here, or the store cannot be read.
    """
    by_pool: dict[str, list[str]] = {}
    for spelled, pool in plan["benchmarks"][benchmark].get("strategies", {}).items():
        by_pool.setdefault(pool, []).append(spelled)
    for pool, asked in by_pool.items():
        with _no_collector():
            facts = _read(store, plan, Series(benchmark, pool, version), asked, judging, lengths)
        yield facts


@contextmanager
def _no_collector() -> Iterator[None]:
    """Samples hold no cycles, and looking for some takes a quarter of the time of reading them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(
    store: RunStore,
    plan: Plan,
    series: Series,
    asked: Sequence[str],
    judging: JudgedBy | None,
    lengths: Mapping[str, float],
) -> PoolFacts:
    task = plan["benchmarks"][series.benchmark]
    views = [_View(one, parse(one), judging_of(store, task, one, judging)) for one in asked]
    names = [spell(view.strategy) for view in views]
    reached: list[list[float]] = [[] for _ in views]
    scored = _score_columns(views)
    drawn = DrawnColumns()
    whole = plan.get("budget") is not None
    mixing = _Mixing(store, series, max((lengths.get(n, 0.0) for n in names), default=0.0))
    problems: list[StoredProblem] = []
    for batch in _batches(store, series, whole=whole, text=mixing.all and not whole):
        first = len(problems)
        for i, view in enumerate(views):
            if is_oracle(view.strategy):
                continue
            measured = _measured(store, plan, series, view, batch)
            reached[i] += headline_scores(view.strategy, measured)
            if i in scored:
                for number, m in enumerate(measured, first):
                    scored[i].add(number, m)
        for number, stored in enumerate(batch, first):
            drawn.add(number, stored.samples)
            mixing.look(number, stored)
            problems.append(stored._replace(samples=()))
    return PoolFacts(
        benchmark=series.benchmark,
        pool=series.pool,
        strategies=tuple(names),
        exchangeable=any(is_subset(view.strategy) for view in views),
        keys=[key_of(p.problem) for p in problems],
        ids=[p.problem.id for p in problems],
        sources=[p.problem.source or p.problem.id for p in problems],
        levels=[p.problem.level for p in problems],
        subjects=[p.problem.subject for p in problems],
        reached={
            name: scores
            for name, scores, view in zip(names, reached, views, strict=True)
            if not is_oracle(view.strategy)
        },
        ends_known=not any(ends_unknown(task, one) for one in asked),
        drawn=drawn.whole(),
        scored=[columns.whole() for columns in scored.values()],
        mixed=mixing.mixed,
        looked_at=mixing.looked_at,
        responses=mixing.responses,
    )


@dataclass(frozen=True)
class _View:
    """A strategy as the plan spells it, and what judges for it."""

    asked: str
    strategy: AnyStrategy
    judging: JudgedBy | None

    @property
    def scorer(self) -> str | None:
        if self.strategy.scorer == REWARD and self.judging is not None:
            return stored_as(self.judging.name, self.strategy)
        return self.strategy.scorer


def is_oracle(strategy: AnyStrategy) -> bool:
    """Whether it takes the gold answer to choose."""
    return strategy.metric == "pass@k" and strategy.name != "cot"


def headline_scores(strategy: AnyStrategy, measured: Sequence[Measured]) -> list[float]:
    """Each problem's score at the k that stands in the leaderboard; NaN without a graded sample.

    That is 1 for `cot`, and for all others every sample that the problem has: a vote or a choice
    among all, which needs no random subsets.
    """
    pools = [m.pool for m in measured]
    held = max((len(pool.correct) for pool in pools), default=0)
    if not held:
        return [float("nan")] * len(pools)
    k = 1 if strategy.name == "cot" else held
    scores: list[float] = problem_scores(pools, strategy.metric, [k]).values[:, 0].tolist()
    return scores


def _measured(
    store: RunStore, plan: Plan, series: Series, view: _View, batch: Sequence[StoredProblem]
) -> list[Measured]:
    if plan.get("budget") is None:  # then neither what tests cost nor what a reward read matters
        return [measure(stored, view.strategy, (), view.judging) for stored in batch]
    return measured_of(
        store,
        plan,
        series.benchmark,
        view.asked,
        view.judging,
        problems=batch,
        weight_version=series.weight_version,
    )


def _batches(
    store: RunStore, series: Series, *, whole: bool, text: bool
) -> Iterator[list[StoredProblem]]:
    """The problems of a series with their samples, some at a time or all at once."""
    problems = store.samples(*series, text=text)
    while batch := list(islice(problems, None if whole else BATCH)):
        yield batch


def _score_columns(views: Sequence[_View]) -> dict[int, ScoredColumns]:
    """One for each way to score the pool's samples, by the first view that does it.

    Solutions of a search were chosen by their score, and rules that stop early look at part of
    the samples: neither says how good a score is.
    """
    found: dict[tuple[str, str], int] = {}
    for i, view in enumerate(views):
        strategy = view.strategy
        if view.scorer is not None and is_subset(strategy) and not strategy.public:
            aggregated = strategy.aggregated if strategy.scorer == REWARD else ""
            found.setdefault((view.scorer, aggregated), i)
    return {i: ScoredColumns(spell(views[i].strategy), name) for (name, _), i in found.items()}


class _Mixing:
    """Counts responses that mix languages.

    Attributes:
        all: every response is looked at.
        responses: so many there are.
        looked_at: so many were looked at.
        mixed: so many of these mix languages.
    """

    def __init__(self, store: RunStore, series: Series, length: float) -> None:
        self.store, self.series = store, series
        self.mixed = self.looked_at = 0
        self.responses = store.count(*series).completions
        most = min(MIXED_RESPONSES, int(MIXED_TOKENS / max(1.0, length)))
        problems = sum(1 for _ in store.problems(series.benchmark))
        self.all = self.responses <= most
        self._below = max(1, most // max(1, problems))
        self._stride = max(1, -(-problems // max(1, most)))

    def look(self, number: int, stored: StoredProblem) -> None:
        """Look at those responses to a problem that are looked at."""
        if not self.all and number % self._stride:
            return
        question = stored.problem.question
        for sample in stored.samples:
            if sample.finish is None or not (self.all or sample.sample < self._below):
                continue
            text = self._text(stored, sample.sample) if sample.text is None else sample.text
            self.looked_at += 1
            # letters of English alone are one language
            self.mixed += not text.isascii() and mixture(text, question.text).mixed

    def _text(self, stored: StoredProblem, sample: int) -> str:
        benchmark, pool, version = self.series
        key = SampleKey(benchmark, stored.problem.id, pool, version, sample)
        return self.store.completion(key).text
