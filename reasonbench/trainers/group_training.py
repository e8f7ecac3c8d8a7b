"""The training loop of losses that compare whole texts: preferences, and outcome rewards on rows.

An update takes a fixed number of groups in shuffled order, so that its loss is a mean over groups
whatever their lengths. Within it groups are sorted by length and cut into micro-batches under a
token budget, whose losses add up to that of the update exactly. Under `torchrun` the micro-batches
are dealt out to the processes (`parallel.deal`): their number does not change what is learned.
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from reasonbench.trainers import checkpoint, parallel, ranks, run_record
from reasonbench.trainers.batching import Position
from reasonbench.trainers.checkpoint import Progress
from reasonbench.trainers.config import OptimizerConfig, ScheduleConfig, _Strict
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.preference_rows import Group, Text
from reasonbench.trainers.schedule import rate
from reasonbench.trainers.sft import LogRow, TrainingDiverged

Forward = Callable[[Sequence[Text]], Tensor]
"""[texts], with gradient: the summed log-probability of each response, or its score."""
Metrics = Mapping[str, tuple[float, float]]
"""By name: a sum, and over how many."""


class GroupConfig(_Strict):
    """How groups are batched, and how what they teach is applied."""

    batch: int = Field(default=32, ge=1)
    """Groups in an update."""
    batch_tokens: int = Field(default=8192, ge=2)
    """Padded tokens in a micro-batch at most (a group that is larger stands alone)."""
    epochs: float = Field(default=1.0, gt=0)
    """How often to go through the data."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer and rates."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Warm-up and decay."""
    seed: int = 0
    """Of the order of the data, and of new weights."""
    log_every: int = Field(default=10, ge=1)
    """Updates between two log rows."""
    checkpoint_every: int = Field(default=100, ge=0)
    """Updates between two checkpoints; 0 writes none."""


class Totals(NamedTuple):
    """What an update holds in all its micro-batches."""

    groups: int
    targets: int
    """Tokens of the texts that a supervised term learns."""


class Objective(Protocol):
    """A loss over groups."""

    def prepare(self, groups: Sequence[Group], forward: Forward) -> None:
        """Called before each update with all its groups, without gradient.

        Args:
            groups: of the whole update.
            forward: takes any number of texts.
        """

    def loss(
        self, groups: Sequence[Group], values: Tensor, totals: Totals
    ) -> tuple[Tensor, Metrics]:
        """The summed loss of some groups; divided by `totals.groups` it adds up to the update's.

        Args:
            groups: of one micro-batch.
            values: [texts] of the texts that `texts` names, in order.
            totals: of the whole update.
        """

    def texts(self, group: Group) -> tuple[Text, ...]:
        """The texts whose values the loss needs with their gradient."""

    def target(self, group: Group) -> Text:
        """The text whose tokens `Totals.targets` counts."""


@dataclass(frozen=True)
class GroupRow(LogRow):
    """A log row with the metrics of its updates, each a mean."""

    metrics: dict[str, float] = field(default_factory=dict)


class GroupLoop:
    """One run.

    Args:
        config: of the run.
        settings: all that the run was told: the checkpoint keeps it.
        forward: of the model that is trained.
        objective: what is learned.
        optimizer: of its weights.
        out: the folder.
        multiple: what padded lengths are rounded up to.
        on_log: is called with every log row.
    """

    def __init__(
        self,
        config: GroupConfig,
        settings: BaseModel,
        forward: Forward,
        objective: Objective,
        optimizer: MasterOptimizer,
        out: Path,
        multiple: int,
        on_log: Callable[[GroupRow], None],
    ) -> None:
        self._config, self._settings, self._out = config, settings, out
        self._forward, self._objective = forward, objective
        self._optimizer, self._multiple, self._on_log = optimizer, multiple, on_log

    def train(self, groups: Sequence[Group], resume: bool) -> list[GroupRow]:
        """Trains to the end of the data; returns the whole log.

        Raises:
            TrainingDiverged: the loss or the gradient is no number; the folder keeps the last
                checkpoint.
        """
        config = self._config
        total = max(1, round(config.epochs * len(groups)))
        progress = Progress()
        if resume:
            progress = checkpoint.load(self._out, self._settings, self._optimizer)
        rows = list[GroupRow]()
        if parallel.is_main():
            rows = run_record.log_until(self._out, progress.step, GroupRow)
        window = _Window(progress.sums)
        for update in updates(groups, config.batch, total, config.seed, progress.examples):
            scale = self._rate(progress.examples / total)
            window.add(*self._update(update, scale, progress.step + 1), update)
            progress.step += 1
            progress.examples += len(update)
            progress.position = Position(0, progress.step)
            last = progress.examples >= total
            if progress.step % config.log_every == 0 or last:
                o = config.optimizer
                lr = (o.lr if o.name == "muon" else o.adamw_lr) * scale
                rows.append(window.row(progress.step, progress.examples / total, lr))
                window = _Window({})
                if parallel.is_main():
                    run_record.append(self._out, rows[-1])
                    self._on_log(rows[-1])
            if config.checkpoint_every and progress.step % config.checkpoint_every == 0:
                progress.sums = window.state()
                checkpoint.save(self._out, self._settings, self._optimizer, progress)
        return rows

    @torch.no_grad()
    def measure(self, groups: Sequence[Group]) -> dict[str, float]:
        """The mean loss and metrics over groups, with the weights as they are."""
        sums = _Sums()
        for update in updates(groups, max(256, self._config.batch), len(groups), None, 0):
            self._objective.prepare(update, self._batched)
            totals = self._totals(update)
            for micro in self._cut(update):
                loss, metrics = self._loss(micro, totals)
                sums.add({**metrics, "loss": (loss.item(), len(micro))})
        return sums.of_all().means()

    def _update(
        self, groups: Sequence[Group], scale: float, step: int
    ) -> tuple[float, float, _Sums]:
        """One update: its loss, the gradient's norm, its metrics."""
        with torch.no_grad():
            self._objective.prepare(groups, self._batched)
        totals = self._totals(groups)
        mine, sums = 0.0, _Sums()
        for micro in self._cut(groups):
            loss, metrics = self._loss(micro, totals)
            loss = loss / totals.groups
            torch.autograd.backward(loss)
            mine += loss.item()
            sums.add(metrics)
        value = ranks.total(torch.tensor(mine, dtype=torch.float64)).item()
        if not math.isfinite(value):
            raise TrainingDiverged(
                f"the loss is {value} at update {step}: lower the learning rate, or resume from "
                "the last checkpoint with other data"
            )
        norm = self._optimizer.step(scale)
        if not math.isfinite(norm):
            raise TrainingDiverged(f"the gradient is {norm} at update {step}")
        return value, norm, sums.of_all()

    def _loss(self, groups: Sequence[Group], totals: Totals) -> tuple[Tensor, Metrics]:
        """Of a micro-batch; of an empty one, which only goes along with others, nothing."""
        values = self._forward([t for group in groups for t in self._objective.texts(group)])
        return self._objective.loss(groups, values, totals) if groups else (values.sum(), {})

    def _batched(self, texts: Sequence[Text]) -> Tensor:
        return in_batches(self._forward, texts, self._config.batch_tokens, self._multiple)

    def _totals(self, groups: Sequence[Group]) -> Totals:
        return Totals(len(groups), sum(self._objective.target(g).trained for g in groups))

    def _cut(self, groups: Sequence[Group]) -> list[list[Group]]:
        """The micro-batches of this process."""
        budget = self._config.batch_tokens
        whole = cut(groups, budget, self._multiple, self._objective.texts)
        return parallel.deal(whole, ranks.world_size(), parallel.rank())

    def _rate(self, share: float) -> float:
        s = self._config.schedule
        # a rate of exactly 0 would waste the first update
        return rate(max(share, 0.005 * s.warmup), s.warmup, s.decay, s.decay_from, s.floor)


