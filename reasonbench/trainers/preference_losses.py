"""Losses of preference data as pure functions of completions' log-probabilities.

Notation: ℓ = log π − log π_ref of a completion, the *sum* over its trained tokens unless a
function says *mean*. Every function returns one loss an example; sum them and divide by the
examples of the whole batch, so that micro-batches and processes add up.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor


def dpo(chosen: Tensor, rejected: Tensor, beta: float = 0.1) -> Tensor:
    """−log σ(β (ℓ_w − ℓ_l)), [pairs] (arXiv 2305.18290, eq. 7).

    Args:
        chosen: ℓ_w, [pairs].
        rejected: ℓ_l, [pairs].
        beta: strength of the pull towards the reference, above 0.
    """
    return -F.logsigmoid(beta * (chosen - rejected))


def ipo(chosen: Tensor, rejected: Tensor, beta: float = 0.1) -> Tensor:
    """(h − 1/(2β))² with h the difference of the *means* of ℓ over tokens, [pairs].

    Eq. 17 of arXiv 2310.12036, whose τ is β. The paper writes sums; per-token means make β
    independent of length, and are what TRL computes on its authors' advice.

    Args:
        chosen: mean ℓ of the preferred completion, [pairs].
        rejected: mean ℓ of the other, [pairs].
        beta: above 0.
    """
    return (chosen - rejected - 1 / (2 * beta)).square()


def kto_reference(logratios: Tensor) -> Tensor:
    """z = max(0, mean ℓ) over mismatched completions of the whole batch, without gradient.

    Eq. 7 and section 4.1 of arXiv 2402.01306: ℓ of completions that belong to *other* prompts
    estimates KL(π ‖ π_ref). Give it all of a batch (gathered over processes), not a micro-batch.

    Args:
        logratios: ℓ of every mismatched completion, [examples].
    """
    return logratios.detach().mean().clamp(min=0.0)


def kto(
    logratios: Tensor,
    desirable: Tensor,
    reference: Tensor | float,
    beta: float = 0.1,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """w_d (1 − σ(β(ℓ − z))) for good, w_u (1 − σ(β(z − ℓ))) for bad ones, [examples].

    Eqs. 7-8 of arXiv 2402.01306, which wants w_d n_d / (w_u n_u) between 1 and 4/3.

    Args:
        logratios: ℓ, [examples].
        desirable: bool, [examples].
        reference: z of `kto_reference`; 0 for a loss without it.
        beta: above 0.
        desirable_weight: w_d.
        undesirable_weight: w_u.
    """
    margin = beta * (logratios - reference)
    # 1 − σ(x) = σ(−x), without the cancellation.
    good, bad = torch.sigmoid(-margin), torch.sigmoid(margin)
    return torch.where(desirable, desirable_weight * good, undesirable_weight * bad)


def log_odds_ratio(chosen: Tensor, rejected: Tensor) -> Tensor:
    """log [odds(w)/odds(l)] with odds = P/(1 − P) and log P the *mean* log-probability of a token.

    Eqs. 4-5 of arXiv 2403.07691.

    Args:
        chosen: mean log π over the tokens of the preferred completion, below 0, [pairs].
        rejected: the same of the other.
    """
    return (chosen - rejected) - (_log_one_minus_exp(chosen) - _log_one_minus_exp(rejected))


def orpo(nll: Tensor, chosen: Tensor, rejected: Tensor, weight: float = 0.1) -> Tensor:
    """nll − λ log σ(log-odds ratio), [pairs] (arXiv 2403.07691, eqs. 6-7).

    Args:
        nll: the preferred example's share of the mean negative log-likelihood, [pairs]: the
            caller chooses whether prompts count (in TRL they do) and how tokens are averaged. For
            the mean over all tokens of the batch pass (sum of the pair's) × pairs ÷ tokens.
        chosen: mean log π of the preferred completion's tokens, [pairs].
        rejected: the same of the other.
        weight: λ (TRL calls it beta).
    """
    return nll - weight * F.logsigmoid(log_odds_ratio(chosen, rejected))


def plackett_luce(scores: Tensor, ranks: Tensor, beta: float = 1.0) -> Tensor:
    """−log P(ranking) under Plackett-Luce, [prompts] (arXiv 2305.18290, appendix A.3).

    P = Π_k e^{β s_k} / Σ_{j ranked k or lower} e^{β s_j} over the responses from best to worst;
    with two responses it is `dpo`, or Bradley-Terry for reward scores. Tied responses never
    compete: each is set against those ranked strictly lower, and the tied ones' terms are added.

    Args:
        scores: ℓ or a reward model's scores, [prompts, responses].
        ranks: 1 = best; 0 marks padding; [prompts, responses].
        beta: factor on the scores.
    """
    scaled = beta * scores
    there = ranks > 0
    lower = (ranks[:, None, :] > ranks[:, :, None]) & there[:, None, :] & there[:, :, None]
    itself = torch.eye(ranks.shape[1], dtype=torch.bool, device=ranks.device) & there[:, :, None]
    rivals = torch.where(lower | itself, scaled[:, None, :], -torch.inf)
    # A response with nothing under it contributes log 1.
    norms = torch.logsumexp(torch.where(there[:, :, None], rivals, 0.0), -1)
    return torch.where(lower.any(-1), norms - scaled, 0.0).sum(-1)


def _log_one_minus_exp(values: Tensor) -> Tensor:
    """log(1 − e^x) for x < 0, accurate at both ends (Mächler 2012, eq. 7)."""
    near = values > -0.6931471805599453
    # Each branch sees only values it can differentiate: the unused one would give NaN × 0.
    small = torch.log(-torch.expm1(torch.where(near, values, -1.0)))
    large = torch.log1p(-torch.exp(torch.where(near, -1.0, values)))
    return torch.where(near, small, large)
