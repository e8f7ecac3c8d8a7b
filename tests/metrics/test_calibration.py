"""What scores say about being right: bins, calibration error, area under the curve."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.metrics.calibration import auc, calibration_error, score_bins

SAMPLES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()),
    min_size=1,
    max_size=60,
)


def test_auc_of_four_scores_by_hand() -> None:
    # pairs (right, wrong): 0.8 over 0.2 and 0.5; 0.5 over 0.2, level with 0.5
    assert auc([0.8, 0.5, 0.5, 0.2], [True, True, False, False]) == pytest.approx(3.5 / 4)
    assert auc([1.0, 0.0], [False, True]) == 0.0


def test_auc_is_unknown_without_both_kinds() -> None:
    assert math.isnan(auc([0.1, 0.2], [True, True]))
    assert math.isnan(auc([], []))


@given(SAMPLES)
def test_auc_counts_pairs(samples: list[tuple[float, bool]]) -> None:
    right = [score for score, truth in samples if truth]
    wrong = [score for score, truth in samples if not truth]
    found = auc([score for score, _ in samples], [truth for _, truth in samples])
    if not right or not wrong:
        assert math.isnan(found)
        return
    wins = sum((r > w) + (r == w) / 2 for r in right for w in wrong)
    assert found == pytest.approx(wins / len(right) / len(wrong))


def test_calibration_error_by_hand() -> None:
    # two bins of two: means 0.15 and 0.85, shares right 0 and 0.5
    bins = score_bins([0.1, 0.2, 0.8, 0.9], [False, False, True, False], list("abcd"), 2)
    assert [(b.low, b.high, b.samples) for b in bins] == [(0.1, 0.2, 2), (0.8, 0.9, 2)]
    assert [b.right.mean for b in bins] == [0.0, 0.5]
    assert calibration_error(bins) == pytest.approx((0.15 + 0.35) / 2)


@given(SAMPLES, st.integers(1, 12))
def test_bins_hold_every_sample_once_and_equal_scores_together(
    samples: list[tuple[float, bool]], count: int
) -> None:
    scores = [score for score, _ in samples]
    truth = [right for _, right in samples]
    bins = score_bins(scores, truth, [str(i % 7) for i in range(len(samples))], count)
    assert len(bins) <= count
    assert all(a.high < b.low for a, b in pairwise(bins))
    for one in bins:
        inside = [right for score, right in samples if one.low <= score <= one.high]
        assert one.samples == len(inside)
        assert one.right.mean == pytest.approx(sum(inside) / len(inside))
        assert one.right.low <= one.right.mean <= one.right.high
    assert sum(one.samples for one in bins) == len(samples)


def test_samples_of_one_problem_say_less_than_those_of_many() -> None:
    scores, truth = [0.5] * 40, [True, False] * 20
    (few,) = score_bins(scores, truth, [str(i // 10) for i in range(40)], 1)
    truth = [True] * 20 + [False] * 20
    (one_sided,) = score_bins(scores, truth, [str(i // 10) for i in range(40)], 1)
    assert one_sided.right.high - one_sided.right.low > few.right.high - few.right.low


def test_a_perfectly_calibrated_score_has_no_error() -> None:
    scores = [0.25] * 4 + [0.75] * 4
    truth = [True, False, False, False, True, True, True, False]
    bins = score_bins(scores, truth, list("abcdefgh"), 2)
    assert calibration_error(bins) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("scores", "truth"), [([], []), ([0.1], [True, False]), ([math.nan], [True])]
)
def test_what_cannot_be_binned_is_refused(scores: list[float], truth: list[bool]) -> None:
    with pytest.raises(ValueError, match=r"scores for|not finite"):
        score_bins(scores, truth, ["a"] * len(scores))
