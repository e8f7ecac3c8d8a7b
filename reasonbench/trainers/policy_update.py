"""What a batch of roll-outs does to the policy: advantages, passes, losses, updates."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reasonbench.trainers.advantages import gae, group_advantages, whiten
from reasonbench.trainers.critic import Critic, end_rewards
from reasonbench.trainers.grpo_config import Algorithm, GrpoConfig
from reasonbench.trainers.logprobs import completion_logprobs
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.policy_losses import (
    Divisor,
    TokenBatch,
    kl_estimate,
    policy_loss,
    value_loss,
)
from reasonbench.trainers.rl_batch import Micro, Row, micro_batches, row, shares
from reasonbench.trainers.rollouts import Rollouts
from reasonbench.trainers.schedule import rate
from reasonbench.trainers.sft import TrainingDiverged

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_MAXIMA = ("ratio_max", "mismatch_max")


@dataclass(slots=True)
class Sums:
    """What is added up over the updates of a batch.

    Attributes:
        totals: sums over tokens, by the names of `policy_loss`; `entropy`; sums over updates:
            `loss`, `value_loss`, `grad_norm`, `critic_norm`.
        maxima: largest values.
        updates: of the policy.
        critic_updates: of the critic.
        critic_tokens: that went through the critic's loss, once for each pass of an update.
        tokens: trained tokens, once for each pass of an update.
        read: tokens that went through a model forwards and backwards, prompts included, once for
            the policy and once for the critic.
        scored: tokens that went forwards only (old, reference, values).
    """

    totals: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    maxima: dict[str, float] = field(default_factory=dict)
    updates: int = 0
    critic_updates: int = 0
    critic_tokens: int = 0
    tokens: int = 0
    read: int = 0
    scored: int = 0

    def add(self, sums: dict[str, Tensor]) -> None:
        """The sums of one micro-batch."""
        for name, value in sums.items():
            number = value.item()
            if name in _MAXIMA:
                self.maxima[name] = max(self.maxima.get(name, 0.0), number)
            else:
                self.totals[name] += number


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch of roll-outs as numbers; every list has one tensor for each row.

    `active` are the rows that go through the models. Those of advantage 0 do not where the loss
    has no other term: they would add exactly nothing to the gradient. The divisors count them.
    """

    rows: list[Row]
    active: frozenset[int]
    advantages: list[Tensor]
    old: list[Tensor] | None
    reference: list[Tensor] | None
    values: list[Tensor] | None = None
    returns: list[Tensor] | None = None


