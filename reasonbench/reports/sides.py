"""One side of a comparison: a run, the weights of one of its steps, or one of its strategies.

Read from the store alone: nothing is drawn, graded or classed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reasonbench.costs import Measured
from reasonbench.errors import UsageError, unknown
from reasonbench.points import Column, columns_of, is_subset, key_of, series_of
from reasonbench.reports.contrast import Counts
from reasonbench.results import JudgedBy
from reasonbench.runs import RunStore, is_run
from reasonbench.runs.run import read_results
from reasonbench.runs.stored import Series, StoredProblem
from reasonbench.runs.tables import model_label
from reasonbench.runs.training import Evaluation
from reasonbench.strategies import AnyStrategy, parse, spell
from reasonbench.summary import MODEL, NO_MODEL, PLAN, ends_unknown, judged_by, measured_of
from reasonbench.types import ModelInfo, Problem

_STEP = re.compile(r"@(?P<step>\d+)(?::(?P<strategy>.+))?", re.DOTALL)


class SideSpec(NamedTuple):
    """What a side is: `RUN`, `RUN@STEP`, `RUN:STRATEGY` or `RUN@STEP:STRATEGY`."""

    folder: Path
    step: int | None = None
    """Of the trainer; the last evaluated where it is not given."""
    strategy: str | None = None
    """As it is spelled on the command line; its size may be left out."""


def parse_side(text: str) -> SideSpec:
    """A side as it is given on the command line.

    The folder is the longest beginning that is one, so that its name may hold `@` and `:`.

    Raises:
        UsageError: no beginning is a folder, or what follows it is no step and no strategy.
    """
    ends = [len(text), *(i for i in range(len(text) - 1, 0, -1) if text[i] in "@:")]
    for end in ends:
        folder, rest = Path(text[:end]), text[end:]
        if not folder.is_dir():
            continue
        if not rest:
            return SideSpec(folder)
        if rest[0] == ":" and rest[1:]:
            return SideSpec(folder, None, rest[1:])
        match = _STEP.fullmatch(rest)
        if match:
            return SideSpec(folder, int(match["step"]), match["strategy"])
        raise UsageError(
            f"{rest!r} after {folder} is neither @STEP nor :STRATEGY (as in {folder}:maj@16 or "
            f"{folder}@200:cot)."
        )
    raise UsageError(f"run {text} does not exist.")


class Named(NamedTuple):
    """A strategy as a run has it."""

    spelled: str
    """As the run's plan has it."""
    strategy: AnyStrategy
    pool: str


@dataclass(frozen=True, eq=False)
class Curve:
    """A strategy at all its sizes.

    Attributes:
        columns: by size, in ascending order.
        counts: by problem, of the samples of each size that the run names, else of the largest.
        named: by size: which of the run's strategies it is estimated from.
        metric: of `reasonbench.metrics`.
    """

    columns: Mapping[int, Column]
    counts: Mapping[int, Mapping[str, Counts]]
    named: Mapping[int, Named]
    metric: str

    def label(self, size: int) -> str:
        """As it is spelled at a size; of `cot` any size is its mean."""
        strategy = self.named[size].strategy
        if strategy.name == "cot":
            return series_of(strategy)
        return spell(strategy.model_copy(update={"n": size}))


