"""What a batch of roll-outs does to a policy, against sums worked out without the machinery."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from reasonbench.trainers import policy_update
from reasonbench.trainers.grpo_config import algorithm, parse_grpo
from reasonbench.trainers.policy_update import Learner
from reasonbench.trainers.rl_sums import Sums
from reasonbench.trainers.rollouts import Group, Rollout, Rollouts
from reasonbench.trainers.sft import TrainingDiverged
from reasonbench.trainers.start import load_model, load_tokenizer
from reasonbench.types import Completion, Finish, Problem, Prompt, Question, Usage
from tests.trainers.tiny import config as sft_config

RATES = {"name": "adamw", "lr": 1e-3, "adamw_lr": 1e-3}


@pytest.fixture(scope="module")
def start() -> Any:
    """A random model; tests copy it."""
    torch.manual_seed(0)
    settings = sft_config()
    return load_model(settings, load_tokenizer(settings))


def learner(start: Any, **changes: Any) -> Learner:
    base = {"benchmark": ["builtin-arithmetic"], "preset": "dr-grpo", "optimizer": RATES}
    config = parse_grpo(base | {"group": 3, "problems": 2, "batch_tokens": 64} | changes)
    return Learner(config, algorithm(config, 10), copy.deepcopy(start), 0)


def rollout(number: int, tokens: Sequence[int], reward: float, finish: Finish = "stop") -> Rollout:
    problem = Problem(Question(f"p{number}", "made", "?"), "1")
    logprobs = tuple(-1.0 for _ in tokens)
    completion = Completion(tuple(tokens), "", finish, token_logprobs=logprobs)
    prompt = Prompt((40, 41 + number), "")
    return Rollout(problem, number, 0, prompt, completion, {}, reward, reward > 0)


def batch(*groups: Sequence[Rollout]) -> Rollouts:
    made: list[Group] = [tuple(group) for group in groups]
    return Rollouts(tuple(made), 0, len(made), 0, 0, Usage(), 0.0)


MIXED = [rollout(0, [5, 6, 7], 1.0), rollout(0, [8], 0.0), rollout(0, [9, 5], 0.0)]
FLAT = [rollout(1, [5, 7], 1.0), rollout(1, [6], 1.0), rollout(1, [7, 8, 9], 1.0)]


def logprobs(model: Any, one: Rollout) -> Tensor:
    """Of a roll-out's tokens, alone and with all logits."""
    prompt, written = one.prompt.token_ids, one.completion.token_ids
    logits = model(input_ids=torch.tensor([[*prompt, *written]])).logits[0]
    logs = logits.float().log_softmax(-1)
    return torch.stack([logs[len(prompt) - 1 + i, t] for i, t in enumerate(written)])


