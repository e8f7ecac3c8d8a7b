"""Evaluation in the loop of a trainer: its own engine, live, asked every so many steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from reasonbench.config import EvalConfig, Fields, Name, Names, make
from reasonbench.errors import unknown
from reasonbench.evaluations import EvalPoint, Evaluations
from reasonbench.generate import Observer
from reasonbench.grading.graders import Graders
from reasonbench.rewards.base import Reward
from reasonbench.runs import RunStore

__all__ = [
    "EvalPoint",
    "InLoop",
    "LoopEval",
    "as_eval",
    "best_of",
    "checked_by",
    "is_comparable",
    "is_exhausted",
]

MOST_UNGRADED = 0.05
"""Share of ungraded samples up to which an evaluation may be the best: beyond it, what failed could
outweigh what was learned."""


class LoopEval(BaseModel):
    """What is evaluated while a model is trained, and what follows from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    every: int = Field(20, ge=1)
    """Steps between two evaluations."""
    at_start: bool = True
    """Also evaluate the weights that training starts from."""
    strategies: Names = Field(default_factory=lambda: ["cot@8"])
    """Strategies, as name@n:option=value,…"""
    benchmarks: Names = Field(default_factory=lambda: ["builtin-arithmetic"])
    """Benchmarks by name, or files of one's own."""
    limit: int | None = Field(None, ge=1)
    """Take the fixed subset of this many problems of each benchmark."""
    budget: int | None = Field(None, ge=1)
    """Policy-equivalent tokens of each problem at which every strategy is stopped."""
    keep_best_by: Name | None = None
    """Which accuracy chooses the best checkpoint, as "benchmark/strategy"; the first strategy on
    the first benchmark where not given."""
    patience: int | None = Field(None, ge=1)
    """Stop training after this many evaluations without a better one; never where not given."""
    protocol: Name | None = None
    """Protocol preset; each benchmark's own where not given."""
    data: Path | None = None
    """Folder of local benchmark files; the hub where not given."""
    fields: Fields = Field(default_factory=Fields)
    """Field names of benchmark files of one's own."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of the evaluations: equal at every step."""
    reward: Name | None = None
    """Model that judges for strategies that need one: "builtin-prm", a folder or a hub id."""
    reward_kind: Name = "auto"
    """How the reward is spoken to (list rewards)."""
    reward_engine: Name = "auto"
    """What runs the reward: vllm, transformers, or auto."""
    reward_arg: dict[str, Any] = Field(default_factory=dict)
    """Options of the reward."""
    reward_memory: float | None = Field(None, gt=0, lt=1)
    """Share of a GPU's memory for the reward."""


class InLoop(Evaluations):
    """Evaluations every so many steps of a trainer, and what follows from them."""

    def __init__(
        self,
        store: RunStore,
        config: LoopEval,
        graders: Graders,
        *,
        model: str | None = None,
        observer: Observer | None = None,
        reward: Reward | None = None,
    ) -> None:
        """Open it once for each training run, after `store.rewind` where that is resumed.

        Args:
            store: of the training run, open for writing.
            model: how reports name the model; what the run's configuration says by default.

        Raises:
            UsageError: an unknown name, or settings that contradict each other.
        """
        name = model or str(store.config.get("model") or store.folder.resolve().name)
        self._every, self._at_start = config.every, config.at_start
        self._patience = config.patience
        super().__init__(
            store,
            as_eval(config, name),
            graders,
            groups=False,
            observer=observer,
            reward=reward,
        )
        self.by = checked_by(config, self.benchmarks)

    def is_due(self, step: int) -> bool:
        """Whether to evaluate after this many steps (0: before the first)."""
        return step % self._every == 0 and (step > 0 or self._at_start)

    @property
    def best(self) -> EvalPoint | None:
        """The best point by `keep_best_by`; None before the first."""
        return best_of(self.points, self.by)

    @property
    def should_stop(self) -> bool:
        """Whether `patience` is used up."""
        return is_exhausted(self.points, self.by, self._patience)


def as_eval(config: LoopEval, model: str) -> EvalConfig:
    """The settings as an evaluation of one model has them.

    Raises:
        UsageError: settings that contradict each other.
    """
    own = config.model_dump(
        exclude={"every", "at_start", "strategies", "benchmarks", "keep_best_by", "patience"},
        exclude_defaults=True,
    )
    return make(
        {
            **own,
            "model": [model],
            "benchmark": list(config.benchmarks),
            "strategy": list(config.strategies),
        }
    )


def checked_by(config: LoopEval, names: Sequence[str]) -> str:
    """What chooses the best checkpoint, as "benchmark/strategy".

    Args:
        names: of the benchmarks.

    Raises:
        UsageError: it is not among what is evaluated.
    """
    known = [f"{name}/{strategy}" for name in names for strategy in config.strategies]
    if config.keep_best_by is None:
        return known[0]
    if config.keep_best_by not in known:
        raise unknown("evaluation to keep the best checkpoint by", config.keep_best_by, known)
    return config.keep_best_by


def best_of(points: Sequence[EvalPoint], by: str) -> EvalPoint | None:
    """The point of highest accuracy of one strategy on one benchmark.

    Of equal ones the earliest: a later one must be better to replace it. Points that cannot be
    compared are left out (see `is_comparable`).

    Args:
        by: "benchmark/strategy".
    """
    return max(_chosen(points, by), key=lambda p: (p.accuracy, -p.step), default=None)


def is_exhausted(points: Sequence[EvalPoint], by: str, patience: int | None) -> bool:
    """Whether the last `patience` evaluations brought nothing better than what was before them.

    Evaluations that cannot be compared count neither way.
    """
    if patience is None:
        return False
    best = best_of(points, by)
    steps = {p.step for p in _chosen(points, by)}
    return best is not None and sum(step > best.step for step in steps) >= patience


def is_comparable(point: EvalPoint) -> bool:
    """Whether its accuracy is that of the samples, and not of the few that could be judged."""
    return point.accuracy == point.accuracy and point.ungraded <= MOST_UNGRADED


def _chosen(points: Sequence[EvalPoint], by: str) -> list[EvalPoint]:
    return [p for p in points if f"{p.benchmark}/{p.strategy}" == by and is_comparable(p)]
