"""A reward model that grows out of a policy: what it starts with beside the policy's layers.

A score compares what was written with what the policy expected there. Both are in the policy, but
not in one place: what it expects of a token stands at the end of its layers at the token before,
and by then its residual stream has little left of the token it read (a linear map finds it back for
78 % of the tokens of the built-in policy's solutions). Step labels alone do not teach layers on top
to bring the two together: right steps against the same steps with a digit changed, they have an AUC
of 0.62, where the policy's smallest log-probability has 0.9996.

So the residual stream gets more dimensions, which the policy's layers neither read nor write: they
carry the token itself. Two layers are added.

1. One key head of the first looks at the token before and fetches what the policy expected. Its MLP
   learns, from nothing but the policy's own log-probabilities, how unlikely each token was (its
   surprise), on single tokens of many problems in random order: rows of one problem are too much
   alike to learn it from in reasonable time. The surprise goes into a dimension of its own.
2. One key head of the second looks at the most surprising token so far.

What the scores make of that is learned from step labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor, nn

from reasonbench.errors import UsageError
from reasonbench.trainers.reward_rows import RowBatch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOKEN, EXPECTED = 32, 30
"""Added dimensions for the token and for what was expected of it. Two more hold how surprising the
token is, and how surprising the most surprising one so far."""
SIZE = TOKEN + EXPECTED + 2
LAYERS = 2
CEILING = 6.0
"""Nats beyond which a token is as surprising as can be."""
_SMALL = 0.02
"""Size of the token's code against the rest of an embedding: the norms hardly see it."""
_SHARP = 6.0
"""Scale of normalised queries and keys of the head that looks back: it puts 99 % of its weight on
the token before."""
_WORST = 2.5
"""The same of the head that looks for the most surprising token."""
_QUICK = 0.08
"""Rotary frequencies (radians a token) from which a pair of dimensions tells neighbours apart."""
_PROMPTS = 3
"""One token of prompts is learned for so many of solutions: prompts surprise nobody."""


class Tokens(NamedTuple):
    """What the comparison is learned from.

    Attributes:
        states: (tokens, size) what comes into the first added layer's MLP, normalised, bfloat16.
        surprise: (tokens,) nats, 0 to `CEILING`; 0 for prompts.
    """

    states: Tensor
    surprise: Tensor


def grow(
    policy: PreTrainedModel, model: PreTrainedModel, batches: Callable[[], Iterator[RowBatch]]
) -> None:
    """Gives a reward model the policy's layers and those that compare.

    Args:
        policy: the language model, in float32, which reads rows of trees.
        model: with `LAYERS` more layers and a residual stream of `SIZE` more dimensions; all of its
            weights are replaced. Float32, reads rows of trees.
        batches: opens rows of solutions; all are read, and the first ones once more.

    Raises:
        UsageError: the model's attention is built otherwise (no norm of queries and keys).
    """
    wide, size = model.model, policy.config.hidden_size
    first = policy.config.num_hidden_layers
    for layer in wide.layers:
        if not hasattr(layer.self_attn, "q_norm"):
            raise UsageError("layers that compare need normalised queries and keys, as in Qwen3")
    widen(policy.get_decoder(), wide)
    some = next(batches())
    fresh(wide, first)
    states, ids = entering(wide, some, first)
    look_back(wide, first, size, states, ids)
    learn(wide, first, gather(policy, wide, batches(), first))
    states, _ = entering(wide, some, first + 1)
    look_for_worst(wide, first + 1, states)
    with torch.no_grad():
        wide.norm.weight.fill_(1.0)


def widen(small: PreTrainedModel, wide: PreTrainedModel) -> None:
    """Copies a model's layers into one with more dimensions: it computes the same.

    The first added dimensions hold a code of the token, which the copied layers do not touch; the
    others are 0. (Up to the share `_SMALL`² of the norms.)

    Args:
        small: the policy's decoder, with the layers to copy.
        wide: a decoder with at least as many layers.
    """
    size, full = small.config.hidden_size, wide.config.hidden_size
    shrink = math.sqrt(size / full)
    embedding = small.embed_tokens.weight
    with torch.no_grad():
        for name, parameter in small.named_parameters():
            target = wide.get_parameter(name)
            if parameter.shape == target.shape:
                target.copy_(parameter)
            elif parameter.dim() == 1:
                target.fill_(1.0)
                target[:size] = parameter * shrink
            else:
                target.zero_()
                target[tuple(slice(0, n) for n in parameter.shape)] = parameter
        code = embedding @ _directions(embedding, TOKEN)
        code /= code.std(dim=0)
        scale = _SMALL * embedding.norm(dim=1).mean() / code.norm(dim=1).mean()
        wide.embed_tokens.weight[:, size : size + TOKEN] = code * scale


