"""What a run store holds of a training run: metrics by step, and which evaluations there were."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

STEPS_AT_ONCE = 256
"""Steps read from the database at once: memory does not grow with the length of a run."""

EVALUATION = "evaluation:"
"""How the meta keys of evaluations begin; the weight version stands behind it."""

_VERSIONED = (
    "completions",
    "verdicts",
    "step_scores",
    "scorings",
    "nodes",
    "traces",
)
"""Tables whose rows belong to one version of the weights."""


class TrainingStep(NamedTuple):
    """What a trainer logged at one step."""

    step: int
    weight_version: int
    metrics: dict[str, float]
    """NaN where the trainer had no number."""


class Evaluation(NamedTuple):
    """One evaluation of one version of the weights."""

    weight_version: int
    step: int
    """Of the trainer, when it was made."""
    seconds: float = 0.0
    """Wall-clock seconds that it took, kills and resumptions included."""
    decode_tokens: int = 0
    """Tokens that it decoded."""
    reward_tokens: int = 0
    """Tokens that its reward read."""
    complete: bool = False
    """Every completion and search that was asked for is stored or failed for good."""


class TrainingReader:
    """The reading half."""

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def training(self, after: int = -1) -> Iterator[TrainingStep]:
        """What a trainer logged, step by step.

        Args:
            after: only steps beyond this one.
        """
        while steps := self._rows(
            "SELECT DISTINCT step FROM training WHERE step > ? ORDER BY step LIMIT ?",
            after,
            STEPS_AT_ONCE,
        ):
            found: dict[int, TrainingStep] = {}
            for step, version, metric, value in self._rows(
                "SELECT step, weight_version, metric, value FROM training "
                "WHERE step > ? AND step <= ? ORDER BY step, metric",
                after,
                steps[-1][0],
            ):
                row = found.setdefault(step, TrainingStep(step, version, {}))
                row.metrics[metric] = math.nan if value is None else float(value)
            yield from found.values()
            after = steps[-1][0]

    def last_step(self) -> int | None:
        """The last step that anything was logged at; None before the first."""
        ((step,),) = self._rows("SELECT MAX(step) FROM training")
        return None if step is None else int(step)

    def evaluations(self) -> list[Evaluation]:
        """Every evaluation in the loop, by weight version; finished or not."""
        rows = self._rows("SELECT value FROM meta WHERE key GLOB ?", f"{EVALUATION}*")
        return sorted(Evaluation(**json.loads(row[0])) for row in rows)

    def last_evaluation(self) -> Evaluation:
        """The latest finished evaluation; of weights 0 at step 0 in a run that is no training."""
        done = [evaluation for evaluation in self.evaluations() if evaluation.complete]
        return max(done, key=lambda e: e.step, default=Evaluation(0, 0))


class TrainingWriter:
    """The writing half."""

    def _put(
        self,
        sql: str,
        *rows: Sequence[Any],
        then: tuple[str, Sequence[Sequence[Any]]] | None = None,
    ) -> None:
        raise NotImplementedError

    def add_training(
        self, step: int, metrics: Mapping[str, float], *, weight_version: int = 0
    ) -> None:
        """Log a trainer's metrics at a step; a metric that is logged again replaces its value.

        It returns at once. NaN may be logged: it says that there is no number.
        """
        self._put(
            "INSERT OR REPLACE INTO training VALUES (?, ?, ?, ?)",
            *((step, metric, weight_version, float(value)) for metric, value in metrics.items()),
        )

    def add_evaluation(self, evaluation: Evaluation) -> None:
        """Note an evaluation; it replaces what was noted of its weight version."""
        self._put(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            (f"{EVALUATION}{evaluation.weight_version}", json.dumps(evaluation._asdict())),
        )

    def rewind(self, step: int, weight_version: int) -> None:
        """Forget what came after a checkpoint, before a trainer goes on from there.

        Metrics of later steps, and completions, verdicts, scores, searches and evaluations of later
        weights: they are made again, by weights that are equal only where training is exact.

        Args:
            step: the last one that the checkpoint holds.
            weight_version: of the weights that it holds.
        """
        self._put("DELETE FROM training WHERE step > ?", (step,))
        for table in _VERSIONED:
            self._put(f"DELETE FROM {table} WHERE weight_version > ?", (weight_version,))
        self._put(
            f"DELETE FROM meta WHERE key GLOB '{EVALUATION}*' "
            f"AND CAST(SUBSTR(key, {len(EVALUATION) + 1}) AS INTEGER) > ?",
            (weight_version,),
        )
