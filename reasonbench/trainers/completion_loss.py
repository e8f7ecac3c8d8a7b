"""Cross-entropy of the trained tokens only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from reasonbench.trainers.data import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Padded(NamedTuple):
    """A batch as tensors.

    Attributes:
        ids: (rows, length) input tokens, padded on the right, last token left off.
        where: (trained,) positions in the flattened ids whose next token is trained on.
        targets: (trained,) those next tokens.
    """

    ids: Tensor
    where: Tensor
    targets: Tensor


def pad(batch: list[Encoded], pad_id: int, device: str | torch.device, multiple: int = 1) -> Padded:
    """Tensors of a batch, their length rounded up to a multiple.

    Causal attention never looks right, so padding on the right needs no mask. An empty batch is
    one row of padding that trains nothing, so that a process without rows can go through the model
    with the others.
    """
    if not batch:
        batch = [Encoded([pad_id, pad_id], [False, False])]
    length = math.ceil((max(len(e.ids) for e in batch) - 1) / multiple) * multiple
    rows, where, targets = [], list[int](), list[int]()
    for row, example in enumerate(batch):
        rows.append(example.ids[:-1] + [pad_id] * (length + 1 - len(example.ids)))
        for place in range(1, len(example.ids)):
            if example.trained[place]:
                where.append(row * length + place - 1)
                targets.append(example.ids[place])
    made = (torch.tensor(x, device=device, dtype=torch.long) for x in (rows, where, targets))
    return Padded(*made)


def completion_loss(model: PreTrainedModel, batch: Padded) -> Tensor:
    """The summed negative log-likelihood of the trained tokens, in nats, fp32.

    Logits exist at trained positions only, a chunk at a time (`logprobs.completion_logprobs`).
    """
    from reasonbench.trainers.logprobs import completion_logprobs  # which takes what is made here

    return -completion_logprobs(model, batch).logprobs.sum()
