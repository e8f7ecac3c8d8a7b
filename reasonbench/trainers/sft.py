"""Supervised fine-tuning of a causal language model, on the answers only.

Under `torchrun` the model is sharded over processes (`parallel`), and the batches of an update are
dealt out to them: loss and weights do not depend on their number. Left out on purpose: packing of
several examples into one row (on CPU nine times slower than sorting by length) and loss on prompts.
"""

from __future__ import annotations

import itertools
import logging
import math
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from reasonbench.errors import UsageError
from reasonbench.in_loop import EvalPoint
from reasonbench.runs import RunStore
from reasonbench.trainers import checkpoint, parallel, ranks
from reasonbench.trainers.batching import Batch, BatchPlan
from reasonbench.trainers.checkpoint import Progress
from reasonbench.trainers.completion_loss import Padded, completion_loss, pad
from reasonbench.trainers.config import SftConfig
from reasonbench.trainers.contaminated import check_texts
from reasonbench.trainers.contamination import record_text
from reasonbench.trainers.data import Encoded, Encoder, Record, read_jsonl
from reasonbench.trainers.evaluated import START, Checks, as_plain, checks, run_folder, shortest
from reasonbench.trainers.loggers import Loggers, open_loggers
from reasonbench.trainers.lora import add_adapters
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.schedule import rate
from reasonbench.trainers.sft_log import (
    LogRow,
    Meter,
    metrics,
    read_log,
    training_cost,
    write_log,
)
from reasonbench.trainers.start import load_model, load_tokenizer, ready, save_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["LogRow", "TrainingDiverged", "epochs", "records_of", "train"]

log = logging.getLogger(__name__)


class TrainingDiverged(RuntimeError):  # noqa: N818 - it names what happened
    """The loss or the gradient is no longer a number."""


def records_of(config: SftConfig) -> Callable[[], Iterable[Record]]:
    """What opens the data that the configuration names."""
    if config.data == "builtin":
        from reasonbench.builtin.corpus import Corpus

        if config.examples is None:
            raise UsageError("the built-in text is endless: set `examples`")
        learning = config.data_options.get("learning", 0)
        return lambda: Corpus(config.seed, learning)
    path = Path(config.data)
    return lambda: read_jsonl(path)


