"""Reward models: a causal language model's layers with a head that scores.

The folder holds what transformers (`AutoModelForTokenClassification` or
`AutoModelForSequenceClassification`) and vLLM's pooling runner load as it is. Its configuration
has a table `reasonbench_reward` that says how the model is spoken to.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from reasonbench.errors import UsageError
from reasonbench.trainers.reward_rows import RowBatch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Kind = Literal["process", "outcome"]
ADAPTERS: dict[Kind, str] = {
    "process": "token-classification",
    "outcome": "sequence-classification",
}
_ATTENTION = "reasonbench_tree"


def load_backbone(
    source: str | Path, kind: Kind, extra_layers: int = 0, extra_size: int = 0
) -> PreTrainedModel:
    """A language model with a head of one score, in float32.

    Args:
        source: folder or hub name of the language model, or of a reward model to go on from: one
            of the same kind keeps its head.
        kind: the head reads every token ("process") or the last one ("outcome").
        extra_layers: layers put on top, which change nothing at first: each adds zero. A score
            compares what was written with what should have been; the policy's own layers know
            the latter only at their end.
        extra_size: dimensions by which the residual stream is wider; nothing is loaded then, the
            weights are random.
    """
    from transformers import (
        AutoConfig,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    config = AutoConfig.from_pretrained(source)
    before = config.num_hidden_layers
    config.num_hidden_layers = before + extra_layers
    if getattr(config, "layer_types", None):
        config.layer_types = [*config.layer_types, *[config.layer_types[-1]] * extra_layers]
    before_kind = (getattr(config, "reasonbench_reward", None) or {}).get("kind")
    config.num_labels = 1
    config.classifier_dropout = 0.0
    config.reasonbench_reward = {"kind": kind, "adapter": ADAPTERS[kind]}
    auto = (
        AutoModelForTokenClassification if kind == "process" else AutoModelForSequenceClassification
    )
    if extra_size:
        config.hidden_size += extra_size
        model = auto.from_config(config, dtype=torch.float32)
    else:
        model = auto.from_pretrained(source, config=config, dtype=torch.float32)
    with torch.no_grad():
        for layer in model.model.layers[before:]:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        if before_kind != kind:
            model.score.weight.zero_()
            if model.score.bias is not None:
                model.score.bias.zero_()
    return model


def tree_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Grouped-query attention with an additive mask, as matrix products (quick on CPU).

    Args:
        query: (rows, heads, length, size).
        key, value: (rows, key heads, length, size).
        attention_mask: (rows, 1, length, length).

    Returns:
        (rows, length, heads, size), and no attention weights.
    """
    assert attention_mask is not None, "rows of trees need their mask"
    assert not dropout, "attention dropout is not supported"
    rows, heads, length, size = query.shape
    shared = key.shape[1]
    scale = size**-0.5 if scaling is None else scaling
    grouped = (query * scale).reshape(rows, shared, heads // shared, length, size)
    scores = grouped @ key.transpose(2, 3)[:, :, None]
    weights = torch.softmax(scores + attention_mask[:, :, None], dim=-1)
    out = (weights @ value[:, :, None]).reshape(rows, heads, length, size)
    return out.transpose(1, 2).contiguous(), None


def use_tree_attention(model: PreTrainedModel) -> None:
    """Lets the model read rows of trees.

    Raises:
        UsageError: the model needs more than full attention.
    """
    config = model.config
    if getattr(config, "sliding_window", None) or getattr(config, "attn_logit_softcapping", None):
        raise UsageError("reward models of sliding-window language models cannot be trained yet")
    from transformers import AttentionInterface

    AttentionInterface.register(_ATTENTION, tree_attention)
    model.set_attn_implementation(_ATTENTION)


def row_scores(model: PreTrainedModel, batch: RowBatch) -> Tensor:
    """(steps,) the raw score (a logit) at the end of each counted step, float32."""
    hidden = model.model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    read = hidden.reshape(-1, hidden.shape[-1])[batch.where]
    scores: Tensor = model.score(read).float().squeeze(-1)
    return scores
