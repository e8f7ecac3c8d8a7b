"""Compute-optimal choice by difficulty (Snell et al. 2024, "Scaling LLM Test-Time Compute
Optimally", section 3), from stored runs alone.

Problems fall into bins of difficulty. For each bin and each budget, the strategy and size that do
best on one fold of the problems are scored on the other fold, and the reverse. The best single
strategy, chosen over all bins in the same way, is what the gain is measured against. Both choose
from those whose mean over all problems is within the budget, so that the bins alone differ.

What would make the gain too good is kept apart. Folds are disjoint in sources. Where the difficulty
is pass@1, it is estimated from the samples of even index while those of odd index are scored, and
the reverse, unless these are of a run with another seed. What estimating the difficulty costs is
not charged, as in the paper.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reasonbench.errors import UsageError
from reasonbench.frontier import (
    ALPHA,
    PERMUTATIONS,
    Board,
    matrices,
)
from reasonbench.metrics import Interval, PairedResult, aggregate, holm, paired
from reasonbench.metrics.ballot import Floats
from reasonbench.points import Column, Difficulty, DifficultyKind, Point, no_difficulty

BINS = 5
FOLDS = (0, 1)
FEW = 20
"""Fewer problems than this to choose on are said to be few."""

Members = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Split:
    """Samples that difficulties are estimated from, and those that are scored.

    Attributes:
        bins: [P] the number of each problem's bin, 0 the hardest.
        scores, tokens: [N, P] of the candidates.
    """

    bins: Members
    scores: Floats
    tokens: Floats


class Choice(NamedTuple):
    """What was chosen on the other fold for the problems of one bin and fold."""

    split: int
    fold: int
    bin: int | None
    """None: for all bins."""
    candidate: int
    problems: int
    """To which it was applied."""


class BinResult(NamedTuple):
    """One bin at one budget."""

    bin: int
    problems: int
    accuracy: Interval | None
    """Of what was chosen for it; None where it holds no problem."""
    single: Interval | None
    choices: tuple[Choice, ...]


class AtBudget(NamedTuple):
    """The compute-optimal choice at one budget, beside the best single strategy."""

    budget: float
    """Policy-equivalent tokens: the most that a candidate may take, in the mean over the problems
    of all bins, on the fold that the choice is made on."""
    accuracy: Interval
    tokens: float
    """Mean per problem, as spent: it can exceed the budget where a bin's choice costs more there
    than elsewhere."""
    bins: tuple[BinResult, ...]
    single: Interval
    single_tokens: float
    single_choices: tuple[Choice, ...]
    gain: PairedResult
    adjusted: float
    """The gain's p value, corrected for the number of budgets."""

    @property
    def significant(self) -> bool:
        """Whether the corrected test and the uncorrected interval both exclude no gain."""
        return self.gain.significant(self.adjusted, ALPHA)


@dataclass(frozen=True, eq=False)
class Optimal:
    """A board's compute-optimal curve.

    Attributes:
        difficulty: how problems were told apart, and by which samples.
        candidates: what could be chosen.
        curve: by budget.
        notes: what a reader must know.
    """

    difficulty: str
    candidates: tuple[Point, ...]
    curve: tuple[AtBudget, ...]
    notes: tuple[str, ...]


