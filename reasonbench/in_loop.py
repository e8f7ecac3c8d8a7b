"""Evaluation in the loop: the same strategies and statistics on every version of the weights.

The engine is the trainer's own, live; completions, verdicts and rows of the table are kept by weight
version in the trainer's run. Seeds depend on the problem and the sample alone, so two versions are
asked the same questions with the same randomness: their points are paired.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from reasonbench import plan
from reasonbench.config import EvalConfig, Name, Names, make
from reasonbench.engines.base import Engine
from reasonbench.errors import UsageError, unknown
from reasonbench.evaluate import describe
from reasonbench.generate import Limits, Observer, Outcome, generate
from reasonbench.grading.graders import Graders
from reasonbench.rewarding import described, reward_config, reward_name, share
from reasonbench.rewards.base import Reward
from reasonbench.runs import RunStore
from reasonbench.runs.run import read_results
from reasonbench.runs.tables import is_headline
from reasonbench.runs.training import Evaluation
from reasonbench.searching import Judging
from reasonbench.strategies import spell
from reasonbench.summary import MODEL, PLAN, REWARD, regrade, summarise
from reasonbench.types import Completion, Problem, Verdict


@dataclass(frozen=True, slots=True)
class EvalPoint:
    """What one evaluation says of one strategy on one benchmark.

    Attributes:
        benchmark: its name.
        strategy: as it was asked for ("wbon@8").
        step: of the trainer.
        version: of the weights.
        accuracy: in [0, 1]; NaN where nothing could be graded.
        interval: 95 %, over problems.
        length: mean tokens of a completion (of a search: of a solution).
        n: samples of each problem.
        problems: how many were asked.
        truncated: share of the samples that the token limit cut.
    """

    benchmark: str
    strategy: str
    step: int
    version: int
    accuracy: float
    interval: tuple[float, float]
    length: float
    n: int
    problems: int
    truncated: float = 0.0


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
    """Which accuracy chooses the best checkpoint, as "benchmark/strategy"; the first strategy on the
    first benchmark where not given."""
    patience: int | None = Field(None, ge=1)
    """Stop training after this many evaluations without a better one; never where not given."""
    protocol: Name | None = None
    """Protocol preset; each benchmark's own where not given."""
    data: Path | None = None
    """Folder of local benchmark files; the hub where not given."""
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


class Evaluations:
    """Evaluates one version of the weights after another into one run.

    Attributes:
        points: of every finished evaluation, in the order of their steps; of earlier sessions too.
    """

    points: list[EvalPoint]

    def __init__(
        self,
        store: RunStore,
        config: EvalConfig,
        graders: Graders,
        *,
        observer: Observer | None = None,
        reward: Reward | None = None,
    ) -> None:
        """Plan the evaluations; nothing is loaded but benchmarks.

        Args:
            config: with one model, which names the pools: the same for every version.
            observer: is told of every completion.
            reward: judge with this one instead of opening the configured one (it stays open).

        Raises:
            UsageError: an unknown name, or settings that contradict each other.
        """
        raise NotImplementedError

    async def evaluate(
        self, engine: Engine, *, step: int, version: int, stop: asyncio.Event | None = None
    ) -> list[EvalPoint]:
        """Evaluate the weights that the engine holds now; what is stored of it is not made again.

        Args:
            engine: whose completions are stamped with `version`.
            stop: set it to stop early; what is finished stays, and the next call goes on.

        Returns:
            A point for each strategy on each benchmark; none where it was stopped.

        Raises:
            ValueError: the engine stamps its completions with another version.
            UsageError: the reward cannot be opened.
            EngineDeadError: the engine or the reward died.
        """
        raise NotImplementedError

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all evaluations: not to be counted as training."""
        raise NotImplementedError

    @property
    def tokens(self) -> int:
        """Tokens decoded by all evaluations: not to be counted as training."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close the reward, if this opened one. Safe to call twice."""
        raise NotImplementedError


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
        raise NotImplementedError

    def is_due(self, step: int) -> bool:
        """Whether to evaluate after this many steps (0: before the first)."""
        raise NotImplementedError

    @property
    def best(self) -> EvalPoint | None:
        """The best point by `keep_best_by`; None before the first."""
        raise NotImplementedError

    @property
    def should_stop(self) -> bool:
        """Whether `patience` is used up."""
        raise NotImplementedError


def best_of(points: Sequence[EvalPoint], by: str) -> EvalPoint | None:
    """The point of highest accuracy of one strategy on one benchmark.

    Of equal ones the earliest: a later one must be better to replace it.

    Args:
        by: "benchmark/strategy".
    """
    chosen = [p for p in points if f"{p.benchmark}/{p.strategy}" == by and p.accuracy == p.accuracy]
    return max(chosen, key=lambda p: (p.accuracy, -p.step), default=None)


def is_exhausted(points: Sequence[EvalPoint], by: str, patience: int | None) -> bool:
    """Whether the last `patience` evaluations brought nothing better than what was before them."""
    if patience is None:
        return False
    best = best_of(points, by)
    steps = {p.step for p in points if f"{p.benchmark}/{p.strategy}" == by}
    return best is not None and sum(step > best.step for step in steps) >= patience
