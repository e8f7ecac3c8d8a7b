"""Votes over subsets that are drawn or listed, for when counting has no closed form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reasonbench.metrics.ballot import Ballot, Floats

# All subsets of a pool of 16 at any k (C(16, 8) = 12,870), and pairs of up to 161 samples.
LISTABLE = 13_000
# Sums of the same weights in another order differ in the last bits: still a tie.
TIE = 1e-9
_ELEMENTS = 1 << 21


def vote(votes: Ballot, drawn: Floats) -> Floats:
    """The credit of the weighted vote in each subset.

    Args:
        votes: R classes over n samples.
        drawn: [S, n] 1 where a sample is in the subset, else 0.

    Returns:
        [S] in [0, 1]: the mean credit of the classes whose weights sum highest, 0 where nobody
        in the subset voted. A class whose members all weigh 0 can win only against such.
    """
    if votes.order is not None:
        return _borda(votes, votes.order, drawn)
    voters = np.flatnonzero(votes.classes >= 0)
    weight = np.zeros((votes.n, len(votes.credits)))
    weight[voters, votes.classes[voters]] = votes.weights[voters]
    totals = drawn @ weight
    if (votes.weights[voters] == 0).any():
        member = np.zeros_like(weight)
        member[voters, votes.classes[voters]] = 1.0
        present = drawn @ member > 0
        totals = np.where(present, totals, -1.0)
        anyone = present.any(axis=1)
    else:
        anyone = totals.max(axis=1) > 0
    return np.where(anyone, _credit(votes, totals), 0.0)


def _borda(votes: Ballot, order: npt.NDArray[np.intp], drawn: Floats) -> Floats:
    """`vote` where the sample ranked r of a subset of k weighs (k − r + 1)^power.

    All of the subset are ranked; those without an answer hold their rank and abstain.
    """
    sorted_ = drawn[:, order]
    below = sorted_.sum(axis=1, keepdims=True) - sorted_.cumsum(axis=1) + 1
    weight = sorted_ * below**votes.power
    member = np.zeros((votes.n, len(votes.credits)))
    voters = np.flatnonzero(votes.classes >= 0)
    member[voters, votes.classes[voters]] = 1.0
    totals = weight @ member[order]
    return np.where(totals.max(axis=1) > 0, _credit(votes, totals), 0.0)


def _credit(votes: Ballot, totals: Floats) -> Floats:
    """[S] the mean credit of the classes with the largest of the totals [S, R]."""
    top = totals.max(axis=1, keepdims=True)
    tied = (totals >= top - TIE * np.abs(top)).astype(np.float64)
    credit: Floats = (tied @ votes.credits) / tied.sum(axis=1)
    return credit


def is_listable(n: int, k: int) -> bool:
    return math.comb(n, k) <= LISTABLE


def listed_vote(votes: Ballot, k: int) -> float:
    """The exact expectation over all size-k subsets, by voting in each."""
    return float(vote(votes, _every_subset(votes.n, k)).mean())


@lru_cache(maxsize=32)
def _every_subset(n: int, k: int) -> Floats:
    drawn = np.zeros((math.comb(n, k), n))
    for row, members in enumerate(itertools.combinations(range(n), k)):
        drawn[row, members] = 1.0
    drawn.setflags(write=False)
    return drawn


@dataclass
class Sampler:
    """Running sums over random subsets of one problem; one permutation serves every k."""

    votes: Ballot
    ks: Sequence[int]
    rng: np.random.Generator
    draws: int = 0

    def __post_init__(self) -> None:
        self._sum = np.zeros(len(self.ks))
        self._squares = np.zeros(len(self.ks))

    def draw(self, count: int) -> None:
        """Vote in `count` more subsets of each size."""
        n = self.votes.n
        most = max(1, _ELEMENTS // n)
        for begin in range(0, count, most):
            size = min(most, count - begin)
            place = self.rng.random((size, n), dtype=np.float32).argsort(axis=1)
            for i, k in enumerate(self.ks):
                credit = vote(self.votes, (place < k).astype(np.float64))
                self._sum[i] += credit.sum()
                self._squares[i] += (credit**2).sum()
            self.draws += size

    @property
    def means(self) -> Floats:
        return self._sum / self.draws

    @property
    def variances(self) -> Floats:
        """[K] of one draw, with one 0 and one 1 added, so that unanimity is not certainty."""
        count = self.draws + 2
        mean = (self._sum + 1) / count
        variance: Floats = (self._squares + 1) / count - mean**2
        return variance
