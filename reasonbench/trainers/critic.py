"""PPO's critic: a copy of the policy whose head gives one value before each token."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from reasonbench.trainers.completion_loss import Padded
from reasonbench.trainers.grpo_config import CriticConfig
from reasonbench.trainers.masters import MasterOptimizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Critic:
    """Values of what is still to come, and the optimizer that learns them.

    The head starts at 0, so that the first advantages are the rewards themselves.
    """

    def __init__(
        self,
        policy: PreTrainedModel,
        config: CriticConfig,
        shard: Callable[[PreTrainedModel], None] = lambda model: None,
    ) -> None:
        """Args:
        policy: whose layers are copied; not sharded yet.
        config: of the critic.
        shard: leaves each process its part of the copy.
        """
        model = copy.deepcopy(policy)
        head = nn.Linear(model.config.get_text_config().hidden_size, 1, bias=False)
        nn.init.zeros_(head.weight)
        model.config.tie_word_embeddings = False
        model.set_output_embeddings(head.to(device=model.device, dtype=model.dtype))
        self.model: PreTrainedModel = model.requires_grad_(True)
        shard(self.model)
        self.config = config
        self.optimizer = MasterOptimizer(self.model, config.optimizer)

    def values(self, batch: Padded) -> Tensor:
        """The value before each trained token, flat, fp32, with gradient."""
        decoder, head = self.model.get_decoder(), self.model.get_output_embeddings()
        hidden = decoder(input_ids=batch.ids, use_cache=False).last_hidden_state
        hidden = hidden.reshape(-1, hidden.shape[-1])[batch.where]
        values: Tensor = head(hidden).float().squeeze(-1)
        return values

    def state(self) -> dict[str, Any]:
        """Weights and optimizer, for a checkpoint."""
        return self.optimizer.state()

    def load(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.optimizer.load(state)


def end_rewards(rewards: list[float], counts: list[int], penalties: list[Tensor]) -> list[Tensor]:
    """A reward for each token: the roll-out's at its last one, minus each token's penalty."""
    found = []
    for reward, count, penalty in zip(rewards, counts, penalties, strict=True):
        row = -penalty if len(penalty) else torch.zeros(count)
        if count:
            row[-1] += reward
        found.append(row)
    return found