def fresh(wide: PreTrainedModel, first: int) -> None:
    """New layers that change nothing at first: they read everything and write zeros."""
    with torch.no_grad():
        for layer in wide.layers[first:]:
            for part in (layer.self_attn, layer.mlp):
                for linear in part.modules():
                    if isinstance(linear, nn.Linear):
                        linear.weight.normal_(0.0, linear.in_features**-0.5)
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()


def look_back(wide: PreTrainedModel, index: int, size: int, states: Tensor, ids: Tensor) -> None:
    """Sets up the first added layer: its first key head looks at the token before.

    Queries and keys are the same everywhere but for their rotation, whose angle alone then decides;
    the head's values are what the policy expects, in the directions that matter most.

    Args:
        wide: the decoder that `widen` made.
        index: of the layer.
        size: of the policy's residual stream.
        states: (tokens, wide size) what comes into the layer.
        ids: (tokens,) the tokens themselves: their embeddings say which directions matter.
    """
    attention, head, group = _heads(wide, index)
    token = slice(size, size + TOKEN)
    with torch.no_grad():
        rms = states.pow(2).mean(dim=-1).sqrt().mean()
        loud = rms / states[:, token].pow(2).mean().sqrt()
        for layer in wide.layers[index:]:
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                norm.weight.fill_(1.0)
                norm.weight[token] = loud
        before = wide.layers[index].input_layernorm
        before.weight[:size] = wide.norm.weight[:size]
        normed = before(states)
        key, query = _one_back(wide.config, head)
        even = _even(normed)
        attention.q_norm.weight.fill_(_SHARP)
        attention.k_norm.weight.fill_(_SHARP)
        attention.q_proj.weight[: group * head] = torch.outer(query, even).repeat(group, 1)
        attention.k_proj.weight[:head] = torch.outer(key, even)
        directions = _directions(wide.embed_tokens.weight[ids, :size], head)
        attention.v_proj.weight[:head] = 0.0
        attention.v_proj.weight[:head, :size] = directions.T
        expected = normed[:, :size] @ directions
        place = torch.arange(min(head, EXPECTED))
        attention.o_proj.weight[size + TOKEN + place, place] = rms / expected.std()