def gradients(model: Any) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def caught(taught: Learner, rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The gradient of the first update, and what was summed."""
    found: list[dict[str, Tensor]] = []
    true_step = taught.optimizer.step

    def step(scale: float) -> float:
        found.append(gradients(taught.model))
        return true_step(scale)

    monkeypatch.setattr(taught.optimizer, "step", step)
    sums = taught.learn(rollouts, 0)
    return (found[0] if found else {}), sums


def test_the_gradient_is_that_of_the_loss_written_out(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, sums = caught(learner(start), batch(MIXED, FLAT), monkeypatch)
    model = copy.deepcopy(start)
    # Dr. GRPO: R − mean, summed over tokens, by the constant length 10 and all six roll-outs
    loss = torch.stack([-(r.reward - 1 / 3) * logprobs(model, r).sum() for r in MIXED]).sum() / (
        10 * 6
    )
    loss.backward()
    wanted = gradients(model)
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[name], wanted[name], atol=1e-7) for name in wanted)
    assert sums.tokens == 6  # the flat group did not go through the model
    assert sums.totals["mismatch"] == pytest.approx(
        sum((logprobs(start, r) + 1).abs().sum().item() for r in MIXED), rel=1e-4
    )


def test_leaving_out_flat_groups_changes_nothing(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollouts = batch(MIXED, FLAT)
    without, few = caught(learner(start), rollouts, monkeypatch)
    negligible = {"kl": "k3", "beta": 1e-30}
    with_all, every = caught(learner(start, loss=negligible), rollouts, monkeypatch)
    assert (few.tokens, every.tokens) == (6, 12)
    assert all(torch.allclose(without[n], with_all[n], atol=1e-8) for n in with_all)


def test_a_batch_of_flat_groups_updates_nothing(start: Any) -> None:
    taught = learner(start)
    for nothing in (batch(FLAT, FLAT), batch()):
        sums = taught.learn(nothing, 0)
        assert (sums.updates, sums.tokens) == (0, 0)
    unchanged = zip(taught.model.parameters(), start.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in unchanged)


def test_masked_rollouts_of_the_limit_take_no_part_in_the_loss(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = rollout(0, [9, 5], 0.0, "length")
    found, _ = caught(learner(start, overlong="mask"), batch([*MIXED[:2], cut], FLAT), monkeypatch)
    model = copy.deepcopy(start)
    loss = torch.stack(
        [-(r.reward - 1 / 3) * logprobs(model, r).sum() for r in MIXED[:2]]
    ).sum() / (10 * 6)
    loss.backward()
    wanted = gradients(model)
    assert all(torch.allclose(found[name], wanted[name], atol=1e-7) for name in wanted)


def test_what_could_not_be_judged_neither_learns_nor_shifts_its_group(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = rollout(0, [9, 5], math.nan)
    found, _ = caught(learner(start), batch([*MIXED[:2], unknown], FLAT), monkeypatch)
    model = copy.deepcopy(start)
    loss = torch.stack(
        [-(r.reward - 1 / 2) * logprobs(model, r).sum() for r in MIXED[:2]]
    ).sum() / (10 * 6)
    loss.backward()
    wanted = gradients(model)
    assert all(torch.allclose(found[name], wanted[name], atol=1e-7) for name in wanted)


def test_a_kl_in_the_reward_is_taken_off_before_the_group_is_compared(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = learner(start, preset="rloo", loss={"beta": 0.5})
    with torch.no_grad():
        for parameter in taught.model.parameters():
            parameter.mul_(1.05)
    moved = copy.deepcopy(taught.model)
    found, _ = caught(taught, batch(MIXED), monkeypatch)
    with torch.no_grad():
        rewards = [
            r.reward - 0.5 * float((logprobs(moved, r) - logprobs(start, r)).sum()) for r in MIXED
        ]
    advantages = [(3 * r - sum(rewards)) / 2 for r in rewards]
    loss = (
        torch.stack(
            [-a * logprobs(moved, r).sum() for a, r in zip(advantages, MIXED, strict=True)]
        ).sum()
        / 3
    )
    loss.backward()
    wanted = gradients(moved)
    assert all(torch.allclose(found[name], wanted[name], atol=1e-5) for name in wanted)


def test_the_reference_becomes_the_policy_when_its_time_comes(start: Any) -> None:
    taught = learner(start, loss={"kl": "k3", "beta": 0.1}, reference_every=2, minibatches=3)
    taught.learn(batch(MIXED, FLAT), 0)
    assert taught.updates == 3
    assert taught.reference is not None
    one, two = taught.reference.state_dict(), taught.model.state_dict()
    before = start.state_dict()
    assert not all(torch.equal(one[n], before[n]) for n in one)
    assert not all(torch.equal(one[n], two[n]) for n in one)


def test_a_new_critic_gives_the_rewards_as_advantages_and_learns_them(start: Any) -> None:
    rates = {"name": "adamw", "lr": 3e-3, "adamw_lr": 3e-3}
    critic = {"optimizer": rates, "whiten": False, "clip": 10.0}
    taught = learner(
        start, preset="ppo", loss={"beta": 0.0}, critic=critic, minibatches=1, steps=40
    )
    errors = []
    for step in range(40):
        sums = taught.learn(batch(MIXED, FLAT), step)
        errors.append(sums.totals["value_error"] / sums.totals["tokens"])
    # three of twelve tokens are of roll-outs that earn nothing: the error of 0 is 9/12
    assert errors[0] == pytest.approx(9 / 12)
    assert errors[-1] < 0.2


def test_the_critic_learns_alone_while_it_warms_up(start: Any) -> None:
    taught = learner(start, preset="ppo", loss={"beta": 0.0}, critic={"warmup": 1}, minibatches=1)
    sums = taught.learn(batch(MIXED, FLAT), 0)
    assert sums.updates == 0
    assert sums.totals["critic_norm"] > 0
    assert (sums.critic_updates, sums.critic_tokens) == (1, 12)
    both = taught.learn(batch(MIXED, FLAT), 1)
    assert taught.updates == 1
    assert both.read == 2 * sums.read  # policy and critic each have read every row


def test_a_gradient_of_the_critic_that_is_no_number_stops_the_run(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = learner(start, preset="ppo", loss={"beta": 0.0}, minibatches=1)
    assert taught.critic is not None
    true_loss = policy_update.value_loss

    def broken(*given: Any) -> Any:
        loss, found = true_loss(*given)
        return loss * math.nan, found

    monkeypatch.setattr(policy_update, "value_loss", broken)
    with pytest.raises(TrainingDiverged, match="critic"):
        taught.learn(batch(MIXED, FLAT), 0)


def test_a_learner_goes_on_from_its_state(start: Any) -> None:
    changes = {"preset": "ppo", "loss": {"beta": 0.1}, "reference_every": 1, "minibatches": 2}
    whole, first = learner(start, **changes), learner(start, **changes)
    for step in range(3):
        whole.learn(batch(MIXED, FLAT), step)
    first.learn(batch(MIXED, FLAT), 0)
    rest = learner(start, **changes)
    rest.load(copy.deepcopy(first.state()))
    for step in (1, 2):
        rest.learn(batch(MIXED, FLAT), step)
    pairs = zip(whole.model.parameters(), rest.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert isinstance(whole.learn(batch(MIXED, FLAT), 3), Sums)
