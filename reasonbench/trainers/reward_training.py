"""The training loop of reward models; `prm` and `orm` say what is learned."""

from __future__ import annotations

import logging
import math
import os
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reasonbench.errors import UsageError
from reasonbench.trainers import checkpoint, run_record
from reasonbench.trainers.attention import MULTIPLE
from reasonbench.trainers.checkpoint import Progress
from reasonbench.trainers.contaminated import check_texts
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.reward_config import RewardTraining
from reasonbench.trainers.reward_data import RowMaker, RowPlan, Targets, cut_rows, hold_out
from reasonbench.trainers.reward_growth import LAYERS, SIZE, grow
from reasonbench.trainers.reward_labels import Labelled, LabelRow, make_labels, read_labels
from reasonbench.trainers.reward_model import Kind, load_backbone, row_scores, use_tree_attention
from reasonbench.trainers.reward_rows import Row, RowBatch, pad_rows
from reasonbench.trainers.schedule import rate
from reasonbench.trainers.sft import LogRow, TrainingDiverged
from reasonbench.trainers.source import source_of
from reasonbench.trainers.start import save_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

LABELS = "labels.jsonl"
GROWN = "grown"
"""Folder inside the run's: the model before step labels, while the run lasts."""

_WINDOW = ("loss", "weight", "norm", "tokens", "updates", "seconds")
"""Sums since the last log row."""

Loss = Callable[[Tensor, RowBatch], Tensor]
"""The summed loss of raw scores, in nats."""


class Learner:
    """One run: what kind of reward, towards which targets, by which loss."""

    def __init__(self, config: RewardTraining, kind: Kind, targets: Targets, loss: Loss) -> None:
        from transformers import AutoTokenizer

        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UsageError(
                "step labels are learned from in one process: start it without torchrun"
            )
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        random.seed(config.seed)
        if config.device.startswith("cuda") and not torch.cuda.is_available():
            raise UsageError("there is no CUDA device: set device to cpu")
        source = source_of(config.model)
        self.config, self.kind, self.loss = config, kind, loss
        self.tokenizer = AutoTokenizer.from_pretrained(source)
        if self.tokenizer.chat_template is None:
            raise UsageError(f"{config.model} has no chat template: a reward model needs one")
        self.dtype = getattr(torch, config.dtype)
        if config.grow and config.extra_layers:
            raise UsageError("grow adds its own layers: leave out extra_layers")
        if config.grow:
            model = load_backbone(source, kind, LAYERS, SIZE)
        else:
            model = load_backbone(source, kind, config.extra_layers)
        closed = kind == "outcome"
        self.rows = RowMaker(self.tokenizer, config, targets, closed)
        self._take(model)

    def _take(self, model: PreTrainedModel) -> None:
        """The model to train, with its optimizer."""
        self.model = model.to(device=self.config.device, dtype=self.dtype)
        use_tree_attention(self.model)
        layers = self.model.model.layers
        if self.config.frozen:
            if self.config.frozen > len(layers):
                raise UsageError(f"frozen: the model has {len(layers)} layers")
            for part in (self.model.model.embed_tokens, *layers[: self.config.frozen]):
                part.requires_grad_(False)
        self.optimizer = MasterOptimizer(self.model, self.config.optimizer, head=self.model.score)

    def grow(self, problems: Sequence[Labelled], out: Path, resume: bool) -> None:
        """Gives the model its policy's layers and those that compare; they are kept in `out`."""
        from transformers import AutoModelForCausalLM

        kept = out / GROWN
        if resume and (kept / "config.json").is_file():
            self._take(type(self.model).from_pretrained(kept, dtype=torch.float32))
            return
        policy = AutoModelForCausalLM.from_pretrained(
            source_of(self.config.model), dtype=torch.float32
        )
        use_tree_attention(policy)
        made = [
            row
            for p in problems[: self.config.grow]
            for row in self.rows.rows(p, f"grow/{p.id}", slips=max(0.5, self.config.slips))
        ]
        pad_id = int(self.tokenizer.pad_token_id or 0)
        cut = list(cut_rows(made, self.config.batch_tokens))
        random.shuffle(cut)
        model = self.model.float().cpu().requires_grad_(True)
        grow(policy, model, lambda: (pad_rows(r, pad_id, MULTIPLE, torch.float32) for r in cut))
        save_model(model, self.tokenizer, kept)
        self._take(model)

    def batch(self, rows: Sequence[Row]) -> RowBatch:
        """Rows as tensors on the model's device."""
        pad_id = int(self.tokenizer.pad_token_id or 0)
        return pad_rows(rows, pad_id, MULTIPLE, self.dtype).to(self.model.device)

    def train(
        self,
        problems: Sequence[Labelled],
        out: Path,
        on_log: Callable[[LogRow], None],
        resume: bool,
    ) -> tuple[list[LogRow], dict[str, int]]:
        """Trains to the end of the data.

        Returns:
            The whole log; how many `solutions` were read, over all epochs, and how many of them
            were `too_long` for a row.

        Raises:
            UsageError: nothing can be learned from, or there is no checkpoint to go on from.
            TrainingDiverged: the loss or the gradient is no number; the folder keeps the last
                checkpoint.
        """
        config = self.config
        progress = checkpoint.load(out, config, self.optimizer) if resume else Progress()
        rows = run_record.log_until(out, progress.step, LogRow)
        progress.sums = sums = defaultdict[str, float](float, progress.sums)
        plan = RowPlan(problems, self.rows, config, sums)
        divisor = plan.weight_per_batch()
        s = config.schedule
        self.model.train()
        begun, cpu = time.perf_counter() - sums["seconds"], time.process_time()

        def report() -> None:
            """Writes a row of the updates since the last one."""
            nonlocal begun
            row = LogRow(
                step=progress.step,
                progress=min(1.0, progress.examples / plan.total),
                loss=sums["loss"] / max(1e-9, sums["weight"]),
                lr=config.optimizer.lr * sums["scale"],
                grad_norm=sums["norm"] / sums["updates"],
                tokens_per_second=sums["tokens"] / (time.perf_counter() - begun),
                cpu_minutes=(time.process_time() - cpu) / 60,
            )
            rows.append(row)
            run_record.append(out, row)
            on_log(row)
            sums.update(dict.fromkeys(_WINDOW, 0.0))
            begun = time.perf_counter()

        for batch, position in plan.batches(progress.position):
            share = min(1.0, progress.examples / plan.total)
            scale = rate(max(share, 0.005 * s.warmup), s.warmup, s.decay, s.decay_from, s.floor)
            sums["scale"] = scale
            tensors = self.batch(batch)
            loss = self.loss(row_scores(self.model, tensors), tensors)
            value = loss.item()
            torch.autograd.backward(loss / divisor)
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"the loss is {value} at update {progress.step + 1}: lower the learning rate"
                )
            norm = self.optimizer.step(scale)
            if not math.isfinite(norm):
                raise TrainingDiverged(
                    f"the gradient is {norm} at update {progress.step + 1}: lower the learning rate"
                )
            sums["loss"] += value
            sums["weight"] += float(tensors.weights.sum())
            sums["norm"] += norm
            sums["tokens"] += sum(len(r.ids) for r in batch)
            sums["updates"] += 1
            progress.step += 1
            progress.position = position
            progress.examples = plan.passed(position)
            if progress.step % config.log_every == 0:
                report()
            if config.checkpoint_every and progress.step % config.checkpoint_every == 0:
                sums["seconds"] = time.perf_counter() - begun
                checkpoint.save(out, config, self.optimizer, progress)
        progress.examples = plan.total
        if sums["updates"]:
            report()
        return rows, {name: int(sums[name]) for name in ("solutions", "too_long")}

    @torch.no_grad()
    def measure(self, problems: Sequence[Labelled]) -> dict[str, float]:
        """Mean loss, share on the right side of one half, and AUC against the targets.

        `steps` is how many scores they are over; nothing where no solution fits in `max_length`.
        """
        from reasonbench.metrics.calibration import auc

        self.model.eval()
        scores, targets, loss, weight = list[float](), list[float](), 0.0, 0.0
        made = [row for p in problems for row in self.rows.rows(p, f"measure/{p.id}", slips=0.0)]
        for batch in cut_rows(made, self.config.batch_tokens):
            tensors = self.batch(batch)
            raw = row_scores(self.model, tensors)
            loss += self.loss(raw, tensors).item()
            weight += float(tensors.weights.sum())
            scores += raw.tolist()
            targets += tensors.targets.tolist()
        if not targets:
            log.warning("nothing is measured: no solution held out fits in max_length")
            return {}
        truth = [t > 0.5 for t in targets]
        right = sum((s > 0) == t for s, t in zip(scores, truth, strict=True))
        return {
            "loss": loss / max(1e-9, weight),
            "accuracy": right / max(1, len(truth)),
            "auc": auc(scores, truth),
            "steps": float(len(truth)),
        }


