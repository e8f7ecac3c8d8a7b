"""Learning rates: what is set is what is trained with, and what is logged."""

from __future__ import annotations

from typing import Any

import pytest

from reasonbench.trainers.config import OptimizerConfig
from reasonbench.trainers.grpo_config import parse_grpo


@pytest.mark.parametrize(
    ("given", "lr", "adamw_lr"),
    [
        ({"lr": 3e-4}, 3e-4, 3e-4),
        ({"adamw_lr": 3e-4}, 3e-4, 3e-4),
        ({"lr": 1e-6, "adamw_lr": 3e-4}, 3e-4, 3e-4),
        ({"name": "muon", "lr": 3e-3}, 3e-3, 3e-3),
        ({"name": "muon", "lr": 3e-3, "adamw_lr": 1e-4}, 3e-3, 1e-4),
    ],
)
def test_one_rate_is_both_and_adamw_has_one(
    given: dict[str, Any], lr: float, adamw_lr: float
) -> None:
    found = OptimizerConfig.model_validate(given)
    assert (found.lr, found.adamw_lr) == (lr, adamw_lr)


@pytest.mark.parametrize("name", ["lr", "adamw_lr"])
def test_a_rate_goes_before_the_presets(name: str) -> None:
    config = parse_grpo({"preset": "grpo", "optimizer": {name: 1e-4}, "benchmark": ["gsm8k-train"]})
    assert config.optimizer.lr == config.optimizer.adamw_lr == 1e-4
