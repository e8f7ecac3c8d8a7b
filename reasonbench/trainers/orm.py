"""Outcome reward models: one score for a whole solution (Cobbe et al. 2021).

Trained on whether solutions are right: binary cross-entropy, or pairs of a right and a wrong
solution of one problem (Bradley-Terry). Solutions come from a file of step labels, whose verdicts
are learned here, or from rows of preferences (`orm_rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor

from reasonbench.errors import UsageError
from reasonbench.trainers import orm_rows
from reasonbench.trainers.prm import step_loss
from reasonbench.trainers.reward_config import OrmConfig
from reasonbench.trainers.reward_labels import LabelRow
from reasonbench.trainers.reward_rows import RowBatch, StepNode, Target
from reasonbench.trainers.reward_training import Learner, run
from reasonbench.trainers.sft import LogRow

__all__ = ["OrmConfig", "outcome_targets", "pairwise_loss", "train"]


def outcome_targets(nodes: Sequence[StepNode]) -> list[Target]:
    """The verdict where a solution ends; nothing elsewhere."""
    return [
        Target(0.0, 0.0) if node.correct is None else Target(float(node.correct), 1.0)
        for node in nodes
    ]


def pairwise_loss(scores: Tensor, batch: RowBatch) -> Tensor:
    """−log σ(s_right − s_wrong), the mean over the pairs of a problem times its solutions."""
    total = scores.new_zeros(())
    for row in torch.unique(batch.row):
        mine = batch.row == row
        right, wrong = scores[mine & (batch.targets > 0.5)], scores[mine & (batch.targets <= 0.5)]
        if len(right) and len(wrong):
            gaps = right[:, None] - wrong[None]
            total = total - F.logsigmoid(gaps).mean() * (len(right) + len(wrong))
    return total


def train(
    config: OrmConfig,
    out: Path,
    on_log: Callable[[LogRow], None] = lambda row: None,
    on_labels: Callable[[LabelRow], None] = lambda row: None,
    resume: bool = False,
) -> dict[str, Any]:
    """Trains an outcome reward and writes its folder; see `reward_training.run`.

    Raises:
        UsageError: the settings or the data cannot be trained with.
        TrainingDiverged: the loss became NaN or infinite.
    """
    if orm_rows.wanted(config):
        return orm_rows.train(config, out, on_log, resume)
    losses = {None: step_loss, "bce": step_loss, "pairwise": pairwise_loss}
    if config.loss not in losses:
        raise UsageError(f"loss={config.loss} needs rows of preferences, not step labels")
    loss = losses[config.loss]
    learner = Learner(config, "outcome", outcome_targets, loss)
    return run(learner, out, on_log, on_labels, resume)