def run(
    learner: Learner,
    out: Path,
    on_log: Callable[[LogRow], None] = lambda row: None,
    on_labels: Callable[[LabelRow], None] = lambda row: None,
    resume: bool = False,
) -> dict[str, Any]:
    """Makes the labels where none are given, trains, writes the model folder.

    Returns:
        What was measured on the problems held out.

    Raises:
        UsageError: the settings or the labels cannot be trained with.
        TrainingDiverged: the loss or the gradient is no number.
    """
    config = learner.config
    out.mkdir(parents=True, exist_ok=True)
    path = Path(config.data) if config.data else make_labels(config.labels, out / LABELS, on_labels)
    problems = list(read_labels(path))
    if not resume:
        asked = dict.fromkeys(problem.question for problem in problems)
        check_texts(None, config.check_benchmarks, asked, out)
    train, held = hold_out(problems, config.holdout)
    if not train:
        raise UsageError(
            f"{path} holds {len({p.question for p in problems})} questions, of which "
            f"{config.holdout} are held out: nothing is left to train on"
        )
    if config.grow:
        learner.grow(train, out, resume)
    rows, read = learner.train(train, out, on_log, resume)
    held_out = learner.measure(held) if held else {}
    save_model(learner.model, learner.tokenizer, out)
    summary = {
        "config": config.model_dump(),
        "data": {"problems": len(train), "held_out": len(held), **read},
        "held_out": held_out,
        "log": [asdict(row) for row in rows],
    }
    run_record.write_summary(out, summary)
    for name in (checkpoint.FILE, run_record.LOG):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / GROWN, ignore_errors=True)
    return held_out
