"""Charts of the samples themselves: token caps, lengths, solve rates, calibration."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from reasonbench.metrics import Interval, aggregate, pass_at_k, powers_of_two
from reasonbench.metrics.calibration import auc, calibration_error, score_bins
from reasonbench.reports.chart_data import (
    Accuracy,
    Calibration,
    CalibrationBin,
    CapCurve,
    CapPoint,
    Curve,
    CurvePoint,
    LengthBin,
    Lengths,
    LengthSummary,
    SolveRate,
    SolveRates,
)
from reasonbench.reports.columns import Flags, Numbers, Scored
from reasonbench.reports.stored import PoolFacts

CAPS = 24
"""Points of a curve over token caps."""

LENGTH_BINS = 24

_PER_PROBLEM = npt.NDArray[np.int64]


def cap_curve(run: str, model: str, facts: PoolFacts) -> CapCurve | None:
    """pass@1, had generation been cut at L tokens: None where no length or no verdict is known.

    A completion that ended by itself within L tokens keeps its verdict; every longer one would
    have been truncated, which counts as wrong, whatever its verdict. What has no completion (a
    failed request) stays ungraded.
    """
    drawn = facts.drawn
    has = drawn.stopped | drawn.cut
    if not (drawn.tokens[has] > 0).any() or not drawn.graded.any():
        return None
    points = []
    for cap in caps(drawn.tokens[has]):
        longer = has & (drawn.tokens > cap)
        graded = _per_problem(facts, drawn.graded | longer)
        right = _per_problem(facts, drawn.right & ~longer)
        found = _mean(facts, graded, right, 1)
        if found is not None:
            points.append(CapPoint(cap, _accuracy(found), float(longer[has].mean())))
    return CapCurve(
        run, model, facts.benchmark, facts.pool, facts.strategies, int(has.sum()), tuple(points)
    )


def caps(tokens: Numbers) -> list[int]:
    """Caps from the shortest completion to the longest, in equal ratios."""
    low, high = max(1, int(tokens.min())), max(1, int(tokens.max()))
    return _ladder(low, high, CAPS)


def lengths(run: str, model: str, facts: PoolFacts) -> Lengths | None:
    """How long completions are, by how they ended; None where no length is known."""
    drawn = facts.drawn
    kinds = {
        "right": drawn.stopped & drawn.right,
        "wrong": drawn.stopped & drawn.graded & ~drawn.right,
        "truncated": drawn.cut,
        "ungraded": drawn.stopped & ~drawn.graded,
    }
    every = drawn.tokens[drawn.stopped | drawn.cut]
    if not (every > 0).any():
        return None
    edges = [*_ladder(int(every.min()), int(every.max()), LENGTH_BINS), int(every.max()) + 1]
    counts = {
        name: np.histogram(drawn.tokens[mask], np.array(edges))[0] for name, mask in kinds.items()
    }
    right, wrong, truncated = (
        _summary(drawn.tokens[kinds[name]]) for name in ("right", "wrong", "truncated")
    )
    return Lengths(
        run,
        model,
        facts.benchmark,
        facts.pool,
        facts.strategies,
        tuple(
            LengthBin(edges[i], edges[i + 1], *(int(counts[name][i]) for name in kinds))
            for i in range(len(edges) - 1)
        ),
        right,
        wrong,
        truncated,
        facts.ends_known,
    )


def solve_rates(run: str, model: str, facts: PoolFacts) -> SolveRates:
    """How often each problem is solved, in the order of the problems."""
    drawn = facts.drawn
    columns = (
        _per_problem(facts, drawn.right).tolist(),
        _per_problem(facts, drawn.graded).tolist(),
        _per_problem(facts, np.ones_like(drawn.right)).tolist(),
        _per_problem(facts, drawn.cut).tolist() if facts.ends_known else [None] * len(facts.ids),
    )
    rows = zip(facts.ids, facts.levels, facts.subjects, *columns, strict=True)
    return SolveRates(
        run,
        model,
        facts.benchmark,
        facts.pool,
        facts.strategies,
        tuple(SolveRate(*row) for row in rows),
    )


def ceiling(run: str, model: str, facts: PoolFacts) -> Curve | None:
    """pass@k of a pool at every power of two: what choosing by the gold answer would reach.

    A problem with fewer than k graded samples is scored at those. None where nothing is graded.
    """
    drawn = facts.drawn
    graded = _per_problem(facts, drawn.graded)
    right = _per_problem(facts, drawn.right)
    most = int(_per_problem(facts, np.ones_like(drawn.right)).max(initial=0))
    points = []
    for k in powers_of_two(most) if most else ():
        found = _mean(facts, graded, right, k)
        if found is not None:
            points.append(CurvePoint(k, _accuracy(found), 0.0, None))
    if not points:
        return None
    return Curve(run, model, facts.benchmark, "pass", "pass@k", "ceiling", tuple(points))


def calibration(run: str, model: str, facts: PoolFacts, scored: Scored) -> Calibration:
    """What a score says about being right, on all graded samples of a pool."""
    some = len(scored.scores) > 0
    sources = np.asarray(facts.sources)[scored.problem] if some else np.array([], dtype=str)
    right = scored.right.tolist()
    found = score_bins(scored.scores, right, sources.tolist()) if some else []
    known = auc(scored.scores, right)
    probable = some and scored.scores.min() >= 0 and scored.scores.max() <= 1
    return Calibration(
        run=run,
        model=model,
        benchmark=facts.benchmark,
        scorer=scored.scorer,
        strategy=scored.strategy,
        bins=tuple(
            CalibrationBin(b.low, b.high, b.mean, _accuracy(b.right), b.samples) for b in found
        ),
        ece=calibration_error(found) if probable else None,
        auc=None if math.isnan(known) else known,
        scored=len(scored.scores),
        unscored=scored.unscored,
    )


def _mean(facts: PoolFacts, graded: _PER_PROBLEM, right: _PER_PROBLEM, k: int) -> Interval | None:
    """pass@k over the problems that have a graded sample."""
    some = np.flatnonzero(graded)
    if not len(some):
        return None
    pairs = zip(graded[some].tolist(), right[some].tolist(), strict=True)
    values = [pass_at_k(n, c, min(k, n)) for n, c in pairs]
    return aggregate(values, [facts.sources[i] for i in some])


def _per_problem(facts: PoolFacts, mask: Flags) -> _PER_PROBLEM:
    """[P] how many samples of each problem are in the mask [N]."""
    counts: _PER_PROBLEM = np.bincount(facts.drawn.problem[mask], minlength=len(facts.keys))
    return counts


def _ladder(low: int, high: int, steps: int) -> list[int]:
    """Whole numbers from low to high, both in it, in about equal ratios."""
    if low >= high:
        return [high]
    spaced = np.geomspace(max(1, low), high, steps).round().astype(int)
    return sorted({low, high, *spaced.tolist()})


def _summary(tokens: Numbers) -> LengthSummary | None:
    if not len(tokens):
        return None
    p10, p50, p90 = np.quantile(tokens, (0.1, 0.5, 0.9))
    return LengthSummary(len(tokens), float(tokens.mean()), float(p10), float(p50), float(p90))


def _accuracy(interval: Interval) -> Accuracy:
    return Accuracy(interval.mean, interval.low, interval.high, interval.kind)
