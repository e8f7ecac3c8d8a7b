"""What a supervised run logs, and the counts behind it, which its checkpoints keep."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from reasonbench.engines.parameters import count
from reasonbench.metrics import flops
from reasonbench.runs.files import atomic_write
from reasonbench.trainers.data import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FILE = "training.json"
"""The log, beside the settings, in the model folder: `reasonbench curves` reads it."""


@dataclass(frozen=True)
class LogRow:
    """The state of a run, over the updates since the row before.

    Attributes:
        step: updates done.
        progress: share of the run that is done.
        loss: mean negative log-likelihood of a trained token, in nats.
        lr: learning rate of the hidden matrices at the last update.
        grad_norm: mean gradient norm before clipping.
        tokens_per_second: tokens read (padding not counted) a wall-clock second.
        cpu_minutes: processor time of this process since the run (or its resumption) began.
        tokens: trained tokens since the run began; 0 where a trainer does not count them.
        flops: of the model's passes since the run began, likewise.
        seconds: wall clock since the run began, the time between sessions left out; likewise.
    """

    step: int
    progress: float
    loss: float
    lr: float
    grad_norm: float
    tokens_per_second: float
    cpu_minutes: float
    tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0


class Meter:
    """Counts over a run, and since the last row.

    Args:
        sums: of the run so far, from a checkpoint; it is changed in place. Times in it are those
            of the last `tick`.
        cost: the FLOPs of training on a text of so many tokens.
    """

    def __init__(self, sums: dict[str, float], cost: Callable[[int], float]) -> None:
        self.sums, self._cost = sums, cost
        for name in ("tokens", "flops", "seconds", *_WINDOW):
            sums.setdefault(name, 0.0)
        self._then, self._cpu = time.perf_counter(), time.process_time()

    def tick(self) -> None:
        """Brings the times up to now."""
        now = time.perf_counter()
        self.sums["seconds"] += now - self._then
        self.sums["row_seconds"] += now - self._then
        self._then = now

    def skip(self) -> None:
        """Leaves out the time since the last `tick`."""
        self._then = time.perf_counter()

    def add(self, loss: float, norm: float, group: Sequence[Sequence[Encoded]]) -> None:
        """One update of the whole run: its summed loss, gradient norm and micro-batches."""
        found = self.sums
        found["row_loss"] += loss
        found["row_norm"] += norm
        found["row_steps"] += 1
        for batch in group:
            for example in batch:
                trained = sum(example.trained[1:])
                found["row_trained"] += trained
                found["tokens"] += trained
                found["row_read"] += len(example.ids)
                found["flops"] += self._cost(len(example.ids) - 1)

    def row(self, step: int, progress: float, lr: float) -> LogRow:
        """The row, which ends the window."""
        self.tick()
        found = self.sums
        row = LogRow(
            step=step,
            progress=progress,
            loss=found["row_loss"] / max(1, found["row_trained"]),
            lr=lr,
            grad_norm=found["row_norm"] / max(1, found["row_steps"]),
            tokens_per_second=found["row_read"] / max(1e-9, found["row_seconds"]),
            cpu_minutes=(time.process_time() - self._cpu) / 60,
            tokens=round(found["tokens"]),
            flops=found["flops"],
            seconds=found["seconds"],
        )
        found |= dict.fromkeys(_WINDOW, 0.0)
        return row


_WINDOW = ("row_loss", "row_norm", "row_steps", "row_trained", "row_read", "row_seconds")


def metrics(row: LogRow) -> dict[str, float]:
    """What other programs are told of a row, by the names that curves know."""
    told = asdict(row)
    told |= {"tokens_trained": told["tokens"], "cpu_seconds": 60 * told.pop("cpu_minutes")}
    del told["step"]
    return told


def write_log(
    out: Path,
    config: BaseModel,
    rows: Sequence[LogRow],
    best: Mapping[str, Any] | None = None,
) -> None:
    """The log so far, in place of the one before.

    Args:
        best: the best evaluation in the loop, at the end of the run.
    """
    summary: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "log": [asdict(row) for row in rows],
    }
    if best is not None:
        summary["best"] = best
    atomic_write(out / FILE, json.dumps(summary, indent=1) + "\n")


def read_log(out: Path, step: int) -> list[LogRow]:
    """The rows up to an update; none where nothing was written."""
    path = out / FILE
    if not path.is_file():
        return []
    rows = [LogRow(**row) for row in json.loads(path.read_text(encoding="utf-8"))["log"]]
    return [row for row in rows if row.step <= step]


def training_cost(model: PreTrainedModel) -> Callable[[int], float]:
    """What training on a text of so many tokens costs, in FLOPs; call it before sharding.

    The backward pass costs a forward pass for the gradients of what a layer reads and another for
    those of its weights; the latter falls away in the share of the weights that is frozen. What is
    computed again to save memory is not counted.
    """
    config = model.config.get_text_config()
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    total = sum(size for size, _ in sizes)
    share = sum(size for size, learns in sizes if learns) / max(1, total)
    counted = count(model.config.to_dict())
    active = total if counted is None else counted.active
    layers = int(config.num_hidden_layers)
    heads = int(config.num_attention_heads)
    width = heads * int(getattr(config, "head_dim", None) or config.hidden_size // heads)

    def cost(tokens: int) -> float:
        return float((2.0 + share) * flops(active, tokens, 0.0, layers=layers, hidden=width))

    return cost
