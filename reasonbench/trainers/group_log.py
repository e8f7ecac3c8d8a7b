"""What training on groups logs: sums over micro-batches, updates and processes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reasonbench.trainers import parallel
from reasonbench.trainers.preference_rows import Group
from reasonbench.trainers.sft_log import LogRow

Metrics = Mapping[str, tuple[float, float]]
"""By name: a sum, and over how many."""


@dataclass(frozen=True)
class GroupRow(LogRow):
    """A log row with the metrics of its updates, each a mean."""

    metrics: dict[str, float] = field(default_factory=dict)


def told(row: GroupRow) -> dict[str, float]:
    """What other programs are told of a row, by the names that curves know."""
    return {"loss": row.loss, "lr": row.lr, "grad_norm": row.grad_norm, **row.metrics}


class Sums:
    """Metrics of several micro-batches."""

    def __init__(self) -> None:
        self.sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def add(self, metrics: Metrics) -> None:
        for name, (total, count) in metrics.items():
            entry = self.sums[name]
            entry[0] += total
            entry[1] += count

    def join(self, other: Sums) -> None:
        self.add({name: (total, count) for name, (total, count) in other.sums.items()})

    def of_all(self) -> Sums:
        """Those of all processes; each has to call it."""
        found = Sums()
        for sums in parallel.everywhere(dict(self.sums)):
            found.add({name: (total, count) for name, (total, count) in sums.items()})
        return found

    def means(self) -> dict[str, float]:
        """Each a mean; with them how much higher the chosen ones' reward is."""
        found = {name: total / count for name, (total, count) in self.sums.items() if count}
        if "reward_chosen" in found and "reward_rejected" in found:
            found["reward_margin"] = found["reward_chosen"] - found["reward_rejected"]
        return found


class Window:
    """Sums between two log rows.

    Args:
        kept: as `state` gave them when the run was stopped, or nothing.
    """

    def __init__(self, kept: Mapping[str, float]) -> None:
        self._begun = time.perf_counter() - kept.get("seconds", 0.0)
        self._cpu = time.process_time() - kept.get("cpu", 0.0)
        self._loss, self._norm = kept.get("loss", 0.0), kept.get("norm", 0.0)
        self._steps, self._tokens = int(kept.get("steps", 0)), int(kept.get("tokens", 0))
        self._sums = Sums()
        for name, total in kept.items():
            if name.startswith("sum "):
                metric = name.removeprefix("sum ")
                self._sums.add({metric: (total, kept[f"count {metric}"])})

    def state(self) -> dict[str, float]:
        """All of it, as a checkpoint keeps it."""
        sums = self._sums.sums
        return {
            "seconds": time.perf_counter() - self._begun,
            "cpu": time.process_time() - self._cpu,
            "loss": self._loss,
            "norm": self._norm,
            "steps": float(self._steps),
            "tokens": float(self._tokens),
            **{f"sum {name}": total for name, (total, _) in sums.items()},
            **{f"count {name}": count for name, (_, count) in sums.items()},
        }

    def skip(self, seconds: float) -> None:
        """Leaves out time that was not training's."""
        self._begun += seconds

    def add(self, loss: float, norm: float, sums: Sums, groups: Sequence[Group]) -> None:
        self._loss, self._norm, self._steps = self._loss + loss, self._norm + norm, self._steps + 1
        self._tokens += sum(len(text.ids) for group in groups for text in group.texts)
        self._sums.join(sums)

    def row(self, step: int, progress: float, lr: float) -> GroupRow:
        return GroupRow(
            step=step,
            progress=progress,
            loss=self._loss / self._steps,
            lr=lr,
            grad_norm=self._norm / self._steps,
            tokens_per_second=self._tokens / (time.perf_counter() - self._begun),
            cpu_minutes=(time.process_time() - self._cpu) / 60,
            metrics=self._sums.means(),
        )
