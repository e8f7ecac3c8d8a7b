"""Advantages: from the rewards of a group of completions, or from a critic's values."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from reasonbench.trainers import ranks

GroupAdvantage = Literal["std", "mean", "rloo"]


def group_advantages(
    rewards: Tensor, kind: GroupAdvantage, epsilon: float = 1e-4, ddof: int = 1
) -> Tensor:
    """Advantages of completions against the others of their prompt.

    `std` (R − mean)/(std + epsilon) (GRPO, arXiv 2402.03300, section 4.1.2); `mean` R − mean
    (Dr. GRPO, arXiv 2503.20783, section 3.2); `rloo` R_i − mean_{j≠i} R_j (arXiv 2402.14740,
    eq. 8). A reward that is NaN (ungraded) takes no part in its group's mean and deviation, and
    its completion gets advantage 0; so does a completion that is alone in its group.

    Args:
        rewards: [groups, G].
        kind: which of the three.
        epsilon: added to the deviation; TRL adds 1e-4.
        ddof: the variance divides by G − ddof; 1 as in TRL (Bessel), 0 for the population's.

    Returns:
        [groups, G], of the rewards' dtype; computed in float64.
    """
    scored = ~rewards.isnan()
    values = torch.where(scored, rewards, 0.0).double()
    count = scored.sum(-1, keepdim=True)
    centred = torch.where(scored, values - values.sum(-1, keepdim=True) / count.clamp(min=1), 0.0)
    if kind == "std":
        variance = centred.square().sum(-1, keepdim=True) / (count - ddof).clamp(min=1)
        centred = centred / (variance.sqrt() + epsilon)
    elif kind == "rloo":
        # R_i − (S − R_i)/(n − 1) = (R_i − S/n) · n/(n − 1)
        centred = centred * count / (count - 1).clamp(min=1)
    return torch.where(count > 1, centred, 0.0).to(rewards.dtype)


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (arXiv 1506.02438, eqs. 11-16).

    δ_t = r_t + γ V_{t+1} − V_t and A_t = δ_t + γλ A_{t+1}, where t + 1 is the next *trained* token
    of the row: prompts, tool outputs and padding (mask 0) are stepped over. After the last one V
    and A are 0. γ and λ in [0, 1].

    Args:
        rewards: [rows, length] per token; what counts only at the end stands at the last token.
        values: V, [rows, length], before each token was written; no gradient is taken.
        mask: 1.0 at trained tokens.
        gamma: discount γ.
        lam: λ.

    Returns:
        advantages [rows, length] and returns A + V, both 0 where the mask is; in float32 or wider.
    """
    values = values.detach().to(torch.promote_types(values.dtype, torch.float32))
    trained = mask > 0
    deltas = torch.zeros_like(values)
    advantage = values.new_zeros(len(values))
    following = values.new_zeros(len(values))
    for place in range(values.shape[1] - 1, -1, -1):
        here = trained[:, place]
        value = values[:, place]
        grown = rewards[:, place] + gamma * following - value + gamma * lam * advantage
        advantage = torch.where(here, grown, advantage)
        following = torch.where(here, value, following)
        deltas[:, place] = torch.where(here, advantage, 0.0)
    return deltas, torch.where(trained, deltas + values, 0.0)


def whiten(
    values: Tensor,
    mask: Tensor,
    centre: bool = True,
    epsilon: float = 1e-8,
    ddof: int = 1,
    shared: bool = False,
) -> Tensor:
    """(x − mean)/√(var + epsilon) over the trained tokens of the whole batch and all processes.

    The variance divides by tokens − ddof. Give it the whole batch: micro-batches whitened one by
    one are another loss.

    Args:
        values: [rows, length].
        mask: 1.0 at trained tokens.
        centre: whether the mean is taken off; otherwise only the scale changes.
        epsilon: added to the variance.
        ddof: see above.
        shared: every process has the whole batch already, rather than a part of its own.

    Returns:
        [rows, length], 0 where the mask is.
    """
    total = Tensor.double if shared else ranks.total
    kept = (values * mask).double()
    count, summed = total(torch.stack([mask.double().sum(), kept.sum()])).unbind()
    mean = summed / count.clamp(min=1)
    squares = total(((kept - mean) * mask).square().sum())
    scale = (squares / (count - ddof).clamp(min=1) + epsilon).rsqrt()
    return ((values - mean * centre) * scale * mask).to(values.dtype)