class Learner:
    """The policy with all that changes it.

    Attributes:
        updates: of the policy, since the run began.
    """

    def __init__(
        self,
        config: GrpoConfig,
        algorithm: Algorithm,
        model: PreTrainedModel,
        pad_id: int,
        multiple: int = 1,
    ) -> None:
        """Args:
        config, algorithm: the run.
        model: the policy, in the precision it computes in; dropout stays off.
        pad_id: a valid token for padding.
        multiple: what padded lengths are rounded up to.
        """
        self.config, self.algorithm, self.model = config, algorithm, model.eval()
        self.pad_id, self.multiple = pad_id, multiple
        self.reference: PreTrainedModel | None = None
        if algorithm.reference:
            self.reference = copy.deepcopy(model).requires_grad_(False)
        self.critic = Critic(model, config.critic) if algorithm.critic else None
        self.optimizer = MasterOptimizer(model, config.optimizer)
        self.updates = 0
        self.replaced = False

    def learn(self, batch: Rollouts, step: int) -> Sums:
        """The updates that a batch of roll-outs gives.

        Args:
            step: batches before this one; decides the rate and the order of the rows.

        Raises:
            TrainingDiverged: a loss, a gradient or a ratio is out of bounds.
        """
        sums = Sums()
        if not batch.groups:  # all were flat, and refilling them has found no other
            return sums
        prepared = self._prepare(batch, sums)
        config, count = self.config, len(prepared.rows)
        scale = self._rate(step)
        for epoch in range(config.epochs):
            parts = shares(count, config.minibatches, f"{config.seed}/{step}/{epoch}")
            for chosen in parts:
                if not prepared.active.isdisjoint(chosen):
                    self._update(prepared, chosen, scale, sums, step)
        return sums

    def lr(self, step: int) -> float:
        """The rate of the hidden matrices in a step."""
        return self.config.optimizer.lr * self._rate(step)

    def _rate(self, step: int) -> float:
        s = self.config.schedule
        # a rate of exactly 0 would waste the first step or the last
        share = (step + 1) / (self.config.steps + 1)
        return rate(share, s.warmup, s.decay, s.decay_from, s.floor)

    def _prepare(self, batch: Rollouts, sums: Sums) -> _Batch:
        """Everything that stays fixed while the batch is trained on."""
        config, algorithm = self.config, self.algorithm
        rollouts = batch.flatly
        cut = algorithm.overlong == "mask"
        rows = [
            row(
                rollout,
                not (cut and rollout.completion.finish == "length")
                and not (algorithm.critic and math.isnan(rollout.reward)),
            )
            for rollout in rollouts
        ]
        rewards = [rollout.reward for rollout in rollouts]
        everyone = [index for index, each in enumerate(rows) if each.count]
        several = config.epochs * config.minibatches > 1
        in_reward = algorithm.reference and algorithm.loss.kl_in == "reward"
        reference = self._scored(self.reference, rows, everyone, sums) if self.reference else None
        old = self._scored(self.model, rows, everyone, sums) if in_reward else None
        penalties = [torch.zeros(r.count) for r in rows]
        if old is not None and reference is not None:
            kind, beta = algorithm.loss.kl, algorithm.loss.beta
            penalties = [
                beta * kl_estimate(kind, a, b) for a, b in zip(old, reference, strict=True)
            ]
        if algorithm.advantage == "gae":
            if several and old is None:
                old = self._scored(self.model, rows, everyone, sums)
            return self._with_values(rows, everyone, rewards, penalties, old, reference, sums)
        whole = [r - float(p.sum()) for r, p in zip(rewards, penalties, strict=True)]
        groups = torch.tensor(whole, dtype=torch.float64).view(len(batch.groups), -1)
        found = group_advantages(groups, algorithm.advantage, config.epsilon).flatten().float()
        active = everyone
        if self.reference is None or in_reward:
            active = [index for index in everyone if found[index]]
        if several and old is None:
            old = self._scored(self.model, rows, active, sums)
        each = [a.expand(r.count) for a, r in zip(found, rows, strict=True)]
        return _Batch(rows, frozenset(active), each, old, reference)

    def _with_values(
        self,
        rows: list[Row],
        everyone: list[int],
        rewards: list[float],
        penalties: list[Tensor],
        old: list[Tensor] | None,
        reference: list[Tensor] | None,
        sums: Sums,
    ) -> _Batch:
        """Advantages by the critic (GAE); the reward comes with the last token."""
        critic, config = self.critic, self.config.critic
        assert critic is not None
        values = [torch.empty(0)] * len(rows)
        with torch.no_grad():
            for micro in self._micro_batches(rows, everyone):
                for index, value in zip(
                    micro.rows, micro.to_rows(critic.values(micro.padded)), strict=True
                ):
                    values[index] = value.cpu()
                sums.scored += micro.padded.ids.numel()
        counts = [r.count for r in rows]
        given = end_rewards(rewards, counts, penalties)
        mask = _stack([torch.ones(c) for c in counts])
        advantages, returns = gae(_stack(given), _stack(values), mask, config.gamma, config.lam)
        if config.whiten:
            advantages = whiten(advantages, mask)
        each = [a[:c] for a, c in zip(advantages, counts, strict=True)]
        back = [r[:c] for r, c in zip(returns, counts, strict=True)]
        return _Batch(rows, frozenset(everyone), each, old, reference, values, back)

    @torch.no_grad()
    def _scored(
        self, model: PreTrainedModel, rows: Sequence[Row], chosen: Sequence[int], sums: Sums
    ) -> list[Tensor]:
        """Log-probabilities of the chosen rows' trained tokens by a model as it is now."""
        found = [torch.empty(0)] * len(rows)
        for micro in self._micro_batches(rows, chosen):
            scored = completion_logprobs(model, micro.padded, self.config.temperature)
            for index, numbers in zip(micro.rows, micro.to_rows(scored.logprobs), strict=True):
                found[index] = numbers.cpu()
            sums.scored += micro.padded.ids.numel()
        return found

    def _micro_batches(self, rows: Sequence[Row], chosen: Sequence[int]) -> Iterator[Micro]:
        budget, device = self.config.batch_tokens, self.model.device
        return micro_batches(rows, chosen, budget, self.pad_id, device, self.multiple)

    def _update(
        self, batch: _Batch, chosen: Sequence[int], scale: float, sums: Sums, step: int
    ) -> None:
        """One update from some rows, micro-batch by micro-batch."""
        divisor = Divisor.of(_masks([batch.rows[index].count for index in chosen]))
        active = [index for index in chosen if index in batch.active]
        warming = self.critic is not None and step < self.config.critic.warmup
        total, drift, tokens = 0.0, -sums.totals["drift"], sums.totals["tokens"]
        for micro in self._micro_batches(batch.rows, active):
            if not warming:
                total += self._policy_pass(batch, micro, divisor, sums)
            if self.critic is not None:
                self._critic_pass(self.critic, batch, micro, divisor, sums)
        sums.tokens += sum(batch.rows[index].count for index in active)
        drift += sums.totals["drift"]
        self._check(total, drift / max(1.0, sums.totals["tokens"] - tokens), sums, step)
        if self.critic is not None:
            critic_norm = self.critic.optimizer.step(scale)
            if not math.isfinite(critic_norm):
                raise TrainingDiverged(
                    f"the gradient of the critic is {critic_norm} in step {step + 1}"
                )
            sums.critic_updates += 1
            sums.totals["critic_norm"] += critic_norm
        if warming:
            return
        norm = self.optimizer.step(scale)
        if not math.isfinite(norm):
            raise TrainingDiverged(f"the gradient is {norm} in step {step + 1}")
        self.updates += 1
        sums.updates += 1
        sums.totals["loss"] += total
        sums.totals["grad_norm"] += norm
        every = self.algorithm.reference_every
        if self.reference is not None and every and self.updates % every == 0:
            self.reference.load_state_dict(self.model.state_dict())
            self.replaced = True

    def _policy_pass(self, batch: _Batch, micro: Micro, divisor: Divisor, sums: Sums) -> float:
        scored = completion_logprobs(self.model, micro.padded, self.config.temperature, True)
        logprobs = micro.to_padded(scored.logprobs)
        tokens = TokenBatch(
            logprobs=logprobs,
            old=logprobs.detach() if batch.old is None else micro.gather(batch.old),
            advantages=micro.gather(batch.advantages),
            mask=micro.mask,
            reference=None if batch.reference is None else micro.gather(batch.reference),
            engine=micro.gather([r.engine for r in batch.rows]),
        )
        loss, found = policy_loss(self.algorithm.loss, tokens, divisor)
        torch.autograd.backward(loss)
        sums.add(found)
        sums.read += micro.padded.ids.numel()
        assert scored.entropy is not None
        sums.totals["entropy"] += float(scored.entropy.detach().sum())
        return loss.item()

    def _critic_pass(
        self, critic: Critic, batch: _Batch, micro: Micro, divisor: Divisor, sums: Sums
    ) -> None:
        assert batch.values is not None
        assert batch.returns is not None
        loss, found = value_loss(
            micro.to_padded(critic.values(micro.padded)),
            micro.gather(batch.values),
            micro.gather(batch.returns),
            micro.mask,
            critic.config.clip,
            divisor,
        )
        torch.autograd.backward(loss)
        sums.add(found)
        sums.read += micro.padded.ids.numel()
        sums.critic_tokens += sum(batch.rows[index].count for index in micro.rows)
        sums.totals["value_loss"] += loss.item()

    def _check(self, total: float, drift: float, sums: Sums, step: int) -> None:
        """Before the optimizer's step, so that nothing broken reaches the weights."""
        limits = self.config
        if not math.isfinite(total):
            raise TrainingDiverged(
                f"the loss is {total} in step {step + 1}: lower the learning rate, or resume from "
                "the last checkpoint with other settings"
            )
        worst = sums.maxima.get("ratio_max", 1.0)
        if worst <= limits.ratio_limit and drift <= limits.drift_limit:
            return
        found = (
            f"a probability ratio is {worst:.3g} (ratio_limit {limits.ratio_limit:g})"
            if worst > limits.ratio_limit
            else f"the drift is {drift:.3g} nats a token (drift_limit {limits.drift_limit:g})"
        )
        raise TrainingDiverged(
            f"{found} in step {step + 1}: the policy runs away from what it sampled; lower the "
            "learning rate or the number of updates for each batch"
        )

    def state(self) -> dict[str, Any]:
        """All that changes, for a checkpoint."""
        return {
            "optimizer": self.optimizer.state(),
            "critic": self.critic.state() if self.critic else None,
            "reference": (
                self.reference.state_dict()
                if self.reference is not None and self.replaced
                else None
            ),
            "updates": self.updates,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.optimizer.load(state["optimizer"])
        if self.critic is not None:
            self.critic.load(state["critic"])
        if self.reference is not None and state["reference"] is not None:
            self.reference.load_state_dict(state["reference"])
            self.replaced = True
        self.updates = state["updates"]


def _stack(rows: Sequence[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)


def _masks(counts: Sequence[int]) -> list[Tensor]:
    """One mask for each row, as `Divisor.of` counts them."""
    return [torch.ones(1, count) for count in counts]