def optimal(board: Board, kind: DifficultyKind, budgets: Sequence[float] | None = None) -> Optimal:
    """The compute-optimal curve of a board whose runs were read with that difficulty.

    Args:
        budgets: by default doublings of what the cheapest candidate takes, as long as a
            choice changes.

    Raises:
        UsageError: no run has samples to estimate difficulty from, nothing is left to choose
            from, all problems have one source, or a budget affords nothing.
    """
    if not board.difficulties:
        raise no_difficulty(board.benchmark, kind)
    difficulty = max(board.difficulties, key=lambda d: d.samples)
    parts = range(len(difficulty.parts))
    notes: list[str] = []
    left: list[str] = []
    points: list[Point] = []
    columns: list[list[Column]] = []
    for point in board.points:
        apart = [_apart(point, difficulty, part) for part in parts]
        if point.ceiling:
            continue
        if any(column is None for column in apart):
            left.append(point.label)
            continue
        points.append(point)
        columns.append([column for column in apart if column is not None])
    if not points:
        raise UsageError(
            f"{board.benchmark}: nothing is left to choose from: {kind} is estimated from one half "
            "of the samples, and no strategy has a size that fits into the other."
        )
    if left:
        notes.append(
            f"not among the choices: {', '.join(left)}: the difficulty takes half of the samples, "
            "and the other half does not make them."
        )
    if any(p.searched and p.seed == difficulty.seed for p in points) and len(parts) > 1:
        notes.append(
            "a search with the seed of the draws begins with their tokens, so difficulty and score "
            "are not quite apart: give one of the two runs another seed."
        )
    problems, clusters = _known(board, columns)
    if len(problems) < len(board.problems):
        notes.append(
            f"{len(board.problems) - len(problems)} problems without a graded sample in either "
            "half are left out."
        )
    splits = []
    for part in parts:
        scores, tokens = matrices([each[part] for each in columns], problems)
        ease = difficulty.parts[part]
        bins = bins_of(np.array([ease.get(key, math.nan) for key in problems]))
        splits.append(Split(bins, scores, tokens))
    folds = folds_of(clusters)
    if len(set(folds.tolist())) < len(FOLDS):
        raise UsageError(f"{board.benchmark}: too few sources of problems for two folds.")
    fewest = min(len(members) for s in splits for f in FOLDS for members in _groups(s, folds, f))
    if fewest < FEW:
        notes.append(
            f"some bin has {fewest} problems to choose on: with so few, choices are mostly chance."
        )
    return Optimal(
        difficulty=f"{kind} of {difficulty.source}",
        candidates=tuple(points),
        curve=tuple(curve(splits, folds, clusters, budgets)),
        notes=tuple(notes),
    )


def curve(
    splits: Sequence[Split],
    folds: Members,
    clusters: Sequence[str],
    budgets: Sequence[float] | None = None,
) -> list[AtBudget]:
    """The choice at each budget, its score averaged over the splits.

    Args:
        folds: [P] 0 or 1.
        clusters: the source of each problem.

    Raises:
        UsageError: a budget affords nothing.
    """
    least = max(_least(split, folds) for split in splits)
    by_default = budgets is None
    if budgets is None:
        most = max(float(split.tokens.mean(axis=1).max()) for split in splits)
        doublings = max(0, math.ceil(math.log2(most / least))) if least > 0 else 0
        budgets = [math.ceil(least) * 2.0**i for i in range(doublings + 1)]
    for budget in budgets:
        if budget < least:
            raise UsageError(
                f"a budget of {budget:g} tokens affords nothing: the cheapest strategy takes "
                f"{math.ceil(least)} tokens per problem."
            )
    found: list[AtBudget] = []
    for budget in budgets:
        at = _at(budget, splits, folds, clusters)
        if not (by_default and found and _same_choices(found[-1], at)):
            found.append(at)
    adjusted = holm([at.gain.p_value for at in found])
    return [at._replace(adjusted=p) for at, p in zip(found, adjusted, strict=True)]


def folds_of(clusters: Sequence[str]) -> Members:
    """[P] the fold of each problem: by hash of its source, so the same in every run."""
    return np.array([hashlib.sha256(c.encode()).digest()[0] % len(FOLDS) for c in clusters])


def bins_of(ease: Floats, count: int = BINS) -> Members:
    """[P] bins by quantiles of ease, 0 the hardest.

    Equal problems share a bin, so that there may be fewer bins, of unequal size. Nothing is known
    of NaN: it is taken for the hardest.
    """
    known = np.where(np.isnan(ease), -np.inf, ease)
    ordered = np.sort(known)
    edges = [ordered[math.ceil(len(known) * i / count) - 1] for i in range(1, count)]
    placed = np.searchsorted(np.unique(edges), known, side="left")
    bins: Members = np.unique(placed, return_inverse=True)[1]
    return bins


def _apart(point: Point, difficulty: Difficulty, part: int) -> Column | None:
    """What a point reaches with samples that this part of the difficulty is not estimated from.

    All its samples where no gold is used (then nothing of the score is in the difficulty), where it
    is a search, or of another seed; None where its samples make no such half.
    """
    if len(difficulty.parts) == 1 or point.searched or point.seed != difficulty.seed:
        return point.column
    return point.halves[1 - part] if point.halves else None


