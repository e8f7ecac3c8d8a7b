"""Preference losses over groups of texts: which log-probabilities each compares.

The losses themselves are in `preference_losses`. Metrics of all of them: `reward_chosen` and
`reward_rejected`, the implicit reward β(log π − log π_ref) of good and bad responses (for `ipo` of
a token; for `orpo` λ log π of a token); `reward_margin`, their difference; `reward_accuracy`, the
share of pairs in the right order, ties half (for `kto` of responses on the right side of z);
`logprob_chosen` and `logprob_rejected`, the summed log-probability of a response in nats;
`length_chosen` and `length_rejected` in tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reasonbench.trainers import preference_losses
from reasonbench.trainers.group_log import Metrics
from reasonbench.trainers.group_training import Forward, Objective, Totals
from reasonbench.trainers.preference_config import PreferenceConfig
from reasonbench.trainers.preference_rows import Group, Text

BETA = 0.1
"""Of every method where none is given (TRL's defaults; ORPO's paper, section 5.2)."""


def make_objective(config: PreferenceConfig) -> Objective:
    """The loss that a run is told to use."""
    if config.method == "kto":
        return Kto(config)
    if config.rankings == "plackett-luce":
        return Ranking(config)
    return Pairs(config)


class Pairs:
    """DPO, IPO and ORPO: a chosen against a rejected response, and a supervised term."""

    def __init__(self, config: PreferenceConfig) -> None:
        self._method, self._beta = config.method, config.beta or BETA
        self._sft = config.sft

    def prepare(self, groups: Sequence[Group], forward: Forward) -> None:
        """Nothing is needed."""

    def texts(self, group: Group) -> tuple[Text, ...]:
        """Chosen, rejected, and a supervised target of its own."""
        return group.texts

    def target(self, group: Group) -> Text:
        """The supervised target, or the chosen response."""
        return group.texts[2 if len(group.texts) > 2 else 0]

    def loss(
        self, groups: Sequence[Group], values: Tensor, totals: Totals
    ) -> tuple[Tensor, Metrics]:
        """See `Objective.loss`."""
        first = starts(groups)
        last = [
            start + (2 if len(group.texts) > 2 else 0)
            for start, group in zip(first, groups, strict=True)
        ]
        chosen, rejected = values[first], values[[start + 1 for start in first]]
        # the share of each group in the mean over all target tokens of the update
        nll = -values[last] * (totals.groups / max(1, totals.targets))
        tokens = [values.new_tensor([g.texts[i].trained for g in groups]) for i in (0, 1)]
        if self._method == "orpo":
            means = chosen / tokens[0], rejected / tokens[1]
            losses = preference_losses.orpo(nll, *means, weight=self._beta)
            rewards = self._beta * means[0].detach(), self._beta * means[1].detach()
        else:
            ratios = [
                value - value.new_tensor([g.reference[i] for g in groups])
                for i, value in enumerate((chosen, rejected))
            ]
            if self._method == "ipo":
                ratios = [ratio / count for ratio, count in zip(ratios, tokens, strict=True)]
            compare = preference_losses.ipo if self._method == "ipo" else preference_losses.dpo
            losses = compare(ratios[0], ratios[1], self._beta)
            rewards = self._beta * ratios[0].detach(), self._beta * ratios[1].detach()
        if self._sft:
            losses = losses + self._sft * nll
        count = float(len(groups))
        metrics = {
            "reward_accuracy": (above(*rewards), count),
        }
        for name, reward, logprob, length in zip(
            ("chosen", "rejected"), rewards, (chosen, rejected), tokens, strict=True
        ):
            metrics[f"reward_{name}"] = (float(reward.sum()), count)
            metrics[f"logprob_{name}"] = (float(logprob.detach().sum()), count)
            metrics[f"length_{name}"] = (float(length.sum()), count)
        if self._sft or self._method == "orpo":
            # nats a token: each group's share sums to the mean over the update
            metrics["sft_loss"] = (float(nll.detach().sum()), count)
        return losses.sum(), metrics


class Kto:
    """KTO: good and bad responses by themselves, against how far the model has moved at all."""

    def __init__(self, config: PreferenceConfig) -> None:
        self._beta = config.beta or BETA
        self._weights = config.desirable_weight, config.undesirable_weight
        self._z = torch.zeros(())

    def prepare(self, groups: Sequence[Group], forward: Forward) -> None:
        """z of the whole update, from the mismatched responses."""
        values = forward([group.texts[1] for group in groups])
        references = values.new_tensor([group.reference[1] for group in groups])
        self._z = preference_losses.kto_reference(values - references)

    def texts(self, group: Group) -> tuple[Text, ...]:
        """The response alone: the mismatched one is measured by `prepare`."""
        return group.texts[:1]

    def target(self, group: Group) -> Text:
        """The response itself."""
        return group.texts[0]

    def loss(
        self, groups: Sequence[Group], values: Tensor, totals: Totals
    ) -> tuple[Tensor, Metrics]:
        """See `Objective.loss`."""
        ratios = values - values.new_tensor([group.reference[0] for group in groups])
        good = torch.tensor([bool(group.good) for group in groups], device=values.device)
        losses = preference_losses.kto(ratios, good, self._z, self._beta, *self._weights)
        rewards = self._beta * ratios.detach()
        right = (ratios.detach() > self._z) == good
        metrics = {
            "reward_accuracy": (float(right.sum()), float(len(groups))),
            "kl": (float(self._z) * len(groups), float(len(groups))),
        }
        lengths = values.new_tensor([group.texts[0].trained for group in groups])
        for name, mask in (("chosen", good), ("rejected", ~good)):
            count = float(mask.sum())
            metrics[f"reward_{name}"] = (float(rewards[mask].sum()), count)
            metrics[f"logprob_{name}"] = (float(values.detach()[mask].sum()), count)
            metrics[f"length_{name}"] = (float(lengths[mask].sum()), count)
        return losses.sum(), metrics


class Ranking:
    """DPO's Plackett-Luce form: the likelihood of a whole ranking under the implicit rewards."""

    def __init__(self, config: PreferenceConfig) -> None:
        self._beta = config.beta or BETA

    def prepare(self, groups: Sequence[Group], forward: Forward) -> None:
        """Nothing is needed."""

    def texts(self, group: Group) -> tuple[Text, ...]:
        """All that are ranked."""
        return group.texts

    def target(self, group: Group) -> Text:
        """The first one."""
        return group.texts[0]

    def loss(
        self, groups: Sequence[Group], values: Tensor, totals: Totals
    ) -> tuple[Tensor, Metrics]:
        """See `Objective.loss`. `reward_accuracy` is over all pairs of different ranks."""
        references = values.new_tensor([r for group in groups for r in group.reference])
        ratios, ranks = side_by_side(groups, values - references)
        losses = preference_losses.plackett_luce(ratios, ranks, self._beta)
        return losses.sum(), {"reward_accuracy": in_order(ratios.detach(), ranks)}


