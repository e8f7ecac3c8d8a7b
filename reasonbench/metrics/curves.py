"""Metrics over a set of problems: values, intervals, bounds, by level and subject."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reasonbench.errors import UsageError, unknown
from reasonbench.metrics.ballot import Floats, ballot
from reasonbench.metrics.best import best_at_k
from reasonbench.metrics.intervals import aggregate
from reasonbench.metrics.passk import g_pass_at_k, pass_at_k, pass_hat_k, powers_of_two
from reasonbench.metrics.types import NO_ANSWER, Bounds, Estimate, MetricResult, ProblemPool
from reasonbench.metrics.votes import MONTE_CARLO_STDERR, expected_votes

METRICS = ("pass@k", "maj@k", "bon@k", "wbon@k", "borda@k", "pass^k", "g-pass@k")
"""Names of the metrics; pass@1 is `pass@k` at k = 1."""


@dataclass(frozen=True, eq=False)
class ProblemScores:
    """One metric of every problem at every k."""

    name: str
    ks: tuple[int, ...]
    values: Floats
    """[P, K] in [0, 1]; NaN for a problem without a graded sample."""
    stderr: Floats
    """[P, K] Monte-Carlo standard errors, 0 where exact."""
    low: Floats
    """[P, K] with every ungraded sample wrong."""
    high: Floats
    """[P, K] with every ungraded sample right."""
    capped: npt.NDArray[np.bool_]
    """[P, K] whether the problem had fewer than k graded samples, and was scored at those."""


def metric(
    pools: Sequence[ProblemPool],
    name: str,
    k: int,
    tau: float = 0.5,
    seed: int = 0,
    *,
    confidence: float = 0.95,
) -> MetricResult:
    """One metric at one k over a set of problems.

    Ungraded samples are dropped, and n of their problem falls. A problem with fewer than k
    graded samples is scored at the k it has and counted in `capped`; one with none leaves the
    mean and is counted in `dropped`. `low` and `high` are the value with every ungraded sample
    wrong or right, over all problems.

    Args:
        pools: the samples of each problem.
        name: one of `METRICS`.
        k: samples per problem.
        tau: the threshold of `g-pass@k`, in [0, 1].
        seed: of the random subsets, where a vote is not counted exactly.

    Raises:
        UsageError: unknown name, no problem, k below 1 or above every problem's samples, or a
            metric that needs scores or weights which a problem lacks.
    """
    scores = problem_scores(pools, name, [k], tau=tau, seed=seed)
    return _summary(pools, scores, 0, confidence)


def curve(
    pools: Sequence[ProblemPool],
    name: str,
    ks: Sequence[int] | None = None,
    *,
    tau: float = 0.5,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[MetricResult]:
    """`metric` at several k, by default the powers of two up to the samples there are."""
    return evaluate(pools, [name], ks, by=(), tau=tau, seed=seed, confidence=confidence)


def evaluate(
    pools: Sequence[ProblemPool],
    names: Sequence[str],
    ks: Sequence[int] | None = None,
    *,
    by: Sequence[str] = ("level", "subject"),
    tau: float = 0.5,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[MetricResult]:
    """Several metrics at several k, over all problems and over each level and subject.

    Every problem is estimated once. The Monte-Carlo error of the whole set stays below 0.1
    point; that of a level is larger, and is stated with it.

    Args:
        by: of "level" and "subject"; problems without one are in no group.

    Returns:
        For every name and k: the row over all problems, then one per level, one per subject.
    """
    if ks is None:
        ks = powers_of_two(max([1, *(len(pool.correct) for pool in pools)]))
    rows: list[MetricResult] = []
    for name in names:
        scores = problem_scores(pools, name, ks, tau=tau, seed=seed)
        for column in range(len(scores.ks)):
            rows.append(_summary(pools, scores, column, confidence))
            for field, group, members in _groups(pools, by):
                subset = [pools[i] for i in members]
                part = _summary(subset, _rows(scores, members), column, confidence)
                if field == "level":
                    rows.append(replace(part, level=group))
                else:
                    rows.append(replace(part, subject=group))
    return rows


def problem_scores(
    pools: Sequence[ProblemPool],
    name: str,
    ks: Sequence[int],
    *,
    tau: float = 0.5,
    seed: int = 0,
) -> ProblemScores:
    """One metric of every problem at every k: what `aggregate` and `paired` take a column of.

    Arguments and errors are those of `metric`.
    """
    _check(pools, name, ks, tau)
    shape = (len(pools), len(ks))
    values, stderr = np.full(shape, math.nan), np.zeros(shape)
    low, high = np.full(shape, math.nan), np.full(shape, math.nan)
    graded = np.array([pool.graded for pool in pools])
    capped = graded[:, None] < np.array(ks)
    some = np.flatnonzero(graded)
    _fill(values, stderr, pools, some, [p.correct for p in pools], name, ks, tau, seed)
    low[some], high[some] = values[some], values[some]
    # Only where a sample is ungraded do the bounds differ from the value.
    open_ = np.array([i for i, p in enumerate(pools) if p.graded < len(p.correct)], dtype=np.intp)
    if len(open_):
        for bound, verdict in ((low, False), (high, True)):
            assumed = [_assumed(pool, verdict) for pool in pools]
            verdicts = [pool.correct for pool in assumed]
            _fill(bound, np.zeros(shape), assumed, open_, verdicts, name, ks, tau, seed)
    return ProblemScores(name, tuple(ks), values, stderr, low, high, capped)


def _assumed(pool: ProblemPool, verdict: bool) -> ProblemPool:
    """The pool with every ungraded sample right, or every one wrong.

    One of which no answer is known (its request failed) votes with the largest class of its kind,
    with the largest weight: whatever it would have said, it could not have moved the vote further.
    """
    correct = tuple(verdict if v is None else v for v in pool.correct)
    if pool.graded == len(correct):
        return pool
    voted = list(zip(pool.classes, pool.correct, strict=True))
    sizes = Counter(label for label, v in voted if v is verdict and label != NO_ANSWER)
    silent = [v is None and label == NO_ANSWER for label, v in voted]
    joined = sizes.most_common(1)[0][0] if sizes else max(pool.classes, default=NO_ANSWER) + 1
    classes = tuple(joined if s else c for s, c in zip(silent, pool.classes, strict=True))
    weights = pool.weights
    if weights is not None:
        most = max((w for w in weights if w is not None and not math.isnan(w)), default=1.0)
        weights = tuple(most if s else w for s, w in zip(silent, weights, strict=True))
    return replace(pool, correct=correct, classes=classes, weights=weights)


def bounds(pools: Sequence[ProblemPool]) -> Bounds:
    """pass@1 with every ungraded sample wrong, and with every one right, over all problems."""
    scores = problem_scores(pools, "pass@k", [1])
    return Bounds(_known_mean(scores.low, 0.0), _known_mean(scores.high, 1.0))


def sampling_stderr(pools: Sequence[ProblemPool]) -> float:
    """The standard deviation of pass@1 over repeated runs on these problems.

    √(Σ_i p_i(1−p_i)/(n_i−1)) / P, from a single run: what `run_spread` would find. Problems with
    fewer than two graded samples say nothing of it and are left out; NaN where all are.
    """
    total, problems = 0.0, 0
    for pool in pools:
        n, c = pool.graded, sum(verdict is True for verdict in pool.correct)
        if n > 1:
            total += c / n * (1 - c / n) / (n - 1)
            problems += 1
    return math.sqrt(total) / problems if problems else math.nan


def _fill(
    values: Floats,
    stderr: Floats,
    pools: Sequence[ProblemPool],
    members: npt.NDArray[np.intp],
    verdicts: Sequence[tuple[bool | None, ...]],
    name: str,
    ks: Sequence[int],
    tau: float,
    seed: int,
) -> None:
    """Write the estimates of `members` into their rows of `values` and `stderr`."""
    sizes = [[min(k, sum(v is not None for v in verdicts[i])) for k in ks] for i in members]
    if name in ("maj@k", "wbon@k", "borda@k"):
        ballots = [
            ballot(
                pools[i].classes,
                verdicts[i],
                pools[i].weights if name == "wbon@k" else None,
                scores=pools[i].scores if name == "borda@k" else None,
                power=pools[i].power,
                name=pools[i].problem_id,
            )
            for i in members
        ]
        # The target is for the mean over all problems, of which these may be a few.
        target = MONTE_CARLO_STDERR * len(pools) / max(1, len(ballots))
        estimates = expected_votes(ballots, sizes, seed=seed, target=target)
    else:
        estimates = [
            [_closed_form(pools[i], verdicts[i], name, k, tau) for k in own]
            for i, own in zip(members, sizes, strict=True)
        ]
    for i, row in zip(members, estimates, strict=True):
        values[i] = [estimate.value for estimate in row]
        stderr[i] = [estimate.stderr for estimate in row]


def _closed_form(
    pool: ProblemPool, verdicts: tuple[bool | None, ...], name: str, k: int, tau: float
) -> Estimate:
    if name == "bon@k":
        assert pool.scores is not None
        return best_at_k(pool.scores, verdicts, k)
    n = sum(verdict is not None for verdict in verdicts)
    c = sum(verdict is True for verdict in verdicts)
    if name == "g-pass@k":
        return Estimate(g_pass_at_k(n, c, k, tau), 0.0)
    return Estimate(pass_hat_k(n, c, k) if name == "pass^k" else pass_at_k(n, c, k), 0.0)


def _summary(
    pools: Sequence[ProblemPool], scores: ProblemScores, column: int, confidence: float
) -> MetricResult:
    values = scores.values[:, column]
    kept = np.flatnonzero(~np.isnan(values))
    # Bounds are over all problems that have a sample, those without a graded one included.
    low, high = _known_mean(scores.low[:, column], 0.0), _known_mean(scores.high[:, column], 1.0)
    if len(kept):
        interval = aggregate(
            values[kept].tolist(), [pools[i].cluster for i in kept], confidence=confidence
        )
        value, ends, kind = interval.mean, (interval.low, interval.high), interval.kind
        error = float(np.sqrt((scores.stderr[kept, column] ** 2).sum())) / len(kept)
        # Dropping voters can move a vote past both bounds, and so can Monte-Carlo error.
        low, high = min(low, value), max(high, value)
    else:
        value, ends, kind, error = math.nan, (0.0, 1.0), "no-problem", 0.0
    return MetricResult(
        name=scores.name,
        k=scores.ks[column],
        value=value,
        interval=ends,
        interval_kind=kind,
        problems=len(kept),
        mc_stderr=error,
        low=low,
        high=high,
        dropped=len(pools) - len(kept),
        capped=int(scores.capped[kept, column].sum()),
        confidence=confidence,
    )


def _known_mean(values: Floats, unknown_value: float) -> float:
    """The mean of those that are not NaN, or `unknown_value` where all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else unknown_value


