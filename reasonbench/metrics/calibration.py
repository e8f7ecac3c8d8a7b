"""What scores say about being right: reliability bins, calibration error, area under the curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reasonbench.metrics.ballot import Floats
from reasonbench.metrics.intervals import aggregate
from reasonbench.metrics.types import Interval


class ScoreBin(NamedTuple):
    """Samples with neighbouring scores."""

    low: float
    high: float
    """Both are scores that occur."""
    mean: float
    right: Interval
    """Share of them that is right; samples of one cluster are not independent."""
    samples: int


def score_bins(
    scores: Sequence[float] | Floats,
    right: Sequence[bool],
    clusters: Sequence[str],
    count: int = 10,
    *,
    confidence: float = 0.95,
) -> list[ScoreBin]:
    """Samples in bins by quantiles of their score, as equal in size as ties allow.

    Equal scores share a bin, so that there may be fewer bins. Bins of equal size rather than of
    equal width (Nguyen & O'Connor 2015, "Posterior calibration and exploratory analysis for
    natural language processing models", section 3): a reward's scores crowd at both ends.

    Args:
        scores: finite, of each sample.
        right: whether it is correct.
        clusters: the source of its problem.

    Raises:
        ValueError: no sample, lengths differ, or a score is not finite.
    """
    values = np.asarray(scores, dtype=np.float64)
    if not len(values) or not len(values) == len(right) == len(clusters):
        raise ValueError(
            f"{len(values)} scores for {len(right)} verdicts, {len(clusters)} clusters"
        )
    if not np.isfinite(values).all():
        raise ValueError("a score is not finite")
    ordered = np.sort(values)
    edges = [ordered[math.ceil(len(values) * i / count) - 1] for i in range(1, count + 1)]
    placed = np.searchsorted(np.unique(edges), values, side="left")
    truth, sources = np.asarray(right, dtype=np.float64), np.asarray(clusters)
    found = []
    for number in np.unique(placed):
        members = placed == number
        inside = values[members]
        found.append(
            ScoreBin(
                float(inside.min()),
                float(inside.max()),
                float(inside.mean()),
                aggregate(
                    truth[members].tolist(), sources[members].tolist(), confidence=confidence
                ),
                len(inside),
            )
        )
    return found


def calibration_error(bins: Sequence[ScoreBin]) -> float:
    """Σ_b (n_b / N) |share right − mean score| (Naeini et al. 2015, ECE; bins as given).

    Means something for scores that claim to be probabilities, in [0, 1].

    Raises:
        ValueError: no bin.
    """
    total = sum(one.samples for one in bins)
    if not total:
        raise ValueError("no bin")
    return math.fsum(one.samples * abs(one.right.mean - one.mean) for one in bins) / total


def auc(scores: Sequence[float] | Floats, truth: Sequence[bool]) -> float:
    """The chance that a right one scores above a wrong one, ties half (Mann-Whitney).

    NaN where only one of the two is there.

    Raises:
        ValueError: lengths differ.
    """
    right = np.asarray(truth, dtype=bool)
    if len(scores) != len(right):
        raise ValueError(f"{len(scores)} scores for {len(right)} verdicts")
    n, wrong = int(right.sum()), int((~right).sum())
    if not n or not wrong:
        return math.nan
    _, inverse, counts = np.unique(
        np.asarray(scores, dtype=np.float64), return_inverse=True, return_counts=True
    )
    mean_rank = counts.cumsum() - (counts - 1) / 2
    return (float(mean_rank[inverse][right].sum()) - n * (n + 1) / 2) / (n * wrong)