def updates(
    groups: Sequence[Group], size: int, total: int, seed: int | None, start: int
) -> Iterator[list[Group]]:
    """Groups in the order they are learned in, `size` at a time.

    Args:
        groups: all of them.
        size: of an update; the last one holds what is left.
        total: how many to give; after the last group they begin anew.
        seed: of the order, another one in every epoch; None keeps the order.
        start: how many to pass over, a multiple of `size`.
    """
    epoch, order = -1, list[int]()
    for first in range(start, total, size):
        chosen = []
        for place in range(first, min(first + size, total)):
            wanted, index = divmod(place, len(groups))
            if wanted != epoch:
                epoch, order = wanted, list(range(len(groups)))
                if seed is not None:
                    random.Random(f"{seed}/epoch {epoch}").shuffle(order)
            chosen.append(groups[order[index]])
        yield chosen


def cut(
    groups: Sequence[Group],
    budget: int,
    multiple: int,
    texts: Callable[[Group], Sequence[Text]],
) -> list[list[Group]]:
    """Groups sorted by length, in micro-batches of at most `budget` padded tokens."""
    made: list[list[Group]] = []
    rows = 0
    sizes = [(max(len(t.ids) for t in texts(g)), len(texts(g)), g) for g in groups]
    for longest, count, group in sorted(sizes, key=lambda size: size[0]):
        length = -(-longest // multiple) * multiple
        rows += count
        if made and length * rows <= budget:
            made[-1].append(group)
        else:
            made.append([group])
            rows = count
    return made


def in_batches(forward: Forward, texts: Sequence[Text], budget: int, multiple: int) -> Tensor:
    """[texts] without gradient, whatever their number: sorted by length, cut by a token budget.

    Of several processes each has to call it with the same texts; all get the values.
    """
    order = sorted(range(len(texts)), key=lambda i: len(texts[i].ids))
    batches: list[list[int]] = []
    for index in order:
        length = -(-len(texts[index].ids) // multiple) * multiple
        if batches and length * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    mine = parallel.deal(batches, ranks.world_size(), parallel.rank())
    with torch.no_grad():
        values = torch.cat([forward([texts[i] for i in batch]) for batch in mine])
    found = values.new_empty(len(texts))
    dealt = [i for batch in mine for i in batch]
    for places, numbers in parallel.everywhere((dealt, values.cpu())):
        found[torch.tensor(places, device=values.device)] = numbers.to(values.device)
    return found


class _Sums:
    """Metrics of several micro-batches."""

    def __init__(self) -> None:
        self.sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def add(self, metrics: Metrics) -> None:
        for name, (total, count) in metrics.items():
            entry = self.sums[name]
            entry[0] += total
            entry[1] += count

    def join(self, other: _Sums) -> None:
        self.add({name: (total, count) for name, (total, count) in other.sums.items()})

    def of_all(self) -> _Sums:
        """Those of all processes; each has to call it."""
        found = _Sums()
        for sums in parallel.everywhere(dict(self.sums)):
            found.add({name: (total, count) for name, (total, count) in sums.items()})
        return found

    def means(self) -> dict[str, float]:
        """Each a mean; with them how much higher the chosen ones' reward is."""
        found = {name: total / count for name, (total, count) in self.sums.items() if count}
        if "reward_chosen" in found and "reward_rejected" in found:
            found["reward_margin"] = found["reward_chosen"] - found["reward_rejected"]
        return found


class _Window:
    """Sums between two log rows.

    Args:
        kept: as `state` gave them when the run was stopped, or nothing.
    """

    def __init__(self, kept: Mapping[str, float]) -> None:
        self._begun = time.perf_counter() - kept.get("seconds", 0.0)
        self._cpu = time.process_time() - kept.get("cpu", 0.0)
        self._loss, self._norm = kept.get("loss", 0.0), kept.get("norm", 0.0)
        self._steps, self._tokens = int(kept.get("steps", 0)), int(kept.get("tokens", 0))
        self._sums = _Sums()
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

    def add(self, loss: float, norm: float, sums: _Sums, groups: Sequence[Group]) -> None:
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
