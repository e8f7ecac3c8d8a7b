"""Outcome rewards from rows of preferences: pairs, rankings, good or bad responses, grades.

The score is read where the assistant's turn ends, as it is when solutions are judged.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor, nn
from transformers import AutoTokenizer

from reasonbench.errors import UsageError
from reasonbench.metrics.calibration import auc
from reasonbench.runs.rows import read_rows
from reasonbench.trainers import checkpoint, parallel, preference_losses
from reasonbench.trainers.checkpoint import Progress
from reasonbench.trainers.config import SftConfig
from reasonbench.trainers.contaminated import check_texts, questions
from reasonbench.trainers.group_log import Metrics
from reasonbench.trainers.group_training import (
    Forward,
    GroupConfig,
    GroupLoop,
    Objective,
    Totals,
    in_batches,
)
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.preference_data import (
    Graded,
    Pair,
    Preference,
    Ranked,
    is_preference,
    read_preferences,
)
from reasonbench.trainers.preference_objectives import above, in_order, side_by_side
from reasonbench.trainers.preference_pairs import write_pairs
from reasonbench.trainers.preference_rows import (
    Group,
    Text,
    TextEncoder,
    Want,
    convert,
    hold_out,
    make_groups,
)
from reasonbench.trainers.reward_config import OrmConfig
from reasonbench.trainers.reward_model import load_backbone
from reasonbench.trainers.run_record import LOG, write_summary
from reasonbench.trainers.sft import LogRow
from reasonbench.trainers.source import source_of
from reasonbench.trainers.start import chosen_device, on_device, ready, save_model
from reasonbench.trainers.text_values import score_forward

log = logging.getLogger(__name__)

PAIRS = "pairs.jsonl"
"""The file of what was made of runs, in the folder of the model."""


def wanted(config: OrmConfig) -> bool:
    """Whether the data is rows of preferences (else step labels)."""
    if config.runs:
        if config.data:
            raise UsageError("give a file (--data) or runs (--run), not both")
        return True
    path = Path(config.data) if config.data else None
    if path is None or not path.is_file():
        return False
    first = next(iter(read_rows(path)), None)
    if first is None:
        raise UsageError(f"{path} has no rows")
    return is_preference(first.values)


def train(
    config: OrmConfig,
    out: Path,
    on_log: Callable[[LogRow], None] = lambda row: None,
    resume: bool = False,
) -> dict[str, Any]:
    """Trains an outcome reward on rows and writes its folder.

    Under `torchrun` every process calls it; the first one writes.

    Returns:
        What was measured on the prompts held out: `loss`, `accuracy` (share of pairs in the right
        order, or of responses on the right side of one half), and for responses that are judged one
        by one `auc`, `steps` (how many), and for grades `error` (mean, in units of the grade).

    Raises:
        UsageError: the settings or the data cannot be trained with.
        TrainingDiverged: the loss or the gradient is no number.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    _refuse(config)
    with parallel.joined(config.device):
        return _train(config, out, on_log, resume)


def _train(
    config: OrmConfig, out: Path, on_log: Callable[[LogRow], None], resume: bool
) -> dict[str, Any]:
    device = chosen_device(config.device)
    out.mkdir(parents=True, exist_ok=True)
    source = source_of(config.model)
    tokenizer = AutoTokenizer.from_pretrained(source)
    path = Path(config.data) if config.data else out / PAIRS
    if parallel.is_main() and config.runs and not (resume and path.is_file()):
        write_pairs([Path(run) for run in config.runs], config.pairs, path)
    parallel.from_main(None)  # until it is written
    want = _wanted_form(config, path)
    rows = _checked(read_preferences(path, ties=config.ties), config, path)
    encode = TextEncoder(tokenizer, False if config.runs else config.chat, turns=True)
    groups, left_out = make_groups(
        convert(rows, want, str(path), config.pairs.per_problem),
        encode,
        config.max_length,
        score_max=config.score_max,
    )
    if not groups:
        raise UsageError(f"{path} gives nothing to train on within {config.max_length} tokens")
    if left_out:
        log.warning("%d of %d rows are too long", left_out, left_out + len(groups))
    if parallel.is_main() and not resume:
        check_texts(None, config.check_benchmarks, questions(path), out)
    groups, held = hold_out(groups, config.holdout)
    model = load_backbone(source, "outcome", config.extra_layers)
    dtype = getattr(torch, config.dtype)
    model = on_device(model, device, dtype)
    settings = SftConfig(dtype=config.dtype, device=config.device)
    multiple = ready(model, settings, model.score)
    forward = score_forward(model, int(tokenizer.pad_token_id or 0), multiple)
    optimizer = MasterOptimizer(model, config.optimizer, head=nn.ModuleList([model.score]))
    objective = _objective(config, want)
    names = GroupConfig.model_fields
    batching = GroupConfig(**{name: getattr(config, name) for name in names})
    loop = GroupLoop(batching, config, forward, objective, optimizer, out, multiple, on_log)
    model.train()
    progress = checkpoint.load(out, config, optimizer) if resume else Progress()
    log_rows = loop.train(groups, progress)
    model.eval()
    measured = loop.measure(held) if held else {}
    if held and want in ("judged", "graded"):
        texts = [group.texts[0] for group in held]
        scores = in_batches(forward, texts, config.batch_tokens, multiple)
        measured |= _measure_single(held, scores, config.score_max)
    save_model(model, tokenizer, out, dtype)
    summary = {
        "config": config.model_dump(),
        "data": {"groups": len(groups), "held_out": len(held), "left_out": left_out},
        "held_out": measured,
        "log": [asdict(row) for row in log_rows],
    }
    if parallel.is_main():
        write_summary(out, summary)
        for name in (checkpoint.FILE, LOG):
            (out / name).unlink(missing_ok=True)
    return measured


