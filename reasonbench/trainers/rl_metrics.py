"""What is logged of every step; the names are those that curves and tables know."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from reasonbench.metrics import flops
from reasonbench.text.reflection import reflections
from reasonbench.trainers.rl_sums import Sums
from reasonbench.trainers.rollouts import Rollout, Rollouts
from reasonbench.types import ModelInfo

_TOKEN_MEANS = (
    "entropy", "clip_low", "clip_high", "clip_dual", "kl", "drift", "mismatch", "corrected",
    "unscored",
)  # fmt: skip

_BACKWARD = 2
"""FLOPs of a backward pass over those of the forward pass."""


@dataclass(slots=True)
class Spent:
    """What a run has used so far; stored in checkpoints.

    Attributes:
        tokens_rollout: decoded tokens of roll-outs, those of groups left out included.
        tokens_trained: completion tokens that went into updates, once for each update.
        flops: of roll-outs and training.
        seconds: wall clock, evaluations left out.
        cpu_seconds: processor time of the trainer and the engine, evaluations included.
    """

    tokens_rollout: int = 0
    tokens_trained: int = 0
    flops: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Decoded and trained tokens together."""
        return self.tokens_rollout + self.tokens_trained


def of_rollouts(batch: Rollouts) -> dict[str, float]:
    """Metrics of a batch of roll-outs.

    `reward`, `reward/NAME` and `accuracy` are means over the roll-outs that have them, in groups
    that are trained on; `accuracy_all` is over all that were sampled, those of groups left out for
    want of variance included. Lengths are in tokens: the 10th, 50th and 90th percentile of all, and
    means and percentiles by outcome (`length_correct`, `length_correct_p10`, …); `truncated` is the
    share that the limit cut, `groups_flat` the share of sampled groups without variance,
    `reflection` the mean number of reflection words ("wait", "let me check") of a roll-out.
    """
    rollouts = batch.flatly
    found = {
        "groups_flat": batch.flat / max(1, batch.sampled),
        "groups_sampled": float(batch.sampled),
        "groups_failed": float(batch.failed),
    }
    if batch.graded:
        found["accuracy_all"] = batch.right / batch.graded
    if not rollouts:
        return found
    rewards = [r.reward for r in rollouts if not math.isnan(r.reward)]
    found["ungraded"] = 1 - len(rewards) / len(rollouts)
    if rewards:
        found["reward"] = _mean(rewards)
    components: dict[str, list[float]] = defaultdict(list)
    for rollout in rollouts:
        for name, value in rollout.rewards.items():
            components[f"reward/{name}"].append(value)
    found |= {name: _mean(values) for name, values in components.items()}
    graded = [float(r.correct) for r in rollouts if r.correct is not None]
    if graded:
        found["accuracy"] = _mean(graded)
    return found | _lengths(rollouts)


def _lengths(rollouts: Sequence[Rollout]) -> dict[str, float]:
    by_outcome: dict[str, list[float]] = defaultdict(list)
    lengths = []
    for rollout in rollouts:
        tokens = float(len(rollout.completion.token_ids))
        lengths.append(tokens)
        if rollout.completion.finish == "length":
            by_outcome["length_truncated"].append(tokens)
        elif rollout.correct is not None:
            by_outcome["length_correct" if rollout.correct else "length_wrong"].append(tokens)
    found: dict[str, float] = {}
    for name, values in {"length": lengths, **by_outcome}.items():
        values.sort()
        found |= {f"{name}_p{q}": _quantile(values, q / 100) for q in (10, 50, 90)}
    found["length"] = _mean(lengths)
    found |= {name: _mean(values) for name, values in by_outcome.items()}
    found["truncated"] = len(by_outcome["length_truncated"]) / len(rollouts)
    words = [float(reflections(rollout.completion.text)) for rollout in rollouts]
    return found | {"reflection": _mean(words)}


def of_update(sums: Sums, lr: float) -> dict[str, float]:
    """Metrics of the updates of a batch.

    Means over the tokens that went through the loss (those of roll-outs with an advantage, or all
    where the loss has a KL): `entropy` and `kl` in nats, the clipped shares, `mismatch` (|log π −
    log π_engine|; with late roll-outs it holds the step in between). `ratio_max` is the largest
    ratio, `loss` and `grad_norm` are means over the updates. Those of the critic (`value_loss`,
    `value_error`, `clip_value`, `critic_norm`) are means over its own tokens and updates. What was
    not measured, since nothing was updated, is left out.
    """
    totals = sums.totals
    found = {"updates": float(sums.updates), "lr": lr, **sums.maxima}
    for name in ("loss", "grad_norm"):
        if sums.updates:
            found[name] = totals[name] / sums.updates
    for name in _TOKEN_MEANS:
        if name in totals and totals["tokens"]:
            found[name] = totals[name] / totals["tokens"]
    for name in ("value_loss", "critic_norm"):
        if sums.critic_updates:
            found[name] = totals[name] / sums.critic_updates
    for name in ("value_error", "clip_value"):
        if sums.critic_tokens:
            found[name] = totals[name] / sums.critic_tokens
    return found


def training_flops(sums: Sums, batch: Rollouts, model: ModelInfo) -> float:
    """Of the passes over a batch: three forward passes' worth for those with gradients."""
    if not (model.active_parameters and model.layers and model.hidden_size):
        return 0.0
    rollouts = batch.flatly
    tokens = sum(len(r.prompt.token_ids) + len(r.completion.token_ids) for r in rollouts)
    mean = tokens / max(1, len(rollouts))
    passes = (1 + _BACKWARD) * sums.read + sums.scored
    a_token = flops(
        model.active_parameters, mean, 0.0, layers=model.layers, hidden=model.hidden_size
    ) / max(1.0, mean)
    return passes * a_token


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / max(1, len(values))


def _quantile(ordered: Sequence[float], q: float) -> float:
    """Linear interpolation between order statistics."""
    at = q * (len(ordered) - 1)
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))
