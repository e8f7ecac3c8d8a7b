"""Metrics over sets of problems."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from reasonbench.errors import UsageError
from reasonbench.metrics import (
    METRICS,
    ProblemPool,
    aggregate,
    bounds,
    curve,
    evaluate,
    metric,
    problem_scores,
    run_spread,
    sampling_stderr,
)

EASY = ProblemPool(
    "easy", (True, True, True, False), (0, 0, 0, 1), (4.0, 3.0, 2.0, 1.0), (1.0, 1.0, 1.0, 1.0),
    level="1", subject="algebra",
)  # fmt: skip
HARD = ProblemPool(
    "hard", (True, False, False, False), (0, 1, 1, -1), (1.0, 2.0, 3.0, 4.0), (5.0, 1.0, 1.0, 1.0),
    level="2", subject="algebra",
)  # fmt: skip


def random_pools(problems: int, samples: int, ungraded: float = 0.0) -> list[ProblemPool]:
    rng = np.random.default_rng(problems + samples)
    pools = []
    for i in range(problems):
        rate = rng.beta(0.6, 0.9)
        right = rng.random(samples) < rate
        classes = np.where(right, 0, rng.integers(-1, 4, samples))
        classes = np.where(~right & (classes == 0), 9, classes)
        lost = rng.random(samples) < ungraded
        pools.append(
            ProblemPool(
                f"p{i}",
                tuple(None if gone else bool(r) for r, gone in zip(right, lost, strict=True)),
                tuple(int(c) for c in classes),
                tuple(float(s) for s in rng.random(samples) + right),
                tuple(float(w) for w in rng.random(samples)),
                level=str(i % 3),
            )
        )
    return pools


def test_every_metric_by_hand() -> None:
    # At k = 2. Easy: 3 right of 4 (pairs: 3 RR, 3 RW). Hard: 1 of 4 (3 with the right one).
    expected = {
        "pass@k": (1 + 1 / 2) / 2,
        "pass^k": (1 / 2 + 0) / 2,
        "g-pass@k": (1 + 1 / 2) / 2,
        # Easy: RR 1, RW a tie 1/2. Hard: {0,1} twice 1/2, {0,−} 1, the rest 0.
        "maj@k": ((3 + 3 / 2) / 6 + 2 / 6) / 2,
        # Easy: every pair has a right one above the wrong. Hard: the right one is lowest.
        "bon@k": (1 + 0) / 2,
        # Hard: the right one weighs most.
        "wbon@k": ((3 + 3 / 2) / 6 + 3 / 6) / 2,
        # Of two the higher score votes √2, the lower 1. Easy as bon. Hard: the lowest, which is
        # right, wins only beside the one that abstains.
        "borda@k": (1 + 1 / 6) / 2,
    }
    assert set(expected) == set(METRICS)
    for name, value in expected.items():
        result = metric([EASY, HARD], name, 2)
        assert result.value == pytest.approx(value), name
        assert (result.problems, result.mc_stderr, result.dropped, result.capped) == (2, 0, 0, 0)
        assert result.low == result.high == result.value


def test_the_interval_is_that_of_the_problem_scores() -> None:
    pools = random_pools(80, 8)
    result = metric(pools, "maj@k", 4)
    scores = problem_scores(pools, "maj@k", [4]).values[:, 0]
    interval = aggregate(scores.tolist(), [pool.cluster for pool in pools])
    assert (result.value, *result.interval) == interval[:3]
    assert result.interval_kind == interval.kind


def test_variants_share_the_cluster_of_their_source() -> None:
    pools = [replace(p, cluster=f"s{i // 4}") for i, p in enumerate(random_pools(80, 4))]
    assert metric(pools, "pass@k", 1).interval_kind == "wilson-effective"
    assert random_pools(1, 4)[0].cluster == "p0"


def test_ungraded_samples_leave_the_denominator_and_widen_the_bounds() -> None:
    pool = ProblemPool("p", (True, False, None, None), (0, 1, 0, 2))
    result = metric([pool, EASY], "pass@k", 1)
    assert result.value == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert (result.low, result.high) == pytest.approx(((1 / 4 + 3 / 4) / 2, (3 / 4 + 3 / 4) / 2))
    assert bounds([pool, EASY]) == pytest.approx((result.low, result.high))


def test_a_problem_without_a_graded_sample_is_dropped_and_counted() -> None:
    lost = ProblemPool("lost", (None, None, None, None), (0, 0, 1, -1))
    result = metric([lost, EASY], "pass@k", 1)
    assert (result.value, result.problems, result.dropped) == (0.75, 1, 1)
    assert (result.low, result.high) == pytest.approx((0.75 / 2, 1.75 / 2))
    alone = metric([lost], "maj@k", 2)
    assert math.isnan(alone.value)
    assert alone.interval == (0.0, 1.0)
    assert alone.interval_kind == "no-problem"
    assert (alone.low, alone.high) == (0.0, 1.0)


def test_a_problem_short_of_graded_samples_is_scored_at_what_it_has() -> None:
    short = ProblemPool("short", (True, False, None, None), (0, 1, 0, 2))
    result = metric([short, EASY], "pass@k", 4)
    assert (result.value, result.capped) == (1.0, 1)
    assert metric([short, EASY], "pass@k", 2).capped == 0


def test_bounds_hold_the_value_of_every_metric() -> None:
    pools = random_pools(40, 12, ungraded=0.2)
    for row in evaluate(pools, METRICS, by=("level",)):
        assert 0 <= row.low <= row.value <= row.high <= 1


def test_levels_and_subjects_are_the_metric_of_their_problems() -> None:
    pools = random_pools(30, 6)
    rows = evaluate(pools, ["maj@k"], [4])
    assert [(r.level, r.subject) for r in rows] == [(None, None), ("0", None), ("1", None),
                                                    ("2", None)]  # fmt: skip
    for row in rows[1:]:
        own = metric([p for p in pools if p.level == row.level], "maj@k", 4)
        assert (row.value, row.interval, row.problems) == (own.value, own.interval, 10)


def test_a_curve_runs_over_the_powers_of_two_and_pass_at_k_rises() -> None:
    rows = curve(random_pools(20, 12), "pass@k")
    assert [row.k for row in rows] == [1, 2, 4, 8, 12]
    values = [row.value for row in rows]
    assert values == sorted(values)


def test_at_k_1_every_metric_is_pass_at_1() -> None:
    pools = random_pools(25, 9)
    expected = metric(pools, "pass@k", 1).value
    for name in METRICS:
        assert metric(pools, name, 1).value == pytest.approx(expected), name


def test_monte_carlo_error_stays_below_a_tenth_of_a_point_and_is_stated() -> None:
    pools = random_pools(30, 64)
    rows = curve(pools, "wbon@k")
    assert all(row.mc_stderr < 0.001 for row in rows)
    assert [row.mc_stderr > 0 for row in rows] == [False, False, True, True, True, True, False]


def test_a_problems_estimate_does_not_depend_on_the_others() -> None:
    pools = random_pools(30, 40)
    together = problem_scores(pools, "wbon@k", [8])
    reversed_ = problem_scores(pools[::-1], "wbon@k", [8])
    assert (together.values == reversed_.values[::-1]).all()


def test_sampling_error_is_what_repeated_runs_show() -> None:
    rng = np.random.default_rng(1)
    rates = rng.beta(0.5, 0.5, 30)
    means, predicted = [], []
    for _ in range(300):
        right = rng.random((30, 64)) < rates[:, None]
        means.append(float(right.mean()))
        pools = [
            ProblemPool(str(i), tuple(map(bool, row)), (0,) * 64) for i, row in enumerate(right)
        ]
        predicted.append(sampling_stderr(pools))
    seen = run_spread(means).stderr * math.sqrt(300)
    assert np.mean(predicted) == pytest.approx(seen, rel=0.12)
    assert math.isnan(sampling_stderr([ProblemPool("p", (True,), (0,))]))


@pytest.mark.parametrize(
    ("name", "k", "words"),
    [
        ("mag@k", 2, "did you mean maj@k"),
        ("pass@k", 5, "outside 1…4"),
        ("pass@k", 0, "outside 1…4"),
        ("bon@k", 2, "needs scores"),
        ("wbon@k", 2, "needs weights"),
    ],
)
def test_what_cannot_be_computed_is_said_in_a_sentence(name: str, k: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        metric([ProblemPool("p", (True, False, True, False), (0, 1, 0, 1))], name, k)


def test_no_problem_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="at least one problem"):
        metric([], "pass@k", 1)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="3 classes for 2 verdicts"):
        ProblemPool("p", (True, False), (0, 1, 2))
    with pytest.raises(ValueError, match="≥ 0"):
        ProblemPool("p", (True,), (0,), weights=(-1.0,))


def test_importing_the_metrics_loads_neither_scipy_nor_pandas() -> None:
    code = "import sys, reasonbench.metrics as m; print({'scipy', 'pandas'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_failed_request_may_have_voted_either_way() -> None:
    pool = ProblemPool("p", (True, False, None, None), (0, 1, -1, -1))
    found = metric([pool], "maj@k", 4)
    assert (found.low, found.high) == (0.0, 1.0)
    lost = ProblemPool("p", (False, None), (0, -1), weights=(2.0, None))
    found = metric([lost], "wbon@k", 2)
    assert (found.low, found.high) == (0.0, 0.5)  # as heavy as the heaviest: a tie
