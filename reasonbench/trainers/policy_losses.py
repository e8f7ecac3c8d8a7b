"""Losses of the policy-gradient family as pure functions of log-probabilities.

Notation: r = π/π_old the importance ratio of a token; A the advantage; m the mask of trained
tokens; |o| = Σ_t m the tokens of a completion. `PolicyLoss` names the axes on which GRPO,
Dr. GRPO, DAPO, GSPO, CISPO, RLOO and PPO differ; `presets.PRESETS` has their rows. Adding the
losses of micro-batches, and of processes, gives the loss of the whole batch, because every one
of them divides by the `Divisor` of the whole batch. Data-parallel wrappers average gradients:
under them multiply the loss by the number of processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from reasonbench.errors import UsageError
from reasonbench.trainers import ranks

KlKind = Literal["none", "k1", "k2", "k3"]


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """Which loss: one choice on every axis.

    Attributes:
        ratio: `token` r_t; `sequence` s = exp(Σ_t m log r_t / |o|), the same for all tokens of a
            completion (GSPO, arXiv 2507.18071, eq. 7).
        surrogate: `clip` −min(r A, clip(r, 1 − low, 1 + high) A) (PPO, arXiv 1707.06347, eq. 7);
            `cispo` −sg(min(r, high)) A log π (MiniMax-M1, arXiv 2506.13585, eq. 4, without a
            lower bound); `plain` −A log π (REINFORCE, RLOO).
        low: the clip below is 1 − low; at least 0.
        high: the clip above is 1 + high; for `cispo` the cap of the ratio itself, not 1 + high.
        dual: c > 1 + high: where A < 0 the loss is at most −c A (dual clip, arXiv 1912.09729,
            eq. 5); None leaves it out.
        aggregate: `sequence` mean over completions of the mean over their tokens (GRPO); `token`
            mean over all tokens (DAPO); `constant` sum over tokens ÷ (completions × `length`)
            (Dr. GRPO); with `length` 1 the sum over the tokens of a completion (RLOO).
        length: the constant of `constant`, in tokens.
        kl: estimator of KL(π ‖ π_ref) per token, see `kl_estimate`.
        kl_in: `loss` adds β·k to the loss of every token; `reward` leaves the loss alone: the
            caller takes `kl_penalty` off the rewards before the advantages.
        beta: β, the weight of the KL.
        kl_unbiased: multiply k by r, with its gradient, which keeps it unbiased once the policy
            has moved from the one that sampled (DeepSeek-V3.2, arXiv 2512.02556, section 3.1).
        correction: weight w = π_old/π_engine on the policy term (not on the KL) for what the
            engine sampled with other probabilities than the trainer's: `truncate` min(w, cap)
            (truncated importance sampling), `mask` 0 where w > cap.
        correction_ratio: w by token, or the product over the completion.
        cap: C of the correction.
        floor: smallest w: `truncate` raises w to it, `mask` drops below it; None: no bound.
    """

    ratio: Literal["token", "sequence"] = "token"
    surrogate: Literal["clip", "cispo", "plain"] = "clip"
    low: float = 0.2
    high: float = 0.2
    dual: float | None = None
    aggregate: Literal["sequence", "token", "constant"] = "sequence"
    length: int | None = None
    kl: KlKind = "none"
    kl_in: Literal["loss", "reward"] = "loss"
    beta: float = 0.0
    kl_unbiased: bool = False
    correction: Literal["none", "truncate", "mask"] = "none"
    correction_ratio: Literal["token", "sequence"] = "token"
    cap: float = 2.0
    floor: float | None = None

    def __post_init__(self) -> None:
        """Refuses combinations that mean nothing.

        Raises:
            UsageError: a bound is negative or contradicts another, or a constant is missing.
        """
        if self.low < 0 or self.high < 0:
            raise UsageError("the clip bounds low and high must not be negative.")
        if self.surrogate == "cispo" and not self.high > 0:
            raise UsageError("cispo needs a cap of the ratio: high above 0.")
        if self.dual is not None and self.dual <= 1 + self.high:
            raise UsageError(f"the dual clip must exceed 1 + high = {1 + self.high:g}.")
        if self.aggregate == "constant" and (self.length is None or self.length < 1):
            raise UsageError("aggregate 'constant' needs the length to divide by, at least 1.")
        if self.beta and self.kl == "none":
            raise UsageError("beta is set but no KL estimator: choose kl k1, k2 or k3.")
        if self.cap <= 0 or (self.floor is not None and not 0 <= self.floor <= self.cap):
            raise UsageError("the correction needs 0 <= floor <= cap and a cap above 0.")


@dataclass(frozen=True, slots=True)
class Divisor:
    """What losses divide by: the counts of the WHOLE batch, over micro-batches and processes.

    Attributes:
        sequences: completions, those without a trained token included.
        tokens: trained tokens.
    """

    sequences: float
    tokens: float

    @classmethod
    def of(cls, masks: Iterable[Tensor]) -> Divisor:
        """Counts the masks [rows, length] of this process's micro-batches, then all processes'.

        Under torch.distributed every process must call it.
        """
        sequences, tokens = 0.0, 0.0
        for mask in masks:
            sequences, tokens = sequences + len(mask), tokens + float(mask.sum())
        counts = torch.tensor([sequences, tokens], dtype=torch.float64)
        return cls(*ranks.total(counts).tolist())


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """A micro-batch, padded to [rows, length].

    Attributes:
        logprobs: log π of the sampled tokens, with gradient, nats.
        old: log π_old by the trainer's own weights when the batch was sampled, no gradient;
            pass `logprobs.detach()` for the first update after a roll-out.
        advantages: [rows] or [rows, length].
        mask: 1.0 at trained completion tokens, 0.0 elsewhere (the values of every other tensor
            there must be finite but do not matter).
        reference: log π_ref; needed for a KL in the loss, otherwise logged where given.
        engine: log-probabilities by which the engine sampled (processed: temperature and all);
            NaN where it gave none, which counts as no mismatch.
    """

    logprobs: Tensor
    old: Tensor
    advantages: Tensor
    mask: Tensor
    reference: Tensor | None = None
    engine: Tensor | None = None


def kl_estimate(kind: KlKind, logprobs: Tensor, reference: Tensor) -> Tensor:
    """Estimates of KL(π ‖ π_ref) from samples of π, per token, in nats.

    With Δ = log π_ref − log π: k1 = −Δ (unbiased, may be negative), k2 = Δ²/2 (biased, its
    gradient is that of the KL), k3 = e^Δ − Δ − 1 (unbiased, never negative); Schulman,
    "Approximating KL divergence", 2020. `none` is 0. In a loss, the gradient of k1 is 0 in
    expectation: k1 belongs in the reward.
    """
    gap = reference - logprobs
    if kind == "k1":
        return -gap
    if kind == "k2":
        return gap.square() / 2
    if kind == "k3":
        return torch.expm1(gap) - gap
    return torch.zeros_like(gap)


def kl_penalty(spec: PolicyLoss, logprobs: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """What `kl_in="reward"` takes off the reward of each token: β·k, [rows, length], no gradient.

    Summed over a row it is the penalty of the whole completion (RLOO); by token it is PPO's.
    0 where the mask is, and for a KL that goes into the loss.
    """
    if spec.kl_in != "reward" or spec.kl == "none":
        return torch.zeros_like(mask)
    return spec.beta * kl_estimate(spec.kl, logprobs.detach(), reference.detach()) * mask


def policy_loss(
    spec: PolicyLoss, batch: TokenBatch, divisor: Divisor
) -> tuple[Tensor, dict[str, Tensor]]:
    """The micro-batch's share of the loss of the whole batch, and sums for logging.

    Returns:
        The scalar loss, and detached scalars. Sums over trained tokens (divide by `tokens`):
        `tokens`; `clip_low` (r < 1 − low and A < 0), `clip_high` (r > 1 + high and A > 0; for
        cispo: r above the cap), `clip_dual`; `ratio`; `drift` (k3 of π against π_old); with a
        reference `kl` (by the spec's estimator, k3 where it has none); with the engine's numbers
        `mismatch` (|log π_old − log π_engine|), `unscored` (tokens without the engine's number)
        and `corrected` (tokens whose weight was cut).
        Maxima: `ratio_max`, `mismatch_max`. With a sequence ratio, r is the sequence's at each
        of its tokens.

    Raises:
        UsageError: the spec needs a reference or the engine's numbers, and the batch has none.
    """
    mask = batch.mask.to(batch.logprobs.dtype)
    advantages = batch.advantages if batch.advantages.dim() == 2 else batch.advantages[:, None]
    lengths = mask.sum(-1, keepdim=True).clamp(min=1.0)
    # Zeroed outside the mask: an overflow there would give 0 × inf = NaN.
    gap = (batch.logprobs - batch.old.detach()) * mask
    if spec.ratio == "sequence":
        gap = (gap.sum(-1, keepdim=True) / lengths).expand_as(mask)
    ratio = gap.exp()
    losses = _surrogate(spec, ratio, advantages, batch.logprobs)
    sums = _clip_sums(spec, ratio.detach(), gap.detach(), advantages, mask)
    if batch.engine is not None:
        weights, mismatch = _correction(spec, batch.old.detach(), batch.engine, mask)
        losses = losses * weights
        sums |= mismatch
    elif spec.correction != "none":
        raise UsageError("a mismatch correction needs the engine's log-probabilities.")
    if batch.reference is not None:
        kind = "k3" if spec.kl == "none" else spec.kl
        reference = torch.where(mask > 0, batch.reference.detach(), batch.logprobs.detach())
        kl = kl_estimate(kind, batch.logprobs, reference)
        sums["kl"] = (kl.detach() * mask).sum()
        if spec.kl_in == "loss" and spec.beta:
            losses = losses + spec.beta * (kl * ratio if spec.kl_unbiased else kl)
    elif spec.kl_in == "loss" and spec.beta:
        raise UsageError("a KL in the loss needs the reference's log-probabilities.")
    losses = losses * mask
    if spec.aggregate == "sequence":
        return (losses.sum(-1, keepdim=True) / lengths).sum() / divisor.sequences, sums
    if spec.aggregate == "token":
        return losses.sum() / max(divisor.tokens, 1.0), sums
    assert spec.length is not None, "checked when the spec was made"
    return losses.sum() / (divisor.sequences * spec.length), sums


def _surrogate(spec: PolicyLoss, ratio: Tensor, advantages: Tensor, logprobs: Tensor) -> Tensor:
    """−(the objective) of each token, [rows, length]."""
    if spec.surrogate == "plain":
        return -advantages * logprobs
    if spec.surrogate == "cispo":
        return -ratio.detach().clamp(max=spec.high) * advantages * logprobs
    clipped = ratio.clamp(1 - spec.low, 1 + spec.high)
    if spec.dual is not None:
        # The same as max(min(r A, clip(r) A), c A) where A < 0; inert where A > 0 as c > 1 + high.
        ratio = ratio.clamp(max=spec.dual)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def _correction(
    spec: PolicyLoss, old: Tensor, engine: Tensor, mask: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weights of the tokens, [rows, length], and the sums about the mismatch."""
    missing = engine.isnan()
    gap = (old - engine.detach()).masked_fill(missing | (mask <= 0), 0.0)
    sums = {
        "mismatch": gap.abs().sum(),
        "mismatch_max": gap.abs().max(),
        "unscored": (missing * mask).sum(),
    }
    if spec.correction == "none":
        return torch.ones_like(mask), sums
    if spec.correction_ratio == "sequence":
        gap = gap.sum(-1, keepdim=True).expand_as(mask)
    weights = gap.exp()
    cut = weights > spec.cap
    if spec.floor is not None:
        cut = cut | (weights < spec.floor)
    sums["corrected"] = (cut * mask).sum()
    if spec.correction == "mask":
        return weights.masked_fill(cut, 0.0), sums
    return weights.clamp(min=spec.floor, max=spec.cap), sums


def _clip_sums(
    spec: PolicyLoss, ratio: Tensor, gap: Tensor, advantages: Tensor, mask: Tensor
) -> dict[str, Tensor]:
    """The sums about the ratio; `clip_*` are 0 for a surrogate without that bound."""
    nothing = mask.new_zeros(())
    sums = {
        "tokens": mask.sum(),
        "ratio": (ratio * mask).sum(),
        "ratio_max": (ratio * mask).max(),
        "drift": ((torch.expm1(gap) - gap) * mask).sum(),
        "clip_low": nothing,
        "clip_high": nothing,
        "clip_dual": nothing,
    }
    if spec.surrogate == "clip":
        sums["clip_low"] = ((ratio < 1 - spec.low) & (advantages < 0)).mul(mask).sum()
        sums["clip_high"] = ((ratio > 1 + spec.high) & (advantages > 0)).mul(mask).sum()
        if spec.dual is not None:
            sums["clip_dual"] = ((ratio > spec.dual) & (advantages < 0)).mul(mask).sum()
    elif spec.surrogate == "cispo":
        sums["clip_high"] = (ratio > spec.high).mul(mask).sum()
    return sums


def value_loss(
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    mask: Tensor,
    clip: float | None,
    divisor: Divisor,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The critic's loss: Σ m ½ max((V − R)², (V_old + clip(V − V_old, ±clip) − R)²) ÷ tokens.

    The clipped value loss of PPO (arXiv 2005.12729, section 3, "value function clipping").

    Args:
        values: V, [rows, length], with gradient.
        old_values: V when the batch was sampled.
        returns: R, the targets, of `advantages.gae`.
        mask: 1.0 at trained tokens.
        clip: how far V may move from V_old; None for the plain squared error.
        divisor: counts of the whole batch.

    Returns:
        The scalar loss; sums over tokens `value_error` (|V − R|) and `clip_value` (tokens at
        which the clipped term is the larger).
    """
    returns, old_values = returns.detach(), old_values.detach()
    errors = (values - returns).square()
    sums = {
        "value_error": ((values.detach() - returns).abs() * mask).sum(),
        "clip_value": mask.new_zeros(()),
    }
    if clip is not None:
        kept = old_values + (values - old_values).clamp(-clip, clip)
        clipped = (kept - returns).square()
        sums["clip_value"] = ((clipped > errors).detach() * mask).sum()
        errors = torch.maximum(errors, clipped)
    return (errors * mask).sum() / 2 / max(divisor.tokens, 1.0), sums
