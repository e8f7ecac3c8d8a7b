"""Log-probabilities and entropies of completion tokens without the logits of a whole batch.

Logits exist for one chunk of positions at a time; the backward pass makes them again from the
hidden states and the head. What stays between the passes is one number a token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from reasonbench.trainers.completion_loss import Padded
from reasonbench.trainers.parallel import whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ENTRIES = 2**25
"""Logits that exist at one time: 220 positions of a vocabulary of 151,936, 134 MB in fp32."""


@dataclass(frozen=True)
class Scored:
    """The trained tokens of a batch, flat, in the order of `Padded.where`.

    Attributes:
        logprobs: [tokens] log-probability of each, nats, fp32, with gradient.
        entropy: [tokens] entropy of the distribution each was drawn from, nats, with gradient;
            None unless asked for.
    """

    logprobs: Tensor
    entropy: Tensor | None


def completion_logprobs(
    model: PreTrainedModel, padded: Padded, temperature: float = 1.0, entropy: bool = False
) -> Scored:
    """Log π(token | what precedes it) of the trained tokens under softmax(logits / temperature).

    Args:
        model: a causal model; it is run without a cache and without an attention mask, as
            padding is on the right.
        padded: the batch.
        temperature: above 0; the one that the engine sampled with, for importance ratios.
        entropy: whether the entropies are wanted too.
    """
    hidden = model.get_decoder()(input_ids=padded.ids, use_cache=False).last_hidden_state
    hidden = hidden.reshape(-1, hidden.shape[-1])[padded.where]
    finish = _logit_change(model)
    head = model.get_output_embeddings()
    if type(head) is nn.Linear and head.bias is None and finish is None:
        weight = whole(head.weight, hidden.dtype)
        return linear_logprobs(hidden, weight, padded.targets, temperature, entropy)

    def logits(states: Tensor) -> Tensor:
        raw = head(states).float()
        return raw if finish is None else finish(raw)

    return _checkpointed(hidden, logits, padded.targets, temperature, entropy)


def spread(flat: Tensor, padded: Padded) -> Tensor:
    """Numbers of the trained tokens laid out as the batch is: [tokens] -> [rows, length].

    Differentiable; 0 elsewhere. Position t of a row holds the number of the token that follows
    input token t.
    """
    rows, length = padded.ids.shape
    laid = flat.new_zeros(rows * length).index_copy(0, padded.where, flat)
    return laid.view(rows, length)


def trained_mask(padded: Padded) -> Tensor:
    """[rows, length], fp32: 1.0 where `spread` puts a number."""
    return spread(torch.ones_like(padded.where, dtype=torch.float32), padded)


def linear_logprobs(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    temperature: float = 1.0,
    entropy: bool = False,
) -> Scored:
    """Log-probabilities of targets under softmax(hidden · weightᵀ / temperature).

    Args:
        hidden: [tokens, size].
        weight: [vocabulary, size], of the same dtype.
        targets: [tokens].
        temperature: above 0.
        entropy: whether the entropies are wanted too.
    """
    # torch leaves `apply` untyped
    out = _Head.apply(hidden, weight, targets, temperature, entropy)  # type: ignore[no-untyped-call]
    return Scored(*out) if entropy else Scored(out[0], None)


def _logit_change(model: PreTrainedModel) -> Callable[[Tensor], Tensor] | None:
    """What a model does to the head's output before the softmax, or None.

    Cohere and Falcon-H1 multiply logits, Granite divides them, Gemma caps them softly.
    """
    config = model.config.get_text_config()
    factor: float = getattr(config, "logit_scale", None) or 1.0
    factor *= getattr(config, "lm_head_multiplier", None) or 1.0
    factor /= getattr(config, "logits_scaling", None) or 1.0
    cap: float | None = getattr(config, "final_logit_softcapping", None)
    if cap:
        return lambda logits: cap * torch.tanh(logits * factor / cap)
    return None if factor == 1.0 else lambda logits: logits * factor


class _Head(torch.autograd.Function):
    """The head, softmax, gather and entropy, chunk by chunk, with a hand-written gradient.

    With z the logits over the temperature T, p = softmax(z) and H the entropy:
    ∂log p_y/∂z_j = [j = y] − p_j and ∂H/∂z_j = −p_j (log p_j + H).
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        temperature: float,
        entropy: bool,
    ) -> tuple[Tensor, Tensor]:
        size = max(1, ENTRIES // len(weight))
        count = len(targets)
        logprobs = torch.empty(count, dtype=torch.float32, device=hidden.device)
        entropies = torch.empty(count if entropy else 0, device=hidden.device)
        kept = None
        for start in range(0, count, size):
            part = slice(start, start + size)
            logs = _log_softmax(hidden[part], weight, temperature)
            logprobs[part] = logs.gather(-1, targets[part, None])[:, 0]
            if entropy:
                entropies[part] = -logs.exp().mul_(logs).sum(-1)
            # A batch of one chunk keeps them: making them again would buy nothing.
            kept = logs if len(logs) == count else None
        ctx.save_for_backward(hidden, weight, targets, entropies, kept)
        ctx.temperature, ctx.size = temperature, size
        ctx.set_materialize_grads(False)
        return logprobs, entropies

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, upper: Tensor | None, upper_entropy: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        hidden, weight, targets, entropies, kept = ctx.saved_tensors
        want_hidden, want_weight = ctx.needs_input_grad[:2]
        hidden_grad = torch.empty_like(hidden) if want_hidden else None
        weight_grad = torch.zeros_like(weight) if want_weight else None
        if upper is None:
            upper = torch.zeros(len(targets), device=hidden.device)
        for start in range(0, len(targets), ctx.size):
            part = slice(start, start + ctx.size)
            logs = _log_softmax(hidden[part], weight, ctx.temperature) if kept is None else kept
            grad = logs.exp()
            if upper_entropy is None:
                grad.mul_(-upper[part, None])
            else:
                bend = (logs + entropies[part, None]).mul_(upper_entropy[part, None])
                grad.mul_(bend.add_(upper[part, None]).neg_())
            grad.scatter_add_(-1, targets[part, None], upper[part, None])
            if ctx.temperature != 1.0:
                grad.div_(ctx.temperature)
            grad = grad.to(hidden.dtype)
            if hidden_grad is not None:
                torch.mm(grad, weight, out=hidden_grad[part])
            if weight_grad is not None:
                weight_grad.addmm_(grad.t(), hidden[part])
        return hidden_grad, weight_grad, None, None, None


def _log_softmax(hidden: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """[positions, vocabulary], fp32."""
    logits = torch.mm(hidden, weight.t())
    if temperature != 1.0:
        logits = logits.float().div_(temperature)
    return torch.log_softmax(logits, -1, dtype=torch.float32)


def _checkpointed(
    hidden: Tensor,
    logits: Callable[[Tensor], Tensor],
    targets: Tensor,
    temperature: float,
    entropy: bool,
) -> Scored:
    """The same by autograd, for a head that is more than one matrix (an adapter, a bias, a cap)."""

    def score(states: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        logs = torch.log_softmax(logits(states) / temperature, -1)
        spreads = -(logs.exp() * logs).sum(-1) if entropy else logs.new_zeros(len(logs))
        return logs.gather(-1, wanted[:, None])[:, 0], spreads

    width = logits(hidden[:1].detach()).shape[-1]
    size = max(1, ENTRIES // width)
    parts = [
        checkpoint(score, h, t, use_reentrant=False)
        for h, t in zip(torch.split(hidden, size), torch.split(targets, size), strict=True)
    ]
    logprobs, entropies = (torch.cat(p) for p in zip(*parts, strict=True))
    return Scored(logprobs, entropies if entropy else None)
