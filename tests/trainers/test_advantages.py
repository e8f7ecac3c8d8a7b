"""Group advantages, GAE and whitening against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.trainers.advantages import gae, group_advantages, whiten

NAN = math.nan


def test_standardised_rewards_and_their_constants() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    # Mean 1/4; Σ(R − mean)² = 3/4; std √(.75/3) = 1/2, or √(.75/4) with ddof 0.
    sample = group_advantages(rewards, "std", epsilon=1e-4)
    assert sample[0].tolist() == pytest.approx([0.75 / 0.5001] + [-0.25 / 0.5001] * 3)
    population = group_advantages(rewards, "std", epsilon=0.0, ddof=0)
    assert population[0, 0].item() == pytest.approx(0.75 / math.sqrt(0.1875))


def test_centred_and_leave_one_out_rewards() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.5]])
    assert group_advantages(rewards, "mean")[0].tolist() == [0.5, -0.5, 0.0]
    assert group_advantages(rewards, "rloo")[0].tolist() == pytest.approx([0.75, -0.75, 0.0])


def test_an_ungraded_completion_takes_no_part() -> None:
    rewards = torch.tensor([[1.0, NAN, 0.0, 0.0], [NAN, 5.0, NAN, NAN], [NAN] * 4])
    for kind in ("std", "mean", "rloo"):
        got = group_advantages(rewards, kind)
        alone = group_advantages(torch.tensor([[1.0, 0.0, 0.0]]), kind)
        assert got[0, [0, 2, 3]].tolist() == alone[0].tolist()
        assert got[0, 1] == 0
        assert not got[1:].any()


@given(
    st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=8),
    st.sampled_from(["std", "mean", "rloo"]),
)
def test_advantages_of_a_group_add_to_nothing(rewards: list[float], kind: str) -> None:
    got = group_advantages(torch.tensor([rewards], dtype=torch.float64), kind)  # type: ignore[arg-type]
    assert got.sum().item() == pytest.approx(0, abs=1e-6)
    # rewards that differ by less than rounding have one advantage
    assert got[0, rewards.index(max(rewards))] >= got.max() - 1e-6


def test_gae_by_hand() -> None:
    rewards = torch.tensor([[0.0, 0.0, 1.0]])
    values = torch.tensor([[0.5, 0.6, 0.8]])
    # γ = .9, λ = .5: δ₂ = 1 − .8 = .2; δ₁ = .9·.8 − .6 = .12; δ₀ = .9·.6 − .5 = .04.
    # A₂ = .2; A₁ = .12 + .45·.2 = .21; A₀ = .04 + .45·.21 = .1345.
    advantages, returns = gae(rewards, values, torch.ones(1, 3), gamma=0.9, lam=0.5)
    assert advantages[0].tolist() == pytest.approx([0.1345, 0.21, 0.2])
    assert returns[0].tolist() == pytest.approx([0.6345, 0.81, 1.0])


def test_gae_steps_over_what_is_not_trained() -> None:
    # A prompt, a tool's answer in the middle and padding, all with values that mean nothing.
    rewards = torch.tensor([[9.0, 0.0, 9.0, 0.0, 1.0, 9.0]])
    values = torch.tensor([[7.0, 0.5, 7.0, 0.6, 0.8, 7.0]])
    mask = torch.tensor([[0.0, 1.0, 0.0, 1.0, 1.0, 0.0]])
    advantages, returns = gae(rewards, values, mask, gamma=0.9, lam=0.5)
    assert advantages[0].tolist() == pytest.approx([0, 0.1345, 0, 0.21, 0.2, 0])
    assert returns[0].tolist() == pytest.approx([0, 0.6345, 0, 0.81, 1.0, 0])


def test_gae_with_lambda_one_is_the_return_less_the_value() -> None:
    rewards = torch.tensor([[0.1, 0.2, 0.4]])
    values = torch.tensor([[3.0, -1.0, 2.0]])
    advantages, returns = gae(rewards, values, torch.ones(1, 3))
    assert returns[0].tolist() == pytest.approx([0.7, 0.6, 0.4])
    assert advantages[0].tolist() == pytest.approx([-2.3, 1.6, -1.6])
    one_step, _ = gae(rewards, values, torch.ones(1, 3), lam=0.0)
    assert one_step[0].tolist() == pytest.approx([-3.9, 3.2, -1.6])


def test_whitening_sees_trained_tokens_only() -> None:
    values = torch.tensor([[1.0, 3.0, 77.0], [5.0, 99.0, 99.0]])
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    # Mean 3, variance (4 + 0 + 4)/(3 − 1) = 4.
    assert whiten(values, mask).flatten().tolist() == pytest.approx([-1, 0, 0, 1, 0, 0])
    scaled = whiten(values, mask, centre=False)
    assert scaled.flatten().tolist() == pytest.approx([0.5, 1.5, 0, 2.5, 0, 0])
