"""What a batch of roll-outs does to the policy: advantages, passes, losses, updates."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reasonbench.trainers import parallel
from reasonbench.trainers.advantages import gae, group_advantages, whiten
from reasonbench.trainers.completion_loss import Padded
from reasonbench.trainers.critic import Critic, end_rewards
from reasonbench.trainers.grpo_config import Algorithm, GrpoConfig
from reasonbench.trainers.logprobs import completion_logprobs
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.policy_losses import (
    Divisor,
    TokenBatch,
    kl_penalty,
    policy_loss,
    value_loss,
)
from reasonbench.trainers.recompute import recompute_layers
from reasonbench.trainers.rl_batch import Micro, Row, micro_batches, row, shares
from reasonbench.trainers.rl_sums import Sums
from reasonbench.trainers.rollouts import Rollouts
from reasonbench.trainers.schedule import rate
from reasonbench.trainers.sft import TrainingDiverged
from reasonbench.trainers.start import chosen_device

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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
        model: the policy, in the precision it computes in; dropout stays off. With several
            processes it is in fp32 on the CPU, and each keeps its part of it.
        pad_id: a valid token for padding.
        multiple: what padded lengths are rounded up to.
        """
        self.config, self.algorithm, self.model = config, algorithm, model.eval()
        self.pad_id, self.multiple = pad_id, multiple
        device, dtype = chosen_device(config.device), getattr(torch, config.dtype)

        def shard(each: PreTrainedModel) -> None:
            parallel.shard(each, device, dtype)

        if config.recompute:
            recompute_layers(model)
        self.reference: PreTrainedModel | None = None
        if algorithm.reference:
            self.reference = copy.deepcopy(model).requires_grad_(False)
            shard(self.reference)
        self.critic = Critic(model, config.critic, shard) if algorithm.critic else None
        shard(model)
        self.optimizer = MasterOptimizer(model, config.optimizer)
        self.updates = 0
        self.replaced = False

    def learn(self, batch: Rollouts, step: int) -> Sums:
        """The updates that a batch of roll-outs gives.

        Of several processes each has to call it with the same batch; all get the same sums.

        Args:
            step: batches before this one; decides the rate and the order of the rows.

        Raises:
            TrainingDiverged: a loss, a gradient or a ratio is out of bounds.
        """
        if not batch.groups:  # all were flat, and refilling them has found no other
            return Sums()
        mine = Sums()
        prepared = self._prepare(batch, mine)
        sums = mine.of_all()
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
            penalties = [
                kl_penalty(algorithm.loss, a, b, torch.ones_like(a))
                for a, b in zip(old, reference, strict=True)
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
        values = self._each(critic.values, rows, everyone, sums)
        counts = [r.count for r in rows]
        given = end_rewards(rewards, counts, penalties)
        mask = _stack([torch.ones(c) for c in counts])
        advantages, returns = gae(_stack(given), _stack(values), mask, config.gamma, config.lam)
        if config.whiten:
            advantages = whiten(advantages, mask, shared=True)
        each = [a[:c] for a, c in zip(advantages, counts, strict=True)]
        back = [r[:c] for r, c in zip(returns, counts, strict=True)]
        return _Batch(rows, frozenset(everyone), each, old, reference, values, back)

    def _scored(
        self, model: PreTrainedModel, rows: Sequence[Row], chosen: Sequence[int], sums: Sums
    ) -> list[Tensor]:
        """Log-probabilities of the chosen rows' trained tokens by a model as it is now."""

        def score(batch: Padded) -> Tensor:
            return completion_logprobs(model, batch, self.config.temperature).logprobs

        return self._each(score, rows, chosen, sums)

    @torch.no_grad()
    def _each(
        self,
        score: Callable[[Padded], Tensor],
        rows: Sequence[Row],
        chosen: Sequence[int],
        sums: Sums,
    ) -> list[Tensor]:
        """Numbers of the chosen rows' trained tokens, in every process."""
        mine: dict[int, Tensor] = {}
        for micro in self._micro_batches(rows, chosen):
            flat = score(micro.padded).cpu()
            mine |= zip(micro.rows, micro.to_rows(flat), strict=True)
            sums.scored += micro.padded.ids.numel() if micro.rows else 0
        found = [torch.empty(0)] * len(rows)
        for part in parallel.everywhere(mine):
            for index, numbers in part.items():
                found[index] = numbers
        return found

    def _micro_batches(self, rows: Sequence[Row], chosen: Sequence[int]) -> Iterator[Micro]:
        budget, device = self.config.batch_tokens, self.model.device
        return micro_batches(rows, chosen, budget, self.pad_id, device, self.multiple)

    def _update(
        self, batch: _Batch, chosen: Sequence[int], scale: float, sums: Sums, step: int
    ) -> None:
        """One update from some rows, micro-batch by micro-batch."""
        trained = sum(batch.rows[index].count for index in chosen)
        divisor = Divisor(float(len(chosen)), float(trained))
        active = [index for index in chosen if index in batch.active]
        warming = self.critic is not None and step < self.config.critic.warmup
        mine = Sums()
        for micro in self._micro_batches(batch.rows, active):
            if not warming:
                self._policy_pass(batch, micro, divisor, mine)
            if self.critic is not None:
                self._critic_pass(self.critic, batch, micro, divisor, mine)
        found = mine.of_all()
        found.tokens = sum(batch.rows[index].count for index in active)
        self._check(found, step)
        sums.join(found)
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
        sums.totals["grad_norm"] += norm
        every = self.algorithm.reference_every
        if self.reference is not None and every and self.updates % every == 0:
            with torch.no_grad():
                pairs = zip(self.reference.parameters(), self.model.parameters(), strict=True)
                for kept, new in pairs:
                    kept.copy_(new)
            self.replaced = True

    def _policy_pass(self, batch: _Batch, micro: Micro, divisor: Divisor, sums: Sums) -> None:
        scored = completion_logprobs(self.model, micro.padded, self.config.temperature, True)
        if not micro.rows:  # the others' passes meet this one
            torch.autograd.backward(scored.logprobs.sum())
            return
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
        sums.totals["loss"] += loss.item()

    def _critic_pass(
        self, critic: Critic, batch: _Batch, micro: Micro, divisor: Divisor, sums: Sums
    ) -> None:
        assert batch.values is not None
        assert batch.returns is not None
        values = critic.values(micro.padded)
        if not micro.rows:
            torch.autograd.backward(values.sum())
            return
        loss, found = value_loss(
            micro.to_padded(values),
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

    def _check(self, found: Sums, step: int) -> None:
        """Before the optimizer's step, so that nothing broken reaches the weights.

        Args:
            found: of this update.
        """
        limits, total = self.config, found.totals["loss"]
        if not math.isfinite(total):
            raise TrainingDiverged(
                f"the loss is {total} in step {step + 1}: lower the learning rate, or resume from "
                "the last checkpoint with other settings"
            )
        worst = found.maxima.get("ratio_max", 1.0)
        drift = found.totals["drift"] / max(1.0, found.totals["tokens"])
        if worst <= limits.ratio_limit and drift <= limits.drift_limit:
            return
        what = (
            f"a probability ratio is {worst:.3g} (ratio_limit {limits.ratio_limit:g})"
            if worst > limits.ratio_limit
            else f"the drift is {drift:.3g} nats a token (drift_limit {limits.drift_limit:g})"
        )
        raise TrainingDiverged(
            f"{what} in step {step + 1}: the policy runs away from what it sampled; lower the "
            "learning rate or the number of updates for each batch"
        )

    def state(self) -> dict[str, Any]:
        """All that changes, for a checkpoint; of several processes each has to call it."""
        reference = None
        if self.reference is not None and self.replaced:
            reference = {n: parallel.collected(p) for n, p in self.reference.named_parameters()}
        return {
            "optimizer": self.optimizer.state(),
            "critic": self.critic.state() if self.critic else None,
            "reference": reference,
            "updates": self.updates,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.optimizer.load(state["optimizer"])
        if self.critic is not None:
            self.critic.load(state["critic"])
        if self.reference is not None and state["reference"] is not None:
            with torch.no_grad():
                for name, weight in self.reference.named_parameters():
                    weight.copy_(parallel.placed(state["reference"][name], weight))
            self.replaced = True
        self.updates = state["updates"]


def _stack(rows: Sequence[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
