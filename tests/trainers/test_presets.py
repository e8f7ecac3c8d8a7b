"""The table of published algorithms."""

from __future__ import annotations

import pytest
import torch

from reasonbench.trainers.policy_losses import Divisor, TokenBatch, policy_loss
from reasonbench.trainers.presets import PRESETS


def test_the_names() -> None:
    assert list(PRESETS) == ["grpo", "r1-zero", "dr-grpo", "dapo", "gspo", "cispo", "rloo", "ppo"]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_pushes_good_tokens_up_and_bad_ones_down(name: str) -> None:
    own = torch.full((2, 3), -1.0, requires_grad=True)
    old = own.detach()
    batch = TokenBatch(own, old, torch.tensor([1.0, -1.0]), torch.ones(2, 3), old, old)
    loss, _ = policy_loss(PRESETS[name].loss, batch, Divisor(2, 6))
    loss.backward()
    assert own.grad is not None
    assert (own.grad[0] < 0).all()
    assert (own.grad[1] > 0).all()


@pytest.mark.parametrize("name", PRESETS)
def test_a_critic_goes_with_its_advantages(name: str) -> None:
    preset = PRESETS[name]
    assert preset.critic == (preset.advantage == "gae") == ("critic_lr" in preset.defaults)
