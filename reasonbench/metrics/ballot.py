"""One problem's votes: the graded samples, their answer classes, weights and credits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonbench.metrics.types import NO_ANSWER

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ballot:
    """The graded samples of one problem, ready to be counted.

    A class is worth the share of its graded members that are right. With a perfectly transitive
    equivalence that is 0 or 1; where grading and equivalence disagree, the vote for the class is
    worth what a random member of it is worth, which keeps maj@1 equal to pass@1.
    """

    classes: npt.NDArray[np.intp]
    """[n] classes 0…R−1 in order of first appearance; −1 abstains."""
    weights: Floats
    """[n] voting weight ≥ 0; 0 where a sample abstains."""
    credits: Floats
    """[R] what a class is worth, in [0, 1]."""
    equal: bool
    """Whether all voters weigh the same, and more than 0: a plain majority vote."""
    order: npt.NDArray[np.intp] | None
    """[n] samples by falling score where their rank is what weighs (Borda); else None."""
    power: float
    """Exponent of a rank's weight."""
    key: int
    """Seeds the subsets, so that a problem's estimate does not depend on the other problems."""

    @property
    def n(self) -> int:
        return len(self.classes)

    @property
    def sizes(self) -> npt.NDArray[np.intp]:
        """[R] members of each class."""
        return np.bincount(self.classes[self.classes >= 0], minlength=len(self.credits))

    @property
    def abstaining(self) -> int:
        return int((self.classes < 0).sum())


def ballot(
    classes: Sequence[int],
    correct: Sequence[bool | float | None],
    weights: Sequence[float | None] | None = None,
    *,
    scores: Sequence[float | None] | None = None,
    power: float = 1.0,
    name: str = "",
) -> Ballot:
    """Count in the graded samples of one problem.

    Args:
        classes: answer class per sample, −1 for none; labels are arbitrary.
        correct: verdict per sample; those that are None are dropped.
        weights: ≥ 0 per sample, None or NaN is 0; everyone weighs 1 where there are none.
        scores: by which a Borda vote ranks the samples, instead of `weights`; None or NaN is last,
            and of equal ones the earlier sample stands before.
        power: of k samples the one ranked r votes (k − r + 1)^power.
        name: the problem's id, which seeds its subsets.

    Raises:
        ValueError: lengths differ, or a weight is negative or infinite.
    """
    everyone = [1.0] * len(classes) if weights is None else weights
    labels: dict[int, int] = {}
    kept: list[int] = []
    weighed: list[float] = []
    ranked: list[float] = []
    right: list[float] = []
    ranks = everyone if scores is None else scores
    for label, verdict, weight, score in zip(classes, correct, everyone, ranks, strict=True):
        if verdict is None:
            continue
        vote = NO_ANSWER if label == NO_ANSWER else labels.setdefault(label, len(labels))
        value = 0.0 if weight is None or math.isnan(weight) else float(weight)
        if not 0 <= value < math.inf:
            raise ValueError(f"voting weight {value} is not a finite number ≥ 0")
        kept.append(vote)
        weighed.append(0.0 if vote == NO_ANSWER else value)
        right.append(float(verdict))
        ranked.append(math.inf if score is None or math.isnan(score) else -score)
    votes = np.array(kept, dtype=np.intp)
    heavy = np.array(weighed, dtype=np.float64)
    voting = votes >= 0
    sizes = np.bincount(votes[voting], minlength=len(labels))
    credits = np.bincount(votes[voting], np.array(right)[voting], len(labels)) / sizes
    cast = heavy[voting]
    alike = bool(cast.size and cast[0] > 0 and (cast == cast[0]).all())
    order = None if scores is None else np.argsort(np.array(ranked), kind="stable")
    return Ballot(
        votes, heavy, credits, alike and order is None, order, power,
        int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big"),
    )  # fmt: skip
