"""What the updates of a batch of roll-outs add up, over micro-batches and processes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from torch import Tensor

from reasonbench.trainers import parallel

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

    def join(self, other: Sums) -> None:
        """What another process, or another update, has added up."""
        for name, number in other.totals.items():
            self.totals[name] += number
        for name, number in other.maxima.items():
            self.maxima[name] = max(self.maxima.get(name, number), number)
        for name in ("updates", "critic_updates", "critic_tokens", "tokens", "read", "scored"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def of_all(self) -> Sums:
        """The sums of all processes; each has to call it with what it computed itself."""
        found = Sums()
        for each in parallel.everywhere(self):
            found.join(each)
        return found
