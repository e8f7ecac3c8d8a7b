"""The setting's losses by this package, in the form of the reference's: loss and gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from reasonbench.trainers.advantages import group_advantages
from reasonbench.trainers.completion_loss import Padded, completion_loss, pad
from reasonbench.trainers.data import Encoded
from reasonbench.trainers.logprobs import completion_logprobs, spread, trained_mask
from reasonbench.trainers.policy_losses import Divisor, PolicyLoss, TokenBatch, policy_loss
from reasonbench.trainers.preference_losses import dpo, ipo, kto, kto_reference, orpo
from tests.trainers.golden import setting

POLICY: dict[str, PolicyLoss] = {
    "grpo": PolicyLoss(kl="k3", beta=0.04),
    "grpo_unbiased_kl": PolicyLoss(kl="k3", beta=0.04, kl_unbiased=True),
    "grpo_on_policy": PolicyLoss(),
    "grpo_split": PolicyLoss(kl="k3", beta=0.04),
    "grpo_per_token": PolicyLoss(),
    "grpo_temperature": PolicyLoss(),
    "dr_grpo": PolicyLoss(aggregate="constant", length=setting.MAX_COMPLETION),
    "dapo": PolicyLoss(aggregate="token", high=0.28),
    "dapo_split": PolicyLoss(aggregate="token", high=0.28),
    "gspo": PolicyLoss(ratio="sequence", low=3e-4, high=4e-4),
    "gspo_wide": PolicyLoss(
        ratio="sequence", low=0.1, high=0.1, kl="k3", beta=0.02, kl_unbiased=True
    ),
    "cispo": PolicyLoss(surrogate="cispo", high=5.0, aggregate="token"),
    "cispo_capped": PolicyLoss(surrogate="cispo", high=1.2, aggregate="token"),
    "two_sided": PolicyLoss(aggregate="token", dual=1.3),
    "truncated": PolicyLoss(
        aggregate="token",
        kl="k3",
        beta=0.04,
        kl_unbiased=True,
        correction="truncate",
        cap=2.0,
    ),
    "masked": PolicyLoss(aggregate="token", correction="mask", cap=1.5),
    "sequence_truncated": PolicyLoss(correction="truncate", correction_ratio="sequence", cap=1.5),
    "sequence_masked": PolicyLoss(correction="mask", correction_ratio="sequence", cap=3.0),
    "rloo_gradient": PolicyLoss(surrogate="plain", aggregate="constant", length=1),
}
"""The spec of every policy case of the reference."""


def encoded(prompt: list[int], completion: list[int]) -> Encoded:
    return Encoded(prompt + completion, [False] * len(prompt) + [True] * len(completion))


def rows(numbers: list[int]) -> Padded:
    pairs = [(setting.PROMPTS[n], setting.COMPLETIONS[n]) for n in numbers]
    return pad([encoded(p, c) for p, c in pairs], setting.PAD, "cpu")


def graded(model: Any, loss: Tensor) -> dict[str, Any]:
    """Loss and gradients; the loss's gradients add to those that the model has."""
    loss.backward()
    grads = {name: weight.grad.flatten().tolist() for name, weight in model.named_parameters()}
    return {"loss": loss.item(), "gradients": grads}


def policy(name: str, split: list[list[int]] | None = None) -> dict[str, Any]:
    """A policy case; `split` computes it in micro-batches of these rows."""
    spec, model = POLICY[name], setting.build()
    near = setting.policy_inputs()
    parts = [list(range(len(setting.PROMPTS)))] if split is None else split
    divisor = Divisor.of([trained_mask(rows(part)) for part in parts])
    total, result = 0.0, {}
    for part in parts:
        padded = rows(part)
        temperature = 0.7 if name == "grpo_temperature" else 1.0
        flat = completion_logprobs(model, padded, temperature).logprobs
        own = flat.detach()
        old = own if name in ("grpo_on_policy", "rloo_gradient") else own + laid(near["old"], part)
        batch = TokenBatch(
            logprobs=spread(flat, padded),
            old=spread(old, padded),
            advantages=torch.tensor(setting.ADVANTAGES)[part],
            mask=trained_mask(padded),
            reference=spread(own + laid(near["reference"], part), padded),
        )
        if spec.correction != "none":
            batch = replace(batch, engine=spread(old - laid(near["engine"], part), padded))
        if name == "grpo_per_token":
            batch = replace(batch, advantages=spread(laid(near["advantages"], part), padded))
        loss, _ = policy_loss(spec, batch, divisor)
        result = graded(model, loss)
        total += loss.item()
    return result | {"loss": total}


def laid(numbers: Tensor, part: list[int]) -> Tensor:
    """The [rows, completion] numbers of some rows as `completion_logprobs` orders its tokens."""
    return torch.cat([numbers[n, : len(setting.COMPLETIONS[n])] for n in part])


def advantages(kind: Any) -> list[float]:
    return group_advantages(torch.tensor(setting.REWARDS), kind).flatten().tolist()


def sums(model: Any, pairs: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Summed log-probabilities and token counts of (prompt, completion) numbers."""
    padded = pad(
        [encoded(setting.PROMPTS[p], setting.COMPLETIONS[c]) for p, c in pairs], setting.PAD, "cpu"
    )
    numbers = spread(completion_logprobs(model, padded).logprobs, padded)
    return numbers.sum(-1), trained_mask(padded).sum(-1)


def preference(name: str) -> dict[str, Any]:
    """A preference case."""
    model = setting.build()
    if name.startswith("kto"):
        return _kto(model, name)
    chosen, chosen_length = sums(model, [(w, w) for w, _ in setting.PAIRS])
    rejected, rejected_length = sums(model, setting.PAIRS)
    if name == "orpo":
        whole = [
            Encoded(ids := setting.PROMPTS[w] + setting.COMPLETIONS[w], [True] * len(ids))
            for w, _ in setting.PAIRS
        ]
        padded = pad(whole, setting.PAD, "cpu")
        # TRL's likelihood term is the mean over all tokens of the batch, the prompts' included.
        nll = completion_loss(model, padded) / len(padded.targets)
        losses = orpo(nll, chosen / chosen_length, rejected / rejected_length, weight=0.1)
        return graded(model, losses.mean())
    reference = setting.build(0.3)
    with torch.no_grad():
        chosen_away = sums(reference, [(w, w) for w, _ in setting.PAIRS])[0]
        rejected_away = sums(reference, setting.PAIRS)[0]
    good, bad = chosen - chosen_away, rejected - rejected_away
    if name == "dpo":
        losses = dpo(good, bad, beta=0.3)
    else:
        losses = ipo(good / chosen_length, bad / rejected_length, beta=0.3)
    return graded(model, losses.mean())


def _kto(model: Any, name: str) -> dict[str, Any]:
    reference = setting.build(-0.3 if name == "kto_far" else 0.3)
    count = len(setting.PROMPTS)
    matched = [(n, n) for n in range(count)]
    shifted = [(n, (n - 1) % count) for n in range(count)]
    logratios, _ = sums(model, matched)
    with torch.no_grad():
        far = sums(model, shifted)[0] - sums(reference, shifted)[0]
        away = sums(reference, matched)[0]
    z = kto_reference(far)
    weights = {} if name == "kto_far" else {"desirable_weight": 1.1, "undesirable_weight": 0.9}
    labels = torch.tensor(setting.LABELS)
    losses = kto(logratios - away, labels, z, beta=0.3, **weights)
    return graded(model, losses.mean()) | {"kl": z.item()}
