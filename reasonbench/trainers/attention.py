"""Causal attention for training short sequences on CPU.

Torch's fused CPU kernel spends most of its time in the backward pass: for 44 rows of 128 tokens,
4 heads of 32, forward and backward take 58 ms on one core, plain matrix products 13 ms. The
products are quick when the length is a multiple of `MULTIPLE` (140 tokens 30 ms, 160 tokens
21 ms). Queries go in blocks of `BLOCK` that are multiplied with the keys up to their end alone, so
that half of what causality forbids is never computed (8 rows of 512: 33 ms where all at once takes
73 and the fused kernel 73). Long sequences go to the fused kernel, whose memory does not grow with
the square.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor, nn

from reasonbench.trainers.norms import use_fast_norms

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "reasonbench_short"
MULTIPLE = 32
LONGEST = 1024
BLOCK = 128


def short_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Grouped-query causal attention; the signature is that of transformers' interface.

    Args:
        query: (rows, heads, length, size).
        key, value: (rows, key heads, length, size).
        attention_mask: must be None: rows are padded on the right, which causality hides.

    Returns:
        (rows, length, heads, size), and no attention weights.
    """
    assert attention_mask is None, "rows are padded on the right and need no mask"
    assert not dropout, "attention dropout is not supported"
    rows, heads, length, size = query.shape
    shared = key.shape[1]
    scale = size**-0.5 if scaling is None else scaling
    if length > LONGEST:
        out = F.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scale, enable_gqa=heads != shared
        )
        return out.transpose(1, 2).contiguous(), None
    groups = heads // shared
    queries = (query * scale).reshape(rows * shared, groups, length, size)
    keys = key.reshape(rows * shared, length, size).transpose(1, 2)
    values = value.reshape(rows * shared, length, size)
    blocks = []
    for start in range(0, length, BLOCK):
        end = min(length, start + BLOCK)
        block = queries[:, :, start:end].reshape(rows * shared, -1, size)
        future = _future(start, end, groups, query.dtype, query.device)
        weights = torch.softmax(torch.baddbmm(future, block, keys[:, :, :end]), dim=-1)
        blocks.append(torch.bmm(weights, values[:, :end]).view(rows, heads, -1, size))
    out = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=2)
    return out.transpose(1, 2).contiguous(), None


@functools.lru_cache(maxsize=64)
def _future(start: int, end: int, groups: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(1, groups x (end - start), end): 0 where a position may look, very negative after it."""
    bias = torch.full((end - start, end), -1e4, dtype=dtype, device=device).triu(start + 1)
    return bias.repeat(groups, 1)[None]


def use_short_attention(model: PreTrainedModel) -> bool:
    """Switches a model on CPU to it; False where the model needs more than causal attention.

    Its norms are switched too (`norms.use_fast_norms`).
    """
    config = model.config
    windowed = getattr(config, "sliding_window", None) or getattr(
        config, "attn_logit_softcapping", None
    )
    if model.device.type != "cpu" or windowed or getattr(config, "attention_dropout", 0.0):
        return False
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, short_attention)
    model.set_attn_implementation(NAME)
    use_fast_norms(model)
    return True
