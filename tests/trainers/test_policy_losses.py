"""Policy and value losses against values worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reasonbench.errors import UsageError
from reasonbench.trainers.policy_losses import (
    Divisor,
    PolicyLoss,
    TokenBatch,
    kl_estimate,
    kl_penalty,
    policy_loss,
    value_loss,
)
from reasonbench.trainers.presets import PRESETS

RATIOS = [[0.5, 1.0, 1.5], [0.5, 1.5, 9.9]]
MASK = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
WHOLE = Divisor(sequences=2, tokens=5)


def batch(ratios: list[list[float]] = RATIOS, **changes: Any) -> TokenBatch:
    """Old log-probabilities −1, advantages +1 and −2."""
    own = torch.tensor(ratios).log() - 1
    made = TokenBatch(
        own.requires_grad_(), torch.full((2, 3), -1.0), torch.tensor([1.0, -2.0]), MASK
    )
    return replace(made, **changes)


def gradient(loss: Tensor, of: Tensor) -> list[list[float]]:
    grads: list[list[float]] = torch.autograd.grad(loss, of)[0].tolist()
    return grads


def test_the_ppo_clip() -> None:
    # A = 1: r = .5, 1, 1.5 -> min(r, clip) = .5, 1, 1.2. A = −2: r = .5 -> min(−1, −1.6) = −1.6,
    # r = 1.5 -> min(−3, −2.4) = −3.
    data = batch()
    loss, sums = policy_loss(PolicyLoss(aggregate="token"), data, WHOLE)
    assert loss.item() == pytest.approx(-(0.5 + 1.0 + 1.2 - 1.6 - 3.0) / 5)
    # d(−rA)/d log π = −rA where the clip does not bind, else 0.
    expected = [[-0.5 / 5, -1.0 / 5, 0.0], [0.0, 3.0 / 5, 0.0]]
    for row, wanted in zip(gradient(loss, data.logprobs), expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-6)
    assert {k: v.item() for k, v in sums.items() if k.startswith(("clip", "tok"))} == {
        "tokens": 5,
        "clip_low": 1,
        "clip_high": 1,
        "clip_dual": 0,
    }
    assert sums["ratio_max"].item() == pytest.approx(1.5)
    assert sums["ratio"].item() == pytest.approx(5.0)


def test_the_aggregates_of_one_batch() -> None:
    tokens = [[0.5, 1.0, 1.2], [-1.6, -3.0]]
    sequence, _ = policy_loss(PolicyLoss(), batch(), WHOLE)
    constant, _ = policy_loss(PolicyLoss(aggregate="constant", length=10), batch(), WHOLE)
    assert sequence.item() == pytest.approx(-(sum(tokens[0]) / 3 + sum(tokens[1]) / 2) / 2)
    assert constant.item() == pytest.approx(-(sum(tokens[0]) + sum(tokens[1])) / 20)


def test_the_dual_clip_bounds_the_loss_of_bad_tokens() -> None:
    data = batch([[1.0, 1.0, 1.0], [5.0, 1.5, 1.0]])
    loss, sums = policy_loss(PolicyLoss(aggregate="token", dual=3.0), data, WHOLE)
    # The ratio 5 counts as 3: −min(…) = 6 rather than 10, and has no gradient.
    assert loss.item() == pytest.approx((-3 + 6 + 3) / 5)
    assert gradient(loss, data.logprobs)[1] == pytest.approx([0.0, 3.0 / 5, 0.0])
    assert sums["clip_dual"].item() == 1


def test_a_sequence_ratio_is_the_geometric_mean_of_its_tokens() -> None:
    spec = PolicyLoss(ratio="sequence", low=0.5, high=0.5)
    data = batch([[0.9, 1.2, 1.1], [0.8, 1.25, 7.0]])
    loss, _ = policy_loss(spec, data, WHOLE)
    first = (0.9 * 1.2 * 1.1) ** (1 / 3)
    assert loss.item() == pytest.approx(-(first - 2.0) / 2)
    # Every token of a completion has the same gradient: −s A / |o| / completions.
    assert gradient(loss, data.logprobs)[0] == pytest.approx([-first / 6] * 3)
    assert gradient_of_row(spec, data, 1) == pytest.approx([2.0 / 4, 2.0 / 4, 0.0])


def gradient_of_row(spec: PolicyLoss, data: TokenBatch, row: int) -> list[float]:
    return gradient(policy_loss(spec, data, WHOLE)[0], data.logprobs)[row]


def test_cispo_keeps_the_gradient_of_capped_tokens() -> None:
    spec = PolicyLoss(surrogate="cispo", high=1.2, aggregate="token")
    loss, sums = policy_loss(spec, data := batch(), WHOLE)
    expected = [[-0.5 / 5, -1.0 / 5, -1.2 / 5], [2 * 0.5 / 5, 2 * 1.2 / 5, 0.0]]
    for row, wanted in zip(gradient(loss, data.logprobs), expected, strict=True):
        assert row == pytest.approx(wanted)
    assert sums["clip_high"].item() == 2


def test_plain_is_reinforce() -> None:
    spec = PRESETS["rloo"].loss
    loss, _ = policy_loss(spec, data := batch(), WHOLE)
    assert gradient(loss, data.logprobs) == [[-0.5] * 3, [1.0, 1.0, 0.0]]


@pytest.mark.parametrize("aggregate", ["sequence", "token", "constant"])
def test_on_policy_the_clip_and_reinforce_have_one_gradient(aggregate: Any) -> None:
    data = batch()
    data = replace(data, old=data.logprobs.detach())
    grads = [
        gradient(
            policy_loss(PolicyLoss(surrogate=kind, aggregate=aggregate, length=4), data, WHOLE)[0],
            data.logprobs,
        )
        for kind in ("clip", "plain")
    ]
    assert torch.allclose(*map(torch.tensor, grads))


def test_kl_estimators_by_hand() -> None:
    own, reference = torch.tensor([-1.0]), torch.tensor([-1.5])
    assert kl_estimate("k1", own, reference).item() == 0.5
    assert kl_estimate("k2", own, reference).item() == 0.125
    assert kl_estimate("k3", own, reference).item() == pytest.approx(math.exp(-0.5) - 0.5)
    assert kl_estimate("none", own, reference).item() == 0.0


def test_k1_and_k3_are_unbiased_and_k2_has_the_kl_as_gradient() -> None:
    policy = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log().requires_grad_()
    reference = torch.tensor([0.4, 0.25, 0.35], dtype=torch.float64).log()
    logs = torch.log_softmax(policy, -1)
    exact = (logs.exp() * (logs - reference)).sum()
    chances = logs.exp().detach()
    for kind in ("k1", "k3"):
        assert (chances * kl_estimate(kind, logs, reference)).sum().item() == pytest.approx(
            exact.item()
        )
    true = torch.autograd.grad(exact, policy, retain_graph=True)[0]
    k2 = torch.autograd.grad(
        (chances * kl_estimate("k2", logs, reference)).sum(), policy, retain_graph=True
    )[0]
    k1 = torch.autograd.grad((chances * kl_estimate("k1", logs, reference)).sum(), policy)[0]
    assert torch.allclose(k2, true)
    assert torch.allclose(k1, torch.zeros_like(k1), atol=1e-12)


def test_the_unbiased_kl_has_the_right_gradient_off_policy() -> None:
    old = torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64).log()
    reference = torch.tensor([0.4, 0.25, 0.35], dtype=torch.float64).log()
    policy = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log().requires_grad_()
    logs = torch.log_softmax(policy, -1)
    # All three tokens, each weighted by how often the old policy samples it, as advantages 0.
    total = torch.zeros((), dtype=torch.float64)
    for token in range(3):
        pick = slice(token, token + 1)
        data = TokenBatch(
            logs[None, pick],
            old[None, pick],
            torch.zeros(1, dtype=torch.float64),
            torch.ones(1, 1, dtype=torch.float64),
            reference[None, pick],
        )
        spec = PolicyLoss(kl="k3", beta=1.0, kl_unbiased=True)
        total = total + old[token].exp() * policy_loss(spec, data, Divisor(1, 1))[0]
    exact = (logs.exp() * (logs - reference)).sum()
    assert total.item() == pytest.approx(exact.item())
    mine, true = (torch.autograd.grad(x, policy, retain_graph=True)[0] for x in (total, exact))
    assert torch.allclose(mine, true)


def test_a_kl_in_the_reward_leaves_the_loss_alone() -> None:
    spec = PolicyLoss(kl="k1", kl_in="reward", beta=0.5)
    data = batch(reference=torch.full((2, 3), -3.0))
    assert policy_loss(spec, data, WHOLE)[0] == policy_loss(PolicyLoss(), data, WHOLE)[0]
    penalty = kl_penalty(spec, torch.full((2, 3), -1.0), torch.full((2, 3), -3.0), MASK)
    assert penalty.tolist() == [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]
    assert not kl_penalty(replace(spec, kl_in="loss"), MASK, MASK - 1, MASK).any()


def test_truncated_importance_sampling_and_masking() -> None:
    # Engine: twice as likely (w = 1/2), equal, and a quarter as likely (w = 4).
    engine = torch.tensor([[2.0, 1.0, 0.25], [1.0, 1.0, 50.0]]).log() - 1
    data = batch([[1.0] * 3] * 2, engine=engine)
    spec = PolicyLoss(aggregate="token", correction="truncate", cap=2.0)
    loss, sums = policy_loss(spec, data, WHOLE)
    assert loss.item() == pytest.approx((-(0.5 + 1 + 2) + 4) / 5)
    assert sums["corrected"].item() == 1
    assert sums["mismatch"].item() == pytest.approx(math.log(2) + math.log(4))
    assert sums["mismatch_max"].item() == pytest.approx(math.log(4))
    loss, _ = policy_loss(replace(spec, correction="mask"), data, WHOLE)
    assert loss.item() == pytest.approx((-(0.5 + 1 + 0) + 4) / 5)
    loss, sums = policy_loss(replace(spec, correction="mask", floor=0.6), data, WHOLE)
    assert loss.item() == pytest.approx((-(0 + 1 + 0) + 4) / 5)
    assert sums["corrected"].item() == 2
    whole = replace(spec, correction_ratio="sequence", cap=1.5)
    assert policy_loss(whole, data, WHOLE)[0].item() == pytest.approx((-3 * 1.5 + 4) / 5)


def test_a_token_the_engine_did_not_score_is_not_corrected() -> None:
    engine = torch.full((2, 3), math.nan)
    spec = PolicyLoss(correction="mask")
    loss, sums = policy_loss(spec, batch(engine=engine), WHOLE)
    assert loss == policy_loss(PolicyLoss(), batch(), WHOLE)[0]
    assert sums["mismatch"].item() == 0
    assert sums["unscored"].item() == 5


def test_what_lies_outside_the_mask_does_not_matter() -> None:
    spec = PolicyLoss(kl="k3", beta=0.1, correction="truncate")
    results = []
    for junk in (0.0, -500.0):
        outside = torch.where(MASK > 0, torch.full((2, 3), -1.2), junk)
        data = batch(old=outside, reference=outside, engine=outside)
        loss, _ = policy_loss(spec, data, WHOLE)
        results.append((loss.item(), gradient(loss, data.logprobs)))
    assert results[0] == results[1]
    assert math.isfinite(results[0][0])


def test_a_completion_without_trained_tokens_counts_as_a_sequence() -> None:
    mask = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    divisor = Divisor.of([mask])
    assert divisor == Divisor(2, 3)
    loss, _ = policy_loss(PolicyLoss(), batch(mask=mask), divisor)
    assert loss.item() == pytest.approx(-(0.5 + 1.0 + 1.2) / 3 / 2)
    assert policy_loss(PolicyLoss(aggregate="token"), batch(mask=mask * 0), Divisor(2, 0))[0] == 0


def test_advantages_may_differ_by_token() -> None:
    by_row = policy_loss(PolicyLoss(), batch(), WHOLE)[0]
    wide = torch.tensor([[1.0] * 3, [-2.0] * 3])
    assert policy_loss(PolicyLoss(), batch(advantages=wide), WHOLE)[0] == by_row


def test_the_clipped_value_loss_by_hand() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0, 9.0]], requires_grad=True)
    old, returns = torch.tensor([[1.0, 1.0, 1.0, 1.0]]), torch.tensor([[0.0, 3.0, 3.5, 0.0]])
    mask = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    # Kept within 0.5 of the old: 1, 1.5, 1.5. Squares: max(1, 1), max(1, 2.25), max(.25, 4).
    loss, sums = value_loss(values, old, returns, mask, 0.5, Divisor(1, 3))
    assert loss.item() == pytest.approx((1 + 2.25 + 4) / 2 / 3)
    assert sums["clip_value"].item() == 2
    assert sums["value_error"].item() == pytest.approx(1 + 1 + 0.5)
    assert gradient(loss, values)[0] == pytest.approx([1.0 / 3, 0, 0, 0])
    plain, _ = value_loss(values, old, returns, mask, None, Divisor(1, 3))
    assert plain.item() == pytest.approx((1 + 1 + 0.25) / 2 / 3)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), cut=st.integers(1, 5), name=st.sampled_from(sorted(PRESETS)))
def test_any_split_of_a_batch_adds_up(seed: int, cut: int, name: str) -> None:
    draw = torch.Generator().manual_seed(seed)
    shape = (6, 5)
    own = -torch.rand(shape, generator=draw, dtype=torch.float64)
    mask = (torch.rand(shape, generator=draw) < 0.7).double()
    reference = own - torch.rand(shape, generator=draw)
    old = own + 0.3 * torch.randn(shape, generator=draw)
    advantages = torch.randn(6, generator=draw, dtype=torch.float64)
    data = TokenBatch(own.requires_grad_(), old, advantages, mask, reference, old - 0.1)
    divisor = Divisor.of([mask])
    spec = replace(PRESETS[name].loss, correction="truncate", cap=1.05)
    whole, sums = policy_loss(spec, data, divisor)
    parts = []
    for part in (slice(0, cut), slice(cut, 6)):
        # One micro-batch is padded further than the other: that must not matter either.
        width = int(mask[part].sum(0).nonzero().max()) + 1 if mask[part].any() else 1
        fields = [x[part, :width] for x in (own, old, mask, reference, old - 0.1)]
        piece = TokenBatch(fields[0], fields[1], advantages[part], *fields[2:])
        parts.append(policy_loss(spec, piece, divisor))
    assert sum(p[0].item() for p in parts) == pytest.approx(whole.item(), abs=1e-12)
    for key in ("kl", "clip_low", "tokens", "mismatch", "drift"):
        assert sum(p[1][key].item() for p in parts) == pytest.approx(sums[key].item(), abs=1e-9)
    pieces = torch.autograd.grad(parts[0][0] + parts[1][0], own, retain_graph=True)[0]
    assert torch.allclose(pieces, torch.autograd.grad(whole, own)[0], atol=1e-12)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"aggregate": "constant"}, "length"),
        ({"dual": 1.1}, "dual"),
        ({"low": -0.1}, "negative"),
        ({"beta": 0.1}, "KL estimator"),
        ({"surrogate": "cispo", "high": 0.0}, "cap"),
        ({"floor": 3.0}, "floor"),
    ],
)
def test_a_spec_that_means_nothing_is_refused(options: Any, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        PolicyLoss(**options)


def test_missing_log_probabilities_are_named() -> None:
    with pytest.raises(UsageError, match="reference"):
        policy_loss(PolicyLoss(kl="k3", beta=0.1), batch(), WHOLE)
    with pytest.raises(UsageError, match="engine"):
        policy_loss(PolicyLoss(correction="mask"), batch(), WHOLE)
