"""One tiny model and its batches, made by formulas, so that they are the same everywhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

VOCABULARY = 16
PAD, END = 0, 1

PROMPTS = [[3, 7, 4], [5, 2], [9, 8, 6, 2], [4, 4, 11], [13], [2, 15]]
COMPLETIONS = [
    [10, 3, 12, 5, 1],
    [6, 1],
    [2, 9, 14, 14, 7, 3, 1],
    [8],
    [11, 5, 2, 13, 9, 1],
    [15, 4, 3, 1],
]
ADVANTAGES = [1.2, -0.8, 0.5, -1.5, -0.3, 0.9]
MAX_COMPLETION = 7

PAIRS = [(0, 2), (1, 4), (5, 3)]
"""Rows of COMPLETIONS preferred and not, each pair under the preferred one's prompt."""
LABELS = [True, False, True, True, False, False]
"""Good and bad completions, of KTO."""


def waves(count: int, pace: float, start: float, size: float) -> Tensor:
    """`count` numbers in ±size, float32."""
    steps = torch.arange(count, dtype=torch.float64)
    return (size * torch.sin(start + pace * steps)).float()


def build(shift: float = 0.0) -> Any:
    """A Qwen3 of one layer and 592 parameters in fp32; another shift is another model."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=4,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        eos_token_id=END,
        bos_token_id=None,
    )
    model = Qwen3ForCausalLM(config).float()
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            values = waves(weight.numel(), 0.7 + 0.013 * number, 1.3 * number + shift, 0.5)
            weight.copy_(values.view_as(weight) + float(weight.dim() == 1))
    return model


def policy_inputs() -> dict[str, Tensor]:
    """Log-probabilities other than the policy's own, as differences from it: [rows, length].

    `old` moves the ratio beyond both clips, `reference` and `engine` are small distances.
    """
    shape = (len(COMPLETIONS), MAX_COMPLETION)
    count = shape[0] * shape[1]
    return {
        "old": waves(count, 1.1, 0.4, 0.5).view(shape),
        "reference": waves(count, 0.9, 2.0, 0.3).view(shape),
        "engine": waves(count, 1.7, 0.2, 0.9).view(shape),
        "advantages": waves(count, 0.6, 1.0, 1.0).view(shape),
    }


REWARDS = [[1.0, 0.0, 0.0, 1.0], [0.2, 0.9, 0.4, 0.35], [1.0, 1.0, 1.0, 1.0]]
"""Rewards of three prompts, four completions each."""
