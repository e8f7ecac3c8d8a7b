"""What a run of reinforcement learning tells while it goes, and at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from reasonbench.in_loop import EvalPoint


@dataclass(frozen=True, slots=True)
class StepRow:
    """A finished step.

    Attributes:
        step: how many are done.
        steps: how many there will be.
        metrics: what was logged.
        tokens_per_second: decoded and trained tokens a wall-clock second of this step.
        seconds_left: at the mean pace of this session, evaluations left out.
    """

    step: int
    steps: int
    metrics: Mapping[str, float]
    tokens_per_second: float
    seconds_left: float


class Watcher(Protocol):
    """Who is told how the run goes."""

    def starting(self, model: str) -> None:
        """The engine is being started."""

    def noticed(self, sentence: str) -> None:
        """Something the user should know."""

    def stepped(self, row: StepRow) -> None:
        """A step is done and logged."""

    def evaluated(self, points: Sequence[EvalPoint]) -> None:
        """The weights of now were evaluated."""


class Silent:
    """A watcher that tells nobody."""

    def starting(self, model: str) -> None: ...
    def noticed(self, sentence: str) -> None: ...
    def stepped(self, row: StepRow) -> None: ...
    def evaluated(self, points: Sequence[EvalPoint]) -> None: ...


@dataclass(frozen=True, slots=True)
class Trained:
    """How a run ended.

    Attributes:
        folder: of the run.
        steps: done in all.
        why: "done", "patience" (no better evaluation for long) or "interrupted" (resumable).
        best: the best evaluation, whose model lies in `best/`; None without evaluations.
        metrics: of the last step of this session.
    """

    folder: Path
    steps: int
    why: str
    best: EvalPoint | None
    metrics: Mapping[str, float] = field(default_factory=dict)
