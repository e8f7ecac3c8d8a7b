"""Process reward models: a score at the end of every step (Lightman et al. 2023).

Trained by the binary cross-entropy of step labels: made by roll-outs (Math-Shepherd; Wang et al.
2024, section 3.4; OmegaPRM; Luo et al. 2024), or given, as people's are (`step_rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch.nn.functional as F  # noqa: N812 - torch's own custom
from pydantic import Field
from torch import Tensor

from reasonbench.trainers.reward_config import RewardTraining
from reasonbench.trainers.reward_labels import LabelRow
from reasonbench.trainers.reward_rows import RowBatch, StepNode, Target
from reasonbench.trainers.reward_training import Learner, run
from reasonbench.trainers.sft import LogRow


class PrmConfig(RewardTraining):
    """A process reward model: where it starts, from which labels, how it learns."""

    target: Literal["hard", "soft"] = "hard"
    """`hard`: whether any completion from the step was right; `soft`: the share that was."""
    least: int = Field(default=8, ge=1)
    """Completions without which a step that is not the last one does not count (`hard`)."""
    unsolved: bool = False
    """Also learn inner steps of problems for which no completion at all was right: such labels say
    what the policy cannot solve rather than which step is wrong."""
    last: float = Field(default=1.0, ge=0)
    """Weight of a solution's last step, whose label is the grader's verdict."""


def step_targets(nodes: Sequence[StepNode], config: PrmConfig) -> list[Target]:
    """What the score of each step should be, from the completions from its end.

    A step after one from which nothing was right is wrong too (`hard`). Steps with fewer
    completions than `least` are left out whatever came of them: to keep only those from which
    something was right would teach that such steps are right.
    """
    targets: list[Target] = []
    inner = 1.0 if config.unsolved or any(node.right for node in nodes) else 0.0
    dead: list[bool] = []
    for node in nodes:
        before = node.parent >= 0 and dead[node.parent]
        known = node.tried >= config.least
        dead.append(before or (known and node.right == 0))
        if node.correct is not None:
            targets.append(Target(float(node.correct), config.last))
        elif config.target == "soft":
            weight = inner * min(1.0, node.tried / config.least)
            targets.append(Target(node.right / max(1, node.tried), weight))
        elif dead[-1]:
            targets.append(Target(0.0, inner))
        else:
            targets.append(Target(1.0, 1.0) if known else Target(0.0, 0.0))
    return targets


def step_loss(scores: Tensor, batch: RowBatch) -> Tensor:
    """Summed weighted binary cross-entropy of the counted steps, in nats."""
    return F.binary_cross_entropy_with_logits(
        scores, batch.targets, weight=batch.weights, reduction="sum"
    )


def train(
    config: PrmConfig,
    out: Path,
    on_log: Callable[[LogRow], None] = lambda row: None,
    on_labels: Callable[[LabelRow], None] = lambda row: None,
    resume: bool = False,
) -> dict[str, Any]:
    """Trains a process reward and writes its folder; see `reward_training.run`."""
    learner = Learner(config, "process", lambda nodes: step_targets(nodes, config), step_loss)
    return run(learner, out, on_log, on_labels, resume)
