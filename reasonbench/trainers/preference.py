"""Training on preferences: DPO, IPO, KTO and ORPO.

The reference model's log-probabilities are computed in one pass before training and kept in the
folder, so that the reference is never in memory beside the model.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from reasonbench.errors import UsageError
from reasonbench.in_loop import EvalPoint
from reasonbench.runs import RunStore
from reasonbench.trainers import checkpoint, parallel
from reasonbench.trainers.checkpoint import Progress
from reasonbench.trainers.config import SftConfig
from reasonbench.trainers.contaminated import check_texts, questions
from reasonbench.trainers.evaluated import as_plain, checks, run_folder
from reasonbench.trainers.group_log import GroupRow
from reasonbench.trainers.group_training import Forward, GroupLoop
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.preference_config import PreferenceConfig
from reasonbench.trainers.preference_data import read_preferences
from reasonbench.trainers.preference_objectives import make_objective
from reasonbench.trainers.preference_pairs import write_pairs
from reasonbench.trainers.preference_rows import (
    Group,
    TextEncoder,
    Want,
    convert,
    hold_out,
    make_groups,
    with_mismatched,
)
from reasonbench.trainers.run_record import LOG, write_summary
from reasonbench.trainers.source import source_of
from reasonbench.trainers.start import load_model, load_tokenizer, ready, save_model
from reasonbench.trainers.text_values import REFERENCE, logprob_forward, reference_values

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

PAIRS = "pairs.jsonl"
"""The file of the preferences that were made of runs, in the run's folder."""