def train(
    config: SftConfig,
    out: Path,
    records: Callable[[], Iterable[Record]] | None = None,
    on_log: Callable[[LogRow], None] = lambda row: None,
    resume: bool = False,
    on_eval: Callable[[Sequence[EvalPoint]], None] = lambda points: None,
) -> Path:
    """Trains and writes the model folder (weights, tokenizer, `training.json`) to `out`.

    Args:
        config: the whole run.
        out: the folder; it also holds the checkpoint while the run lasts.
        records: opens the data, the same at every call; by default what `config.data` names.
        on_log: called with a row every `config.log_every` updates, and at the end.
        resume: go on from the checkpoint in `out`.
        on_eval: called with the points of every evaluation in the loop.

    Raises:
        UsageError: the settings or the data cannot be trained with.
        TrainingDiverged: the loss became NaN or infinite; `out` keeps the last checkpoint.
        StaleEngineError, EngineError, EngineDeadError: an evaluation failed; likewise.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    with parallel.joined(config.device), run_folder(config, out, "sft") as store:
        return _train(config, out, records, on_log, resume, on_eval, store)


def _train(
    config: SftConfig,
    out: Path,
    records: Callable[[], Iterable[Record]] | None,
    on_log: Callable[[LogRow], None],
    resume: bool,
    on_eval: Callable[[Sequence[EvalPoint]], None],
    store: RunStore | None,
) -> Path:
    if config.lora is not None and config.evaluation is not None:
        raise UsageError(
            "evaluation in the loop pushes whole weights: train without lora, or evaluate the "
            "adapters with `reasonbench eval --lora`"
        )
    tokenizer = load_tokenizer(config)
    model = load_model(config, tokenizer)
    adapters = None
    if config.lora is not None:
        if config.model is None:
            raise UsageError("adapters need a `model` that they stand beside, not an `init`")
        adapters = add_adapters(model, config.lora, getattr(torch, config.dtype))
    out.mkdir(parents=True, exist_ok=True)
    opener = records or records_of(config)
    # the built-in text has no end, and is drawn at random already
    shuffle = config.shuffle and not (records is None and config.data == "builtin")
    total = config.examples or round(config.epochs * sum(1 for _ in opener()))
    if total < 1:
        raise UsageError("the training data is empty")

    def stream() -> Iterator[Record]:
        return itertools.islice(epochs(opener, shuffle, config.seed), total)

    if parallel.is_main() and not resume:
        texts = (record_text(record) for record in itertools.islice(opener(), total))
        check_texts(config.evaluation, config.check_benchmarks, texts, out)
    run = _Run(config, out, model, tokenizer, stream, total, on_log)
    if resume:
        run.resume()
    elif parallel.rank():
        torch.manual_seed(config.seed + 1_000_003 * parallel.rank())  # dropout of its own
    with checks(
        config, store, out, model, tokenizer, config.model, run.progress.step, on_eval
    ) as found:
        run.loop(found)
    if adapters is not None:
        adapters.save(tokenizer, out)
    else:
        save_model(model, tokenizer, out, getattr(torch, config.dtype))
    if parallel.is_main():
        write_log(out, config, run.rows, as_plain(found.best) if found.best else None)
        (out / checkpoint.FILE).unlink(missing_ok=True)
        shutil.rmtree(out / START, ignore_errors=True)
    return out


class _Run:
    """One run: its model, its optimizer, its place in the data, its log."""

    def __init__(
        self,
        config: SftConfig,
        out: Path,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        stream: Callable[[], Iterable[Record]],
        total: int,
        on_log: Callable[[LogRow], None],
    ) -> None:
        self.config, self.out, self.model, self.on_log = config, out, model, on_log
        self.cost = training_cost(model)
        self.multiple = ready(model, config)
        self.optimizer = MasterOptimizer(model, config.optimizer)
        self.progress = Progress()
        self.rows: list[LogRow] = []
        self.pad_id = int(tokenizer.pad_token_id or 0)
        self.total = total
        self.plan = BatchPlan(
            records=stream,
            encode=Encoder(tokenizer),
            budget=config.batch_tokens,
            pool=config.pool,
            max_length=config.max_length,
            seed=config.seed,
            multiple=self.multiple,
        )

    def resume(self) -> None:
        """Goes to where the checkpoint in the folder stands.

        Raises:
            UsageError: there is none, or it is of a run with other settings.
        """
        self.progress = checkpoint.load(self.out, self.config, self.optimizer)
        self.rows = read_log(self.out, self.progress.step)

    def loop(self, checks: Checks) -> None:
        """Trains to the end of the data, or until no evaluation is better for long."""
        loggers = Loggers()
        if parallel.is_main() and self.config.log:
            after = self.progress.step or None
            loggers = open_loggers(self.config.log, self.out, self.config.model_dump(), after=after)
        try:
            self._loop(loggers, checks)
        finally:
            loggers.close()

    def _loop(self, loggers: Loggers, checks: Checks) -> None:
        config = self.config
        divisor = self.plan.tokens_per_batch() * config.accumulate
        meter = Meter(self.progress.sums, self.cost)
        self.model.train()
        group: list[Batch] = []
        if checks.due(self.progress.step):
            checks.evaluate(self.progress.step, [])
            meter.skip()
        for batch, position in self.plan.batches(self.progress.position):
            group.append(batch)
            last = position.pools * config.pool >= self.total
            if len(group) < config.accumulate and not last:
                continue
            scale = self._rate()
            meter.add(*self._update(group, divisor, scale), group)
            self.progress.step += 1
            self.progress.examples += sum(len(b) for b in group)
            self.progress.position = position
            if position.batches == 0:  # the examples left out as too long are passed as well
                self.progress.examples = min(position.pools * config.pool, self.total)
            step, better = self.progress.step, False
            if due := checks.due(step, last):
                meter.tick()
                better = checks.evaluate(step, shortest([_parts(e) for b in group for e in b]))
                meter.skip()
            group = []
            if step % config.log_every == 0 or last or due:
                row = meter.row(step, self._share(), config.optimizer.lr * scale)
                self.rows.append(row)
                if parallel.is_main():
                    loggers.log(row.step, metrics(row))
                    checks.log(row.step, metrics(row))
                    self.on_log(row)
            # with a new best, so that a kill takes back no evaluation whose model is kept
            if config.checkpoint_every and (better or step % config.checkpoint_every == 0):
                meter.tick()
                if parallel.is_main():
                    write_log(self.out, config, self.rows)
                checkpoint.save(self.out, config, self.optimizer, self.progress)
            if checks.should_stop:
                return

    def _share(self) -> float:
        return min(1.0, self.progress.examples / self.total)

    def _pad(self, batch: Batch) -> Padded:
        return pad(batch, self.pad_id, self.model.device, self.multiple)

    def _rate(self) -> float:
        s = self.config.schedule
        # a rate of exactly 0 would waste the first update
        share = max(self._share(), 0.005 * s.warmup)
        return rate(share, s.warmup, s.decay, s.decay_from, s.floor)

    def _update(self, group: list[Batch], divisor: float, scale: float) -> tuple[float, float]:
        """One update from the batches of a group; (summed loss, gradient norm), of all processes.

        Raises:
            TrainingDiverged: one of the two is no finite number; the weights are as before.
        """
        mine = 0.0
        for batch in parallel.deal(group, ranks.world_size(), parallel.rank()):
            loss = completion_loss(self.model, self._pad(batch))
            torch.autograd.backward(loss / divisor)
            mine += loss.item()
        total = ranks.total(torch.tensor(mine, dtype=torch.float64)).item()
        if not math.isfinite(total):
            raise TrainingDiverged(f"the loss is {total} at update {self._next}")
        norm = self.optimizer.step(scale)
        if not math.isfinite(norm):
            raise TrainingDiverged(f"the norm of the gradient is {norm} at update {self._next}")
        return total, norm

    @property
    def _next(self) -> int:
        return self.progress.step + 1


def _parts(example: Encoded) -> tuple[list[int], list[int]]:
    """What comes before the first trained token, and the trained ones that follow each other."""
    first = example.trained.index(True)
    end = next((i for i, t in enumerate(example.trained) if i > first and not t), None)
    return example.ids[:first], example.ids[first:end]


def epochs(records: Callable[[], Iterable[Record]], shuffle: bool, seed: int) -> Iterator[Record]:
    """The data over and over, each epoch in an order of its own if shuffled."""
    for epoch in itertools.count():
        empty = True
        for record in _shuffled(records(), f"{seed}/epoch {epoch}") if shuffle else records():
            empty = False
            yield record
        if empty:
            raise UsageError("the training data is empty")


def _shuffled(records: Iterable[Record], seed: str) -> list[Record]:
    held = list(records)
    random.Random(seed).shuffle(held)
    return held