def _refuse(config: OrmConfig) -> None:
    """Settings that rows of preferences have no use for."""
    for name in ("grow", "slips"):
        if getattr(config, name):
            raise UsageError(f"{name} needs step labels, not rows of preferences")


def _wanted_form(config: OrmConfig, path: Path) -> Want:
    """What the loss learns from; of the first row's form where no loss is named."""
    _, first = next(iter(read_preferences(path, ties=config.ties)), (0, None))
    if first is None:
        raise UsageError(f"{path} has no rows")
    if config.loss == "plackett-luce":
        return "ranking"
    if config.loss == "pairwise" or (config.loss is None and isinstance(first, Pair | Ranked)):
        return "pair"
    return "graded" if isinstance(first, Graded) else "judged"


def _checked(
    rows: Iterable[tuple[int, Preference]], config: OrmConfig, path: Path
) -> Iterator[tuple[int, Preference]]:
    for line, row in rows:
        if isinstance(row, Graded) and row.score > config.score_max:
            raise UsageError(
                f"{path}, line {line}: `score` is {row.score:g}, above the best grade "
                f"{config.score_max:g} (set score_max)"
            )
        yield line, row


def _objective(config: OrmConfig, want: Want) -> Objective:
    if want == "pair":
        return Pairwise()
    if want == "ranking":
        return Rankings()
    return Pointwise(squared=config.loss == "mse")


class _Texts:
    """All texts of a group are scored; there is no supervised term."""

    def prepare(self, groups: Sequence[Group], forward: Forward) -> None:
        """Nothing is needed."""

    def texts(self, group: Group) -> tuple[Text, ...]:
        """All of them."""
        return group.texts

    def target(self, group: Group) -> Text:
        """The first one."""
        return group.texts[0]


class Pairwise(_Texts):
    """−log σ(s_chosen − s_rejected): Bradley-Terry (Ouyang et al. 2022, eq. 1)."""

    def loss(
        self, groups: Sequence[Group], values: Tensor, totals: Totals
    ) -> tuple[Tensor, Metrics]:
        """See `Objective.loss`."""
        chosen, rejected = values.view(-1, 2).unbind(1)
        losses = preference_losses.dpo(chosen, rejected, beta=1.0)
        count = float(len(groups))
        return losses.sum(), {
            "accuracy": (above(chosen, rejected), count),
            "reward_chosen": (float(chosen.detach().sum()), count),
            "reward_rejected": (float(rejected.detach().sum()), count),
        }


class Rankings(_Texts):
    """The Plackett-Luce likelihood of a ranking under the scores."""

    def loss(
        self, groups: Sequence[Group], values: Tensor, totals: Totals
    ) -> tuple[Tensor, Metrics]:
        """See `Objective.loss`; `accuracy` is over all pairs of different ranks."""
        scores, ranks = side_by_side(groups, values)
        losses = preference_losses.plackett_luce(scores, ranks)
        return losses.sum(), {"accuracy": in_order(scores.detach(), ranks)}


class Pointwise(_Texts):
    """Each response by itself: cross-entropy or squared error against its label or grade."""

    def __init__(self, squared: bool) -> None:
        self._squared = squared

    def loss(
        self, groups: Sequence[Group], values: Tensor, totals: Totals
    ) -> tuple[Tensor, Metrics]:
        """See `Objective.loss`; `accuracy` is the share on the label's side of one half."""
        targets = values.new_tensor([_target(group) for group in groups])
        if self._squared:
            losses = (torch.sigmoid(values) - targets).square()
        else:
            losses = F.binary_cross_entropy_with_logits(values, targets, reduction="none")
        right = (values.detach() > 0) == (targets > 0.5)
        return losses.sum(), {"accuracy": (float(right.sum()), float(len(groups)))}


def _target(group: Group) -> float:
    return group.grade if group.good is None else float(group.good)


def _measure_single(groups: Sequence[Group], scores: Tensor, score_max: float) -> dict[str, float]:
    """How scores of single responses compare with their labels or grades."""
    targets = [_target(group) for group in groups]
    found = {
        "auc": auc(scores.tolist(), [target > 0.5 for target in targets]),
        "steps": float(len(groups)),
    }
    if groups[0].good is None:
        errors = torch.sigmoid(scores) - scores.new_tensor(targets)
        found["error"] = score_max * float(errors.abs().mean())
    return found
