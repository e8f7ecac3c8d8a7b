"""What a comparison says of pairs of runs whose truth is known, over 1,000 pairs each.

Every pair goes through `match`, which makes every row of `reasonbench compare`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from reasonbench.metrics import ProblemPool, problem_scores
from reasonbench.metrics.ballot import Floats
from reasonbench.reports.contrast import match

PAIRS = 1_000
PERMUTATIONS = {30: 999, 100: 499, 500: 199}
"""By problems: any number of them keeps the test valid, and 0.01 is above 2 / 200."""
SIZES = tuple(PERMUTATIONS)
SAMPLES = (1, 4, 64)


def solve_rates(rng: np.random.Generator, rates: Floats, samples: int) -> Floats:
    """Of one run: the share of right samples of every problem."""
    found: Floats = rng.binomial(samples, rates) / samples
    return found


def allowed(share: float) -> float:
    """Three standard errors of a share over all pairs."""
    return 3 * math.sqrt(share * (1 - share) / PAIRS)


def test_a_solve_rate_is_the_estimators() -> None:
    rng = np.random.default_rng(5)
    right = rng.random((20, 4)) < 0.4
    pools = [
        ProblemPool(f"p{i}", tuple(map(bool, row)), tuple(map(int, row)))
        for i, row in enumerate(right)
    ]
    assert problem_scores(pools, "pass@k", [1]).values[:, 0] == pytest.approx(right.mean(axis=1))


@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("problems", SIZES)
def test_the_interval_holds_a_known_difference_at_its_rate(problems: int, samples: int) -> None:
    rng = np.random.default_rng([problems, samples])
    clusters = [f"p{i}" for i in range(problems)]
    difference, held = 0.05, 0
    for _ in range(PAIRS):
        # other problems each time; B's probabilities are near A's, 0.05 higher on average
        rates = rng.uniform(0.1, 0.75, problems)
        better = rates + difference + rng.uniform(-0.15, 0.15, problems)
        a = solve_rates(rng, rates, samples)
        b = solve_rates(rng, better, samples)
        low, high = match(a, b, clusters, permutations=2).paired.interval[1:3]
        held += low <= difference <= high
    assert held / PAIRS == pytest.approx(0.95, abs=allowed(0.95) + 0.005)


@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("problems", SIZES)
def test_two_draws_of_one_model_differ_no_more_often_than_alpha(
    problems: int, samples: int
) -> None:
    rng = np.random.default_rng([problems, samples, 1])
    clusters = [f"p{i}" for i in range(problems)]
    ps, called = [], 0
    for _ in range(PAIRS):
        rates = rng.beta(0.6, 0.6, problems)
        found = match(
            solve_rates(rng, rates, samples),
            solve_rates(rng, rates, samples),
            clusters,
            permutations=PERMUTATIONS[problems],
        )
        ps.append(found.paired.p_value)
        called += found.verdict != "tie"
    for alpha in (0.05, 0.01):
        assert np.mean(np.array(ps) <= alpha) <= alpha + allowed(alpha)
    assert called / PAIRS <= 0.05 + allowed(0.05)
