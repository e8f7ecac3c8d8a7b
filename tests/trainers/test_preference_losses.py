"""Preference losses against values worked out by hand."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.trainers.preference_losses import (
    dpo,
    ipo,
    kto,
    kto_reference,
    log_odds_ratio,
    orpo,
    plackett_luce,
)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_dpo() -> None:
    losses = dpo(torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 0.0]), beta=0.5)
    assert losses.tolist() == pytest.approx([-math.log(sigmoid(1.5)), math.log(2)])


def test_ipo_is_zero_at_its_margin() -> None:
    losses = ipo(torch.tensor([5.0, 1.0]), torch.tensor([0.0, 1.0]), beta=0.1)
    assert losses.tolist() == pytest.approx([0.0, 25.0])


def test_kto_weighs_good_and_bad() -> None:
    losses = kto(
        torch.tensor([1.0, 1.0]),
        torch.tensor([True, False]),
        reference=0.5,
        beta=2.0,
        desirable_weight=1.5,
        undesirable_weight=0.5,
    )
    assert losses.tolist() == pytest.approx([1.5 * (1 - sigmoid(1)), 0.5 * (1 - sigmoid(-1))])


def test_the_kto_reference_is_not_negative_and_has_no_gradient() -> None:
    assert kto_reference(torch.tensor([-1.0, -2.0])).item() == 0.0
    z = kto_reference(torch.tensor([1.0, 2.0], requires_grad=True))
    assert z.item() == 1.5
    assert not z.requires_grad


def test_orpo() -> None:
    # P = 1/2 and 1/4: odds 1 and 1/3, their ratio 3.
    chosen, rejected = torch.tensor([0.5]).log(), torch.tensor([0.25]).log()
    assert log_odds_ratio(chosen, rejected).item() == pytest.approx(math.log(3))
    loss = orpo(torch.tensor([2.0]), chosen, rejected, weight=0.1)
    assert loss.item() == pytest.approx(2 - 0.1 * math.log(sigmoid(math.log(3))))


@pytest.mark.parametrize("value", [-1e-7, -0.69, -0.7, -30.0, -200.0])
def test_odds_stay_finite_at_both_ends(value: float) -> None:
    chosen = torch.tensor([value], requires_grad=True)
    ratio = log_odds_ratio(chosen, torch.tensor([-1.0]))
    ratio.backward()
    exact = value + 1.0 - math.log(-math.expm1(value)) + math.log(1 - math.exp(-1))
    assert ratio.item() == pytest.approx(exact, rel=1e-5)
    assert chosen.grad is not None
    # d/dx [x − log(1 − e^x)] = 1/(1 − e^x)
    assert chosen.grad.item() == pytest.approx(-1 / math.expm1(value), rel=1e-5)


def test_plackett_luce_of_two_is_dpo() -> None:
    scores = torch.tensor([[0.3, 1.1], [2.0, -1.0]])
    losses = plackett_luce(scores, torch.tensor([[2, 1], [1, 2]]), beta=0.7)
    pairs = dpo(torch.tensor([1.1, 2.0]), torch.tensor([0.3, -1.0]), beta=0.7)
    assert losses.tolist() == pytest.approx(pairs.tolist())


def test_plackett_luce_of_three_by_hand_and_padding() -> None:
    scores = torch.tensor([[0.0, math.log(2), math.log(3), 50.0]], requires_grad=True)
    loss = plackett_luce(scores, torch.tensor([[2, 3, 1, 0]]))
    # The order 3, 1, 2: 3/(3 + 1 + 2) · 1/(1 + 2).
    assert loss.item() == pytest.approx(-math.log(3 / 6 * 1 / 3))
    loss.sum().backward()
    assert scores.grad is not None
    assert scores.grad[0, 3] == 0
    assert torch.isfinite(scores.grad).all()


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=4))
def test_plackett_luce_is_a_distribution_over_rankings(scores: list[float]) -> None:
    total = 0.0
    for ranking in itertools.permutations(range(1, len(scores) + 1)):
        total += math.exp(-plackett_luce(torch.tensor([scores]), torch.tensor([ranking])).item())
    assert total == pytest.approx(1.0, abs=1e-5)


def test_tied_responses_do_not_compete() -> None:
    loss = plackett_luce(torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[1, 1, 2]]))
    expected = -math.log(sigmoid(1.0)) - math.log(sigmoid(2.0))
    assert loss.item() == pytest.approx(expected)
    assert plackett_luce(torch.tensor([[1.0, 2.0]]), torch.tensor([[1, 1]])).item() == 0.0