def _known(board: Board, columns: Sequence[Sequence[Column]]) -> tuple[list[str], list[str]]:
    """The problems that every column has a score for, and their sources."""
    every = [column for each in columns for column in each]
    known = [
        (key, cluster)
        for key, cluster in zip(board.problems, board.clusters, strict=True)
        if all(math.isfinite(c[key].score) and math.isfinite(c[key].tokens) for c in every)
    ]
    return [key for key, _ in known], [cluster for _, cluster in known]


def _same_choices(one: AtBudget, other: AtBudget) -> bool:
    return one.single_choices == other.single_choices and all(
        a.choices == b.choices for a, b in zip(one.bins, other.bins, strict=True)
    )


def _least(split: Split, folds: Members) -> float:
    """The least budget that affords a candidate on either fold."""
    return max(float(split.tokens[:, folds == fold].mean(axis=1).min()) for fold in FOLDS)


def _groups(split: Split, folds: Members, fold: int) -> list[Members]:
    """The problems of a fold, bin by bin."""
    return [
        np.flatnonzero((folds == fold) & (split.bins == b)) for b in range(split.bins.max() + 1)
    ]


def _best(split: Split, members: Members, affordable: Members) -> int | None:
    """Who of the affordable does best on these problems; the cheapest of equals.

    None where there are no problems to choose on.
    """
    if not len(members):
        return None
    tokens = split.tokens[:, members].mean(axis=1)
    scores = split.scores[:, members].mean(axis=1).round(12)
    return int(min(affordable, key=lambda i: (-scores[i], tokens[i], i)))


def _at(
    budget: float, splits: Sequence[Split], folds: Members, clusters: Sequence[str]
) -> AtBudget:
    shape = (len(splits), len(folds))
    scores, tokens, single, single_tokens = (np.zeros(shape) for _ in range(4))
    choices: list[Choice] = []
    for s, split in enumerate(splits):
        for fold in FOLDS:
            chosen_on = np.flatnonzero(folds != fold)
            affordable = np.flatnonzero(split.tokens[:, chosen_on].mean(axis=1) <= budget)
            overall = _best(split, chosen_on, affordable)
            assert overall is not None
            here = np.flatnonzero(folds == fold)
            single[s, here] = split.scores[overall, here]
            single_tokens[s, here] = split.tokens[overall, here]
            choices.append(Choice(s, fold, None, overall, len(here)))
            train = _groups(split, folds, 1 - fold)
            for b, members in enumerate(_groups(split, folds, fold)):
                best = _best(split, train[b], affordable)
                best = overall if best is None else best
                scores[s, members] = split.scores[best, members]
                tokens[s, members] = split.tokens[best, members]
                if len(members):
                    choices.append(Choice(s, fold, b, best, len(members)))
    ours, theirs = scores.mean(axis=0).tolist(), single.mean(axis=0).tolist()
    gain = paired(ours, theirs, clusters, permutations=PERMUTATIONS)
    bins = np.array([split.bins for split in splits])
    return AtBudget(
        budget=budget,
        accuracy=aggregate(ours, clusters),
        tokens=float(tokens.mean()),
        bins=tuple(
            _bin(b, bins == b, scores, single, clusters, choices)
            for b in range(int(bins.max()) + 1)
        ),
        single=aggregate(theirs, clusters),
        single_tokens=float(single_tokens.mean()),
        single_choices=tuple(c for c in choices if c.bin is None),
        gain=gain,
        adjusted=gain.p_value,
    )


def _bin(
    number: int,
    member: npt.NDArray[np.bool_],
    scores: Floats,
    single: Floats,
    clusters: Sequence[str],
    choices: Sequence[Choice],
) -> BinResult:
    """A bin's problems, each with the mean over the splits that put it there."""
    times = member.sum(axis=0)
    here = np.flatnonzero(times)
    sources = [clusters[i] for i in here]

    def mean(values: Floats) -> Interval | None:
        each = (values * member).sum(axis=0)[here] / times[here]
        return aggregate(each.tolist(), sources) if len(here) else None

    mine = tuple(c for c in choices if c.bin == number)
    return BinResult(number, len(here), mean(scores), mean(single), mine)