def gather(
    policy: PreTrainedModel, wide: PreTrainedModel, batches: Iterable[RowBatch], index: int
) -> Tokens:
    """Reads rows and keeps what the comparison is learned from, in random order."""
    states, surprise = list[Tensor](), list[Tensor]()
    seen: list[Tensor] = []
    hook = wide.layers[index].mlp.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        for batch in batches:
            _read(wide, batch)
            inside = seen.pop().flatten(0, 1)
            behind = batch.tokens
            asked = torch.ones(batch.ids.numel(), dtype=torch.bool, device=behind.device)
            asked[behind] = False
            asked &= (batch.positions > 0).reshape(-1)  # neither padding nor the very first token
            prompts = asked.nonzero()[:, 0]
            some = prompts[torch.randperm(len(prompts))[: len(behind) // _PROMPTS]]
            states.append(inside[torch.cat([behind, some])].bfloat16())
            surprise += [surprises(policy, batch), torch.zeros(len(some))]
    finally:
        hook.remove()
    made, found = torch.cat(states), torch.cat(surprise)
    order = torch.randperm(len(found))
    return Tokens(made[order], found[order])


@torch.no_grad()
def surprises(policy: PreTrainedModel, batch: RowBatch) -> Tensor:
    """(tokens,) minus the log-probability of each token of the solutions, up to `CEILING` nats."""
    hidden = _read(policy.get_decoder(), batch)
    before = hidden.flatten(0, 1)[batch.previous]
    logits: Tensor = policy.get_output_embeddings()(before)
    written = batch.ids.reshape(-1)[batch.tokens]
    return F.cross_entropy(logits, written, reduction="none").clamp(max=CEILING)


def learn(
    wide: PreTrainedModel, index: int, tokens: Tokens, epochs: int = 3, size: int = 512
) -> None:
    """Fits the first added layer's MLP to the surprise (Huber loss), and lets it write that.

    Args:
        index: of the layer.
        tokens: single tokens, in random order.
        epochs: how often to go through them.
        size: tokens of an update.
    """
    mlp = wide.layers[index].mlp
    out = nn.Linear(mlp.down_proj.in_features, 1, bias=False)
    wanted = [mlp.gate_proj.weight, mlp.up_proj.weight, out.weight]
    optimizer = torch.optim.AdamW(wanted, lr=5e-3)
    batches = max(1, len(tokens.surprise) // size)
    for update in range(epochs * batches):
        start = (update % batches) * size
        states = tokens.states[start : start + size].float()
        read = out(F.silu(mlp.gate_proj(states)) * mlp.up_proj(states))[:, 0]
        loss = F.huber_loss(read, tokens.surprise[start : start + size])
        optimizer.zero_grad()
        torch.autograd.backward(loss, inputs=wanted)
        share = update / (epochs * batches)
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * min(1.0, (update + 1) / 30) * (1 - share)
        optimizer.step()
    with torch.no_grad():
        # the last dimension is the surprise's own; nothing else is written
        mlp.down_proj.weight[-1] = out.weight[0]


def look_for_worst(wide: PreTrainedModel, index: int, states: Tensor) -> None:
    """Sets up the second added layer: its first query head looks at the most surprising token.

    The key is (surprise, 1), normalised, in a pair of dimensions that hardly turn with position,
    the query (1, 0), the value the surprise.

    Args:
        index: of the layer.
        states: (tokens, size) what comes into the layer.
    """
    attention, head, _ = _heads(wide, index)
    layer, still = wide.layers[index], head // 2 - 1
    with torch.no_grad():
        rms = states.pow(2).mean(dim=-1).sqrt().mean()
        # the surprise is in nats, a small number against the residual stream
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            norm.weight[-2:] = rms
        even = _even(layer.input_layernorm(states))
        for name in ("q_proj", "k_proj"):
            getattr(attention, name).weight[:head] = 0.0
        attention.q_proj.weight[still] = even
        attention.k_proj.weight[still, -1] = 1.0
        attention.k_proj.weight[head - 1] = even
        for norm in (attention.q_norm, attention.k_norm):
            norm.weight.fill_(1.0)
            norm.weight[still] = _WORST
        attention.v_proj.weight[0] = 0.0
        attention.v_proj.weight[0, -1] = 1.0
        attention.o_proj.weight.normal_(0.0, 0.02)
        attention.o_proj.weight[:, :head] = 0.0
        attention.o_proj.weight[-2, 0] = 1.0


@torch.no_grad()
def entering(wide: PreTrainedModel, batch: RowBatch, index: int) -> tuple[Tensor, Tensor]:
    """What comes into a layer at the solutions' tokens: (tokens, size), and (tokens,) their ids."""
    seen: list[Tensor] = []

    def keep(_: nn.Module, args: Any, options: Any) -> None:
        seen.append(args[0] if args else options["hidden_states"])

    hook = wide.layers[index].register_forward_pre_hook(keep, with_kwargs=True)
    try:
        _read(wide, batch)
    finally:
        hook.remove()
    where = batch.tokens
    return seen[0].flatten(0, 1)[where].float(), batch.ids.reshape(-1)[where]


@torch.no_grad()
def _read(decoder: PreTrainedModel, batch: RowBatch) -> Tensor:
    hidden: Tensor = decoder(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    return hidden


def _heads(wide: PreTrainedModel, index: int) -> tuple[Any, int, int]:
    """A layer's attention, the size of its heads, and how many query heads share a key head."""
    attention, config = wide.layers[index].self_attn, wide.config
    return (
        attention,
        int(attention.head_dim),
        config.num_attention_heads // config.num_key_value_heads,
    )


def _even(normed: Tensor) -> Tensor:
    """(size,) a direction in which all states are as near to 1 as can be."""
    read = normed.double()
    # a little ridge: few tokens leave many directions open
    square = read.T @ read / len(read)
    square += 1e-4 * square.diagonal().mean() * torch.eye(len(square), dtype=read.dtype)
    found: Tensor = torch.linalg.solve(square, read.mean(dim=0))
    return found.float()


def _one_back(config: Any, head: int) -> tuple[Tensor, Tensor]:
    """(key, query), head dimensions each: alike when the query stands one token after the key."""
    theta = getattr(config, "rope_theta", None) or config.rope_parameters["rope_theta"]
    turns = theta ** (-torch.arange(0, head, 2).float() / head)
    used = (turns > _QUICK).float()
    key = torch.cat([used, torch.zeros_like(used)])
    query = torch.cat([used * torch.cos(turns), -used * torch.sin(turns)])
    return key, query


def _directions(vectors: Tensor, count: int) -> Tensor:
    """(size, count): orthonormal directions in which the rows differ most."""
    centred = vectors.float() - vectors.float().mean(dim=0)
    found: Tensor = torch.linalg.svd(centred, full_matrices=False).Vh[:count]
    return found.T
