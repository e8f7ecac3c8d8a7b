"""A training run to be drawn: metrics by step, evaluations, and what they are drawn against.

Read from a run store, or from the `training.json` of a trainer that keeps none.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from reasonbench.errors import UsageError
from reasonbench.runs import RunStore, is_run
from reasonbench.runs.folder import RESULTS
from reasonbench.runs.run import read_results
from reasonbench.runs.tables import is_headline, strategy_label

LOG = "training.json"
"""What a trainer without a run store leaves in its model folder."""

Axis = Literal["step", "tokens", "flops", "gpu-hours", "time", "dollars"]
AXES: Mapping[Axis, str] = {
    "step": "step",
    "tokens": "tokens of training",
    "flops": "training FLOPs",
    "gpu-hours": "GPU-hours",
    "time": "wall time (minutes)",
    "dollars": "US dollars",
}
"""What curves are drawn against, and what stands below them."""

EVALUATED = (
    "metric", "n", "k", "weight_version", "problems", "truncated", "no_answer", "ungraded",
    "decode_tokens", "policy_tokens", "flops",
)  # fmt: skip
"""Fields of a row of results.json that an evaluation keeps."""


class Step(NamedTuple):
    """What was logged at one step."""

    step: int
    weight_version: int
    metrics: Mapping[str, float]
    """NaN where the trainer had no number."""


class Evaluated(NamedTuple):
    """One strategy on one benchmark with the weights of one step."""

    benchmark: str
    strategy: str
    step: int
    accuracy: float
    low: float
    high: float
    length: float | None
    """Mean tokens of a completion (of a search: of a solution)."""
    row: Mapping[str, Any]
    """`EVALUATED` of the row of results.json that it was taken from."""


class Stage(NamedTuple):
    """Where the weights went into another stage of training."""

    step: int
    """The last one before it."""
    name: str


@dataclass(frozen=True, slots=True)
class Training:
    """A training run.

    Attributes:
        name: in legends.
        steps: in their order.
        evaluations: in the order of their steps.
        gpu_price: US dollars per GPU-hour, or per hour of the machine where no GPU-seconds are
            logged; None where unknown.
        filtered: groups without variance were left out of batches and others sampled in their
            place: what is said of roll-outs is said of those that were kept.
        stages: where several trainings were joined, the beginning of each.
    """

    name: str
    steps: tuple[Step, ...]
    evaluations: tuple[Evaluated, ...]
    gpu_price: float | None = None
    filtered: bool = False
    stages: tuple[Stage, ...] = ()

    def places(self, axis: Axis) -> Callable[[int], float | None]:
        """Where a step stands on an axis: None where nothing says it.

        A step that did not log it stands where the last one before it did, at 0 before the first.
        """
        if axis == "step":
            return float
        logged = [(s.step, _place(s, axis, self.gpu_price)) for s in self.steps]
        known = [(step, place) for step, place in logged if place is not None]
        steps = [step for step, _ in known]

        def place(step: int) -> float | None:
            at = bisect_right(steps, step)
            return known[at - 1][1] if at else 0.0 if known else None

        return place

    @property
    def metrics(self) -> list[str]:
        """Every metric that was logged, in the order of the alphabet."""
        return sorted({name for step in self.steps for name in step.metrics})


def _place(step: Step, axis: Axis, price: float | None) -> float | None:
    m = step.metrics
    if axis == "step":
        return float(step.step)
    if axis == "tokens":
        parts = [m[name] for name in ("tokens_rollout", "tokens_trained") if name in m]
        return m.get("tokens", math.fsum(parts) if parts else None)
    if axis == "flops":
        return m.get("flops")
    if axis == "time":
        return m["seconds"] / 60 if "seconds" in m else None
    if axis == "gpu-hours":
        return m["gpu_seconds"] / 3600 if m.get("gpu_seconds") else None
    paid = m.get("gpu_seconds") or m.get("seconds")  # without a GPU the machine is what is paid
    return None if paid is None or price is None else price * paid / 3600


def read_training(folder: Path, name: str, *, gpu_price: float | None = None) -> Training:
    """The training run in a folder.

    Args:
        name: in legends.
        gpu_price: what the run's configuration says where it is not given.

    Raises:
        UsageError: there is none, nothing was logged, or its files are broken.
    """
    found = Training(name, (), (), gpu_price)
    if is_run(folder):
        with RunStore.open(folder) as store:
            config = store.config
            # seconds of a machine without a GPU are none of a GPU
            left_out = {"gpu_seconds"} if config.get("device") == "cpu" else set()
            steps = tuple(
                Step(
                    s.step, s.weight_version, {k: s.metrics[k] for k in s.metrics.keys() - left_out}
                )
                for s in store.training()
            )
            price = gpu_price if gpu_price is not None else config.get("gpu_price")
            problems = config.get("problems", math.inf)
            filtered = any(s.metrics.get("groups_sampled", 0.0) > problems for s in steps)
            made = {(e.weight_version, e.step) for e in store.evaluations() if e.complete}
        found = Training(name, steps, tuple(_evaluations(folder, made)), price, filtered)
    elif not is_training(folder):
        raise UsageError(f"{folder} holds no training run (no run.db and no {LOG}).")
    if not found.steps and (folder / LOG).is_file():
        found = replace(found, steps=tuple(_logged(folder / LOG)))
    if not found.steps and not found.evaluations:
        raise UsageError(f"{folder} holds no metrics of training and no evaluations by step yet.")
    return found


def is_training(folder: Path) -> bool:
    """Whether `read_training` may find something there."""
    return is_run(folder) or (folder / LOG).is_file()


def has_steps(folder: Path) -> bool:
    """Whether anything was logged or evaluated by step in the folder.

    Raises:
        UsageError: its files are broken.
    """
    if (folder / LOG).is_file():
        return True
    if not is_run(folder):
        return False
    with RunStore.open(folder) as store:
        return store.last_step() is not None or bool(store.evaluations())


def _evaluations(folder: Path, made: Set[tuple[int, int]]) -> Iterator[Evaluated]:
    """The headline rows of finished evaluations.

    Args:
        made: weight version and step of those that the store has. The table of a run that went
            back to a checkpoint has later ones too, until the next is written.
    """
    if not (folder / RESULTS).is_file():
        return
    rows = [
        row
        for row in read_results(folder)["rows"]
        if is_headline(row) and (row["weight_version"], row.get("step")) in made
    ]
    for row in sorted(rows, key=lambda row: int(row["step"])):
        if row["accuracy"] is None:
            continue
        low, high = row["interval"]
        yield Evaluated(
            benchmark=row["benchmark"],
            strategy=strategy_label(row),
            step=row["step"],
            accuracy=row["accuracy"],
            low=row["accuracy"] if low is None else low,
            high=row["accuracy"] if high is None else high,
            length=row.get("tokens_mean"),
            row={field: row.get(field) for field in EVALUATED},
        )


def _logged(path: Path) -> Iterator[Step]:
    """The rows of a trainer's own log."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["log"]
        for row in rows:
            metrics = {key: value for key, value in row.items() if key not in ("step", "progress")}
            if "cpu_minutes" in metrics:
                metrics.setdefault("cpu_seconds", 60 * metrics.pop("cpu_minutes"))
            numbers = {k: float(v) for k, v in metrics.items() if isinstance(v, int | float)}
            yield Step(int(row["step"]), int(row["step"]), numbers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no log of a training run: {error!r}.") from error


def as_data(runs: list[Training]) -> dict[str, Any]:
    """`evaluations` and `steps` of all runs, as JSON holds them: what is no number is null."""
    evaluations: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    for run in runs:
        places = {a.replace("-", "_"): run.places(a) for a in AXES if a != "step"}
        evaluations += (
            {
                "run": run.name,
                "benchmark": e.benchmark,
                "strategy": e.strategy,
                "step": e.step,
                "accuracy": e.accuracy,
                "interval": [e.low, e.high],
                "length": e.length,
                **e.row,
                "at": {axis: place(e.step) for axis, place in places.items()},
            }
            for e in run.evaluations
        )
        steps += (
            {
                "run": run.name,
                **{k: v if math.isfinite(v) else None for k, v in s.metrics.items()},
                "step": s.step,
                "weight_version": s.weight_version,
                "at": {axis: place(s.step) for axis, place in places.items()},
            }
            for s in run.steps
        )
    return {"evaluations": evaluations, "steps": steps}