class Side:
    """An open side; use `open_side`.

    Attributes:
        name: short, and unlike the other side's.
        model: its label, with the step of its weights.
        info: what is known of the model.
        results: what results.json holds.
        plan: benchmarks, strategies and the settings of their pools.
        evaluation: which weights; of step 0 in a run that is no training.
        trained: whether the run has evaluations by step.
    """

    def __init__(self, store: RunStore, spec: SideSpec, name: str) -> None:
        self.store, self.spec, self.name = store, spec, name
        self.results = read_results(spec.folder)  # written when answers are classed and graded
        self.plan: dict[str, Any] = json.loads(store.meta(PLAN) or '{"benchmarks": {}}')
        self.info = ModelInfo(**(json.loads(store.meta(MODEL) or "null") or NO_MODEL))
        done = [e for e in store.evaluations() if e.complete]
        self.trained = bool(done)
        self.evaluation = self._evaluation(done)
        step = f", step {self.evaluation.step:,}" if self.trained else ""
        self.model = model_label(self.results["model"]) + step
        self._judging = judged_by(store, self.plan.get("reward"), self.info)
        self._last: tuple[Series, list[StoredProblem]] | None = None
        self._problems: dict[str, dict[str, Problem]] = {}

    @property
    def identity(self) -> tuple[Path, int]:
        """The folder and the weights: equal for the same run at the same step."""
        return self.spec.folder.resolve(), self.evaluation.weight_version

    @property
    def benchmarks(self) -> list[str]:
        """Of its plan."""
        return list(self.plan["benchmarks"])

    @property
    def complete(self) -> bool:
        """Whether everything that was planned is there."""
        return bool(self.results["run"].get("complete", True))

    def problems(self, benchmark: str) -> dict[str, Problem]:
        """By what makes them the same in any run (`key_of`), in their order."""
        if benchmark not in self._problems:
            self._problems[benchmark] = {key_of(p): p for p in self.store.problems(benchmark)}
        return self._problems[benchmark]

    def strategies(self, benchmark: str) -> dict[str, list[Named]]:
        """By series: those that differ in size alone, in ascending order."""
        task: Mapping[str, str] = self.plan["benchmarks"][benchmark]["strategies"]
        found: dict[str, list[Named]] = {}
        for spelled, pool in task.items():
            strategy = parse(spelled)
            found.setdefault(series_of(strategy), []).append(Named(spelled, strategy, pool))
        return {
            series: sorted(those, key=lambda one: one.strategy.n) for series, those in found.items()
        }

    def curve(self, benchmark: str, series: str) -> Curve:
        """What a series reaches at every size; without columns where nothing is graded or scored.

        At each size the estimate is of the largest pool that can give it.
        """
        keys = list(self.problems(benchmark))
        columns: dict[int, Column] = {}
        named: dict[int, Named] = {}
        counts: dict[int, Mapping[str, Counts]] = {}
        those = self.strategies(benchmark)[series]
        for one in those:
            measured = self._measured(benchmark, one)
            if one.strategy.scorer and all(m.unscored == len(m.tokens) for m in measured):
                continue  # choosing among them would be chance
            unknown = ends_unknown(self.plan["benchmarks"][benchmark], one.spelled)
            mine = {
                key: _counts(m, ends_unknown=unknown) for key, m in zip(keys, measured, strict=True)
            }
            for size, column in columns_of(one.strategy, keys, measured).items():
                columns[size], named[size] = column, one
                if size == one.strategy.n or is_subset(one.strategy):
                    counts[size] = mine
        order = sorted(columns)
        return Curve(
            {size: columns[size] for size in order}, counts, named, those[-1].strategy.metric
        )

    def settings(self, benchmark: str, pool: str) -> dict[str, Any]:
        """How a pool was drawn, and what its benchmark was."""
        task = self.plan["benchmarks"][benchmark]
        return {
            **{key: task.get(key) for key in ("protocol", "source", "revision")},
            **task.get("pools", {}).get(pool, {}),
        }

    def judged_by(self, benchmark: str, one: Named) -> str | None:
        """The name of the reward model that a strategy chooses by; None where it has none."""
        task = self.plan["benchmarks"][benchmark]
        searched: str | None = task.get("searched_by", {}).get(one.pool)
        chosen: str | None = self.plan.get("reward") if one.strategy.scorer == "reward" else None
        return searched or chosen

    def _measured(self, benchmark: str, one: Named) -> list[Measured]:
        series = Series(benchmark, one.pool, self.evaluation.weight_version)
        if self._last is None or self._last[0] != series:
            self._last = series, list(self.store.samples(*series))
        judging: JudgedBy | None = self._judging
        return measured_of(
            self.store,
            self.plan,
            benchmark,
            one.spelled,
            judging,
            problems=self._last[1],
            weight_version=series.weight_version,
        )

    def _evaluation(self, done: Sequence[Evaluation]) -> Evaluation:
        if self.spec.step is None:
            return self.store.last_evaluation()
        for evaluation in done:
            if evaluation.step == self.spec.step:
                return evaluation
        if not done:
            raise UsageError(f"{self.spec.folder} has no evaluations by step: leave @STEP out.")
        raise unknown("step", str(self.spec.step), [str(e.step) for e in done])


@contextmanager
def open_side(spec: SideSpec, name: str) -> Iterator[Side]:
    """A side, its store open for reading.

    Raises:
        UsageError: there is no run, it has no results yet, or the weights were never evaluated.
    """
    if not is_run(spec.folder):
        raise UsageError(
            f"{spec.folder} holds no run (no config.toml with a run.db beside it): name one run on "
            "each side."
        )
    with RunStore.open(spec.folder) as store:
        yield Side(store, spec, name)


def _counts(m: Measured, *, ends_unknown: bool) -> Counts:
    return Counts(m.samples, None if ends_unknown else m.truncated, m.no_answer, m.ungraded)
