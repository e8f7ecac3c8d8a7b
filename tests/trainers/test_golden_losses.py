"""Losses and gradients equal TRL 1.16's on the same batch of the same model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.golden import ours

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "losses.json").read_text(encoding="utf-8")
)
NEAR = 1e-5


def agree(mine: dict[str, Any], theirs: dict[str, Any], loss: bool = True) -> None:
    if loss:
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=NEAR)
    assert mine["gradients"].keys() == theirs["gradients"].keys()
    for name, gradient in theirs["gradients"].items():
        assert mine["gradients"][name] == pytest.approx(gradient, abs=NEAR), name


@pytest.mark.parametrize("name", GOLDEN["policy"])
def test_policy_losses_and_gradients(name: str) -> None:
    # RLOO's loss is the ratio's, whose value says nothing: its gradient does.
    agree(ours.policy(name), GOLDEN["policy"][name], loss=name != "rloo_gradient")


@pytest.mark.parametrize("name", ours.POLICY)
def test_micro_batches_add_up_to_the_whole_batch(name: str) -> None:
    agree(ours.policy(name, split=[[4], [0, 3, 5], [2, 1]]), ours.policy(name))


@pytest.mark.parametrize("kind", GOLDEN["advantages"])
def test_group_advantages(kind: str) -> None:
    assert ours.advantages(kind) == pytest.approx(GOLDEN["advantages"][kind], abs=1e-6)


@pytest.mark.parametrize("name", GOLDEN["preferences"])
def test_preference_losses_and_gradients(name: str) -> None:
    agree(ours.preference(name), GOLDEN["preferences"][name])


@pytest.mark.parametrize("name", ["kto", "kto_far"])
def test_the_kto_reference(name: str) -> None:
    mine = ours.preference(name)["kl"]
    assert mine == pytest.approx(GOLDEN["preferences"][name]["kl"], abs=NEAR)


def test_the_cases_are_not_degenerate() -> None:
    for cases in (GOLDEN["policy"], GOLDEN["preferences"]):
        for name, case in cases.items():
            flat = [x for gradient in case["gradients"].values() for x in gradient]
            assert torch.tensor(flat).abs().max() > 1e-3, name
    assert GOLDEN["preferences"]["kto_far"]["kl"] > 0.1
