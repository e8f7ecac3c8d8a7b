"""Selectors: which candidate of a pool to answer with. Answers vote as equivalence classes."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence

from reasonbench.strategies.base import Candidate


def best(candidates: Sequence[Candidate], seed: int) -> int | None:
    """The candidate with the largest score (Cobbe et al. 2021, section 4.1).

    Candidates without a score come last; ties are broken at random by `seed`.
    """
    if not candidates:
        return None
    scores = [-math.inf if c.score is None or math.isnan(c.score) else c.score for c in candidates]
    top = max(scores)
    return random.Random(seed).choice([i for i, s in enumerate(scores) if s == top])


def weighted(candidates: Sequence[Candidate], seed: int) -> int | None:
    """argmax over answer classes of the sum of weights (Li et al. 2022, section 3.2).

    Candidates without an answer abstain; one without a weight counts 0. Returns the first member
    of the winning class; ties between classes are broken at random by `seed`.
    """
    total: dict[int, float] = defaultdict(float)
    first: dict[int, int] = {}
    for i, c in enumerate(candidates):
        if c.answer_class < 0:
            continue
        total[c.answer_class] += c.weight or 0.0
        first.setdefault(c.answer_class, i)
    if not total:
        return None
    top = max(total.values())
    return first[random.Random(seed).choice([k for k, v in total.items() if v == top])]


def majority(candidates: Sequence[Candidate], seed: int) -> int | None:
    """The largest answer class (Wang et al. 2022, section 2): every answer weighs the same."""
    return weighted([c._replace(weight=1.0) for c in candidates], seed)


def borda(candidates: Sequence[Candidate], seed: int, power: float) -> int | None:
    """argmax over answer classes of the sum of (n − rank + 1)^power (Kang et al. 2025).

    Ranks are by falling score, candidates without one last; one without an answer holds its rank
    and abstains. Ties between classes are broken at random by `seed`.
    """
    known = [-math.inf if c.score is None or math.isnan(c.score) else c.score for c in candidates]
    order = sorted(range(len(candidates)), key=lambda i: -known[i])
    ranked = list(candidates)
    for place, i in enumerate(order):
        ranked[i] = candidates[i]._replace(weight=float(len(candidates) - place) ** power)
    return weighted(ranked, seed)