def starts(groups: Sequence[Group]) -> list[int]:
    """Where the texts of each group begin among all of theirs."""
    found, place = [], 0
    for group in groups:
        found.append(place)
        place += len(group.texts)
    return found


def side_by_side(groups: Sequence[Group], values: Tensor) -> tuple[Tensor, Tensor]:
    """[groups, responses] values and ranks of ranked groups, padded with rank 0."""
    width = max(len(group.texts) for group in groups)
    ranks = torch.zeros((len(groups), width), dtype=torch.long, device=values.device)
    rows = []
    for i, (start, group) in enumerate(zip(starts(groups), groups, strict=True)):
        count = len(group.texts)
        ranks[i, :count] = torch.tensor(group.ranking)
        rows.append(torch.nn.functional.pad(values[start : start + count], (0, width - count)))
    return torch.stack(rows), ranks


def in_order(scores: Tensor, ranks: Tensor) -> tuple[float, float]:
    """Pairs of different ranks whose scores are in that order (ties half), and all such pairs.

    Args:
        scores, ranks: [groups, responses]; a rank of 0 is padding.
    """
    there = ranks > 0
    better = (ranks[:, :, None] < ranks[:, None, :]) & there[:, :, None] & there[:, None, :]
    first = scores[:, :, None].expand(better.shape)
    second = scores[:, None, :].expand(better.shape)
    return above(first[better], second[better]), float(better.sum())


def above(better: Tensor, worse: Tensor) -> float:
    """How many of the better ones are above the worse ones, ties half."""
    return float((better > worse).sum()) + 0.5 * float((better == worse).sum())