def _rows(scores: ProblemScores, members: Sequence[int]) -> ProblemScores:
    return replace(
        scores,
        values=scores.values[members],
        stderr=scores.stderr[members],
        low=scores.low[members],
        high=scores.high[members],
        capped=scores.capped[members],
    )


def _groups(
    pools: Sequence[ProblemPool], by: Sequence[str]
) -> Iterator[tuple[str, str, list[int]]]:
    for field in by:
        if field not in ("level", "subject"):
            raise unknown("grouping", field, ("level", "subject"))
        found: dict[str, list[int]] = {}
        for i, pool in enumerate(pools):
            group = pool.level if field == "level" else pool.subject
            if group is not None:
                found.setdefault(group, []).append(i)
        for group in sorted(found):
            yield field, group, found[group]


def _check(pools: Sequence[ProblemPool], name: str, ks: Sequence[int], tau: float) -> None:
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    if not pools:
        raise UsageError(f"{name} needs at least one problem, and there is none.")
    if not 0 <= tau <= 1:
        raise UsageError(f"tau = {tau} is outside [0, 1].")
    most = max(len(pool.correct) for pool in pools)
    for k in ks:
        if not 1 <= k <= most:
            raise UsageError(f"k = {k} is outside 1…{most}, the samples of each problem.")
    column = {"bon@k": "scores", "borda@k": "scores", "wbon@k": "weights"}.get(name)
    for pool in pools if column else ():
        if getattr(pool, column or "") is None:
            raise UsageError(f"{name} needs {column}, and problem {pool.problem_id} has none.")