def train(
    config: PreferenceConfig,
    out: Path,
    on_log: Callable[[GroupRow], None] = lambda row: None,
    resume: bool = False,
    on_eval: Callable[[Sequence[EvalPoint]], None] = lambda points: None,
) -> dict[str, Any]:
    """Trains and writes the model folder (weights, tokenizer, `training.json`) to `out`.

    Under `torchrun` every process calls it; the first one writes.

    Args:
        config: the whole run.
        out: the folder; while the run lasts it also holds the checkpoint, the reference's
            log-probabilities and the log.
        on_log: called with a row every `config.log_every` updates, and at the end.
        resume: go on from the checkpoint in `out`.
        on_eval: called with the points of every evaluation in the loop.

    Returns:
        `training.json`: `config`, `data` (groups, left_out, held_out; good and bad ones of single
        responses), `held_out` (metrics before and after training), `log`.

    Raises:
        UsageError: the settings or the data cannot be trained with.
        TrainingDiverged: the loss or the gradient is no number; `out` keeps the last checkpoint.
        StaleEngineError, EngineError, EngineDeadError: an evaluation failed; likewise.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    with parallel.joined(config.device), run_folder(config, out, config.method) as store:
        return _train(config, out, on_log, resume, on_eval, store)


def _train(
    config: PreferenceConfig,
    out: Path,
    on_log: Callable[[GroupRow], None],
    resume: bool,
    on_eval: Callable[[Sequence[EvalPoint]], None],
    store: RunStore | None,
) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(_start(config, config.model))
    groups, left_out = load_groups(config, out, tokenizer, resume)
    if parallel.is_main() and not resume:
        texts = questions(Path(config.data) if config.data else out / PAIRS)
        check_texts(config.evaluation, config.check_benchmarks, texts, out)
    model = load_model(_start(config, config.model), tokenizer)
    multiple = ready(model, _start(config, config.model))
    if parallel.rank() and not resume:
        torch.manual_seed(config.seed + 1_000_003 * parallel.rank())  # dropout of its own
    pad_id = int(tokenizer.pad_token_id or 0)
    if config.method != "orpo":
        groups = _with_reference(config, out, groups, model, tokenizer, multiple)
    groups, held = hold_out(groups, config.holdout)
    forward = logprob_forward(model, pad_id, multiple)
    optimizer = MasterOptimizer(model, config.optimizer)
    objective = make_objective(config)
    loop = GroupLoop(config, config, forward, objective, optimizer, out, multiple, on_log)
    model.eval()
    before = loop.measure(held) if held else {}
    model.train()
    progress = checkpoint.load(out, config, optimizer) if resume else Progress()
    source = source_of(config.model)
    with checks(config, store, out, model, tokenizer, source, progress.step, on_eval) as found:
        rows = loop.train(groups, progress, found)
    model.eval()
    summary = {
        "config": config.model_dump(mode="json"),
        "data": _counts(groups, held, left_out),
        "held_out": {"before": before, "after": loop.measure(held)} if held else {},
        "log": [asdict(row) for row in rows],
        **({"best": as_plain(found.best)} if found.best else {}),
    }
    save_model(model, tokenizer, out, getattr(torch, config.dtype))
    if parallel.is_main():
        write_summary(out, summary)
        for name in (checkpoint.FILE, REFERENCE, LOG):
            (out / name).unlink(missing_ok=True)
    return summary


def _counts(groups: Sequence[Group], held: Sequence[Group], left_out: int) -> dict[str, int]:
    counts = {"groups": len(groups), "held_out": len(held), "left_out": left_out}
    judged = [group.good for group in groups if group.good is not None]
    return counts | ({"good": sum(judged), "bad": len(judged) - sum(judged)} if judged else {})


def load_groups(
    config: PreferenceConfig, out: Path, tokenizer: PreTrainedTokenizerBase, resume: bool = False
) -> tuple[list[Group], int]:
    """The data as groups of token sequences, and how many were left out as too long.

    Raises:
        UsageError: a row is malformed or of a form that the method cannot learn from, or nothing is
            left.
    """
    path = Path(config.data) if config.data else out / PAIRS
    if parallel.is_main() and config.runs and not (resume and path.is_file()):
        write_pairs([Path(run) for run in config.runs], config.pairs, path)
    parallel.from_main(None)  # until it is written
    want: Want = "judged" if config.method == "kto" else "pair"
    if config.rankings == "plackett-luce":
        want = "ranking"
    rows = convert(
        read_preferences(path, ties=config.ties), want, str(path), config.pairs.per_problem
    )
    groups, left_out = make_groups(
        rows,
        TextEncoder(tokenizer, False if config.runs else config.chat),
        config.max_length,
        targets=bool(config.sft) or config.method == "orpo",
    )
    if not groups:
        raise UsageError(
            f"{path} gives nothing to train on"
            + (
                f" within {config.max_length} tokens: raise max_length"
                if left_out
                else ": no prompt has both a good and a bad response"
            )
        )
    if left_out:
        log.warning("%d of %d preferences are too long", left_out, left_out + len(groups))
    return (with_mismatched(groups) if want == "judged" else groups), left_out


def _with_reference(
    config: PreferenceConfig,
    out: Path,
    groups: Sequence[Group],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    multiple: int,
) -> list[Group]:
    """Groups with the reference model's log-probability of each text."""

    def open_forward() -> Forward:
        reference = model
        if config.reference:
            settings = _start(config, config.reference)
            reference = load_model(settings, tokenizer)
            ready(reference, settings)
        reference.eval()
        return logprob_forward(reference, int(tokenizer.pad_token_id or 0), multiple)

    texts = [text for group in groups for text in group.texts]
    key = f"{_identity(config.reference or config.model)} {config.dtype}"
    values, _ = reference_values(open_forward, texts, out, key, config.batch_tokens, multiple)
    found = iter(values)
    return [replace(g, reference=tuple(next(found) for _ in g.texts)) for g in groups]


def _identity(model: str) -> str:
    """A model's name, and of a folder which weights it holds: another model may take its place."""
    files = sorted(Path(source_of(model)).glob("*.safetensors"))
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return f"{model} {stats}"


def _start(config: PreferenceConfig, model: str) -> SftConfig:
    """Which model, in which precision, where."""
    return SftConfig(
        model=source_of(model),
        dtype=config.dtype,
        device=config.device,
        recompute=config.recompute,
    )
