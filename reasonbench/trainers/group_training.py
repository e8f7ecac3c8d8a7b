"""The training loop of losses that compare whole texts: preferences, and outcome rewards on rows.

An update takes a fixed number of groups in shuffled order, so that its loss is a mean over groups
whatever their lengths. Within it groups are sorted by length and cut into micro-batches under a
token budget, whose losses add up to that of the update exactly. Under `torchrun` the micro-batches
are dealt out to the processes (`parallel.deal`): their number does not change what is learned.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from reasonbench.trainers import checkpoint, parallel, ranks, run_record
from reasonbench.trainers.batching import Position
from reasonbench.trainers.checkpoint import Progress
from reasonbench.trainers.config import OptimizerConfig, ScheduleConfig, _Strict
from reasonbench.trainers.evaluated import Checks, shortest
from reasonbench.trainers.group_log import GroupRow, Metrics, Sums, Window, told
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.preference_rows import Group, Text
from reasonbench.trainers.schedule import rate
from reasonbench.trainers.sft import TrainingDiverged

Forward = Callable[[Sequence[Text]], Tensor]
"""[texts], with gradient: the summed log-probability of each response, or its score."""


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

    def train(
        self, groups: Sequence[Group], progress: Progress, checks: Checks | None = None
    ) -> list[GroupRow]:
        """Trains to the end of the data, or until no evaluation is better; returns the whole log.

        Args:
            groups: all that is learned from.
            progress: where to begin.
            checks: evaluates the weights in between; nothing by default.

        Raises:
            TrainingDiverged: the loss or the gradient is no number; the folder keeps the last
                checkpoint.
        """
        config, checks = self._config, checks or Checks()
        total = max(1, round(config.epochs * len(groups)))
        rows = list[GroupRow]()
        if parallel.is_main():
            rows = run_record.log_until(self._out, progress.step, GroupRow)
        window = Window(progress.sums)
        self._evaluate(checks, progress.step, [], window)
        for update in updates(groups, config.batch, total, config.seed, progress.examples):
            scale = self._rate(progress.examples / total)
            window.add(*self._update(update, scale, progress.step + 1), update)
            progress.step += 1
            progress.examples += len(update)
            progress.position = Position(0, progress.step)
            last = progress.examples >= total
            due = checks.due(progress.step, last)
            better = self._evaluate(checks, progress.step, update, window, last)
            if due or progress.step % config.log_every == 0 or last:
                o = config.optimizer
                lr = (o.lr if o.name == "muon" else o.adamw_lr) * scale
                rows.append(window.row(progress.step, progress.examples / total, lr))
                window = Window({})
                if parallel.is_main():
                    run_record.append(self._out, rows[-1])
                    checks.log(progress.step, told(rows[-1]))
                    self._on_log(rows[-1])
            every = config.checkpoint_every
            # with a new best, so that a kill takes back no evaluation whose model is kept
            if every and (better or progress.step % every == 0):
                progress.sums = window.state()
                checkpoint.save(self._out, self._settings, self._optimizer, progress)
            if checks.should_stop:
                break
        return rows

    def _evaluate(
        self, checks: Checks, step: int, update: Sequence[Group], window: Window, last: bool = False
    ) -> bool:
        """Evaluates the weights of now where it is due; whether they are the best."""
        if not checks.due(step, last):
            return False
        before = checks.seconds
        texts = [text for group in update for text in self._objective.texts(group)]
        better = checks.evaluate(
            step, shortest([(t.ids[: t.start].tolist(), t.ids[t.start :].tolist()) for t in texts])
        )
        window.skip(checks.seconds - before)
        return better

    @torch.no_grad()
    def measure(self, groups: Sequence[Group]) -> dict[str, float]:
        """The mean loss and metrics over groups, with the weights as they are."""
        sums = Sums()
        for update in updates(groups, max(256, self._config.batch), len(groups), None, 0):
            self._objective.prepare(update, self._batched)
            totals = self._totals(update)
            for micro in self._cut(update):
                loss, metrics = self._loss(micro, totals)
                sums.add({**metrics, "loss": (loss.item(), len(micro))})
        return sums.of_all().means()

    def _update(
        self, groups: Sequence[Group], scale: float, step: int
    ) -> tuple[float, float, Sums]:
        """One update: its loss, the gradient's norm, its metrics."""
        with torch.no_grad():
            self._objective.prepare(groups, self._batched)
        totals = self._totals(groups)
        mine, sums = 0.0, Sums()
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
