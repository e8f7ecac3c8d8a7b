"""Two sides on the same problems: how much they differ, and how sure that is.

Differences are B − A throughout: what B gains over A. Every number is `reasonbench.metrics`'.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from reasonbench.metrics import Interval, PairedResult, aggregate, holm, paired
from reasonbench.metrics.ballot import Floats

ALPHA = 0.05
"""Family-wise error rate of what is compared at once (Holm 1979)."""

PERMUTATIONS = 10_000

ALIKE = 0.02
"""Tokens that differ by less than this share are equal compute."""

Verdict = Literal["B", "A", "tie"]
"""Which side is better; a tie is a difference that was not shown, not one that is not there."""


class Problems(NamedTuple):
    """The problems of a contrast, in one order."""

    ids: tuple[str, ...]
    clusters: tuple[str, ...]
    """The source of each; variants of one problem share it."""
    levels: tuple[str | None, ...]


class Counts(NamedTuple):
    """Samples, and how many of them were cut by a limit, ended without an answer, lack a verdict.

    Of a search its solutions. How many were cut is None where nobody knows how samples ended.
    """

    samples: int
    truncated: int | None
    no_answer: int
    ungraded: int

    def share(self, count: int | None) -> float | None:
        """Of the samples; None without any, and of what is unknown."""
        return count / self.samples if self.samples and count is not None else None

    @classmethod
    def total(cls, counts: Iterable[Counts]) -> Counts:
        """All together; what is unknown of one is unknown of all."""
        found = list(counts)
        cut = [one.truncated for one in found]
        return cls(
            sum(one.samples for one in found),
            None if None in cut else sum(filter(None, cut)),
            sum(one.no_answer for one in found),
            sum(one.ungraded for one in found),
        )


NO_COUNTS = Counts(0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Reach:
    """What one side reaches on the problems of a contrast.

    Attributes:
        label: the strategy at its size ("maj@16").
        scores: [P] in [0, 1].
        tokens: [P] policy-equivalent tokens, of both sides as tokens of A's policy; NaN where
            unknown.
        counts: of all its samples on these problems.
    """

    label: str
    scores: Floats
    tokens: Floats
    counts: Counts = NO_COUNTS


class Matched(NamedTuple):
    """Two columns of scores on the same problems."""

    a: Interval
    b: Interval
    paired: PairedResult
    """Of B − A, uncorrected."""
    adjusted: float
    """The p value, corrected for all that was compared at once."""
    problems: int
    equal: bool
    """The two score the same on every problem."""

    @property
    def verdict(self) -> Verdict:
        """Who is better, where the corrected test and the uncorrected interval both say so."""
        if not self.paired.significant(self.adjusted, ALPHA):
            return "tie"
        return "B" if self.paired.difference > 0 else "A"

    @property
    def could_show(self) -> float | None:
        """The true difference found in 80 % of such comparisons.

        None where too few problems differ to say it: a spread of a handful of flips is too small.
        """
        found = self.paired.minimum_detectable
        carried = self.paired.interval.kind == "cluster-t"
        return found if carried and math.isfinite(found) and found > 0 else None

    @property
    def not_excluded(self) -> float:
        """The largest true difference, either way, that the interval holds."""
        return max(abs(self.paired.interval.low), abs(self.paired.interval.high))


class Change(NamedTuple):
    """A problem that one side gets right and the other wrong."""

    id: str
    level: str | None
    a: float
    """Its score with A: a solve rate, or what a vote is worth."""
    b: float

    @property
    def gained(self) -> bool:
        """Wrong with A, right with B."""
        return self.b > self.a


class Equal(NamedTuple):
    """Both sides at the same tokens: the dearer one brought down to the cheaper one's."""

    tokens: float
    """Mean per problem, policy-equivalent."""
    moved: Literal["A", "B"] | None
    """The side that was brought down; None where both take the same."""
    mixed: tuple[str, str, float] | None
    """Two of its sizes and the share of the problems that gets the larger one."""
    matched: Matched


@dataclass(frozen=True, eq=False)
class Contrast:
    """One strategy of A against one of B on one benchmark.

    Attributes:
        metric: "solve rate" where scores are means over samples, else "score".
        a, b: on the compared problems.
        matched: over all of these.
        levels: by level, each a part of the problems; corrected among themselves.
        equal: at equal compute; None where `no_equal` says why not.
        problems: that were compared.
        unknown: ids of problems that both runs have, but one has no graded result for.
        ceiling: it takes the gold answer to choose so.
    """

    benchmark: str
    metric: str
    a: Reach
    b: Reach
    matched: Matched
    levels: Mapping[str, Matched]
    equal: Equal | None
    no_equal: str
    problems: Problems
    unknown: tuple[str, ...] = ()
    ceiling: bool = False

    def changes(self) -> list[Change]:
        """The problems on different sides of one half, the most changed first."""
        rows = zip(
            self.problems.ids,
            self.problems.levels,
            self.a.scores.tolist(),
            self.b.scores.tolist(),
            strict=True,
        )
        flipped = [Change(*row) for row in rows if (row[2] - 0.5) * (row[3] - 0.5) < -1e-12]
        return sorted(flipped, key=lambda c: (-abs(c.b - c.a), c.id))


def match(
    a: Floats, b: Floats, clusters: Sequence[str], *, permutations: int = PERMUTATIONS
) -> Matched:
    """Two columns of scores in [0, 1] against each other, not corrected yet.

    Raises:
        ValueError: as `metrics.paired`.
    """
    found = paired(b.tolist(), a.tolist(), clusters, permutations=permutations)
    return Matched(
        aggregate(a.tolist(), clusters),
        aggregate(b.tolist(), clusters),
        found,
        found.p_value,
        len(a),
        bool(np.abs(b - a).max() < 1e-12),
    )


def corrected(found: Sequence[Matched]) -> list[Matched]:
    """The same with p values corrected for their number (Holm)."""
    adjusted = holm([m.paired.p_value for m in found])
    return [m._replace(adjusted=p) for m, p in zip(found, adjusted, strict=True)]


def by_level(
    a: Floats, b: Floats, problems: Problems, *, permutations: int = PERMUTATIONS
) -> dict[str, Matched]:
    """`match` for each level, corrected among them; nothing where there are no two levels."""
    members: dict[str, list[int]] = {}
    for i, level in enumerate(problems.levels):
        if level is not None:
            members.setdefault(level, []).append(i)
    if len(members) < 2:
        return {}
    names = sorted(members, key=_as_number)
    found = [
        match(
            a[members[name]],
            b[members[name]],
            [problems.clusters[i] for i in members[name]],
            permutations=permutations,
        )
        for name in names
    ]
    return dict(zip(names, corrected(found), strict=True))


def at_equal(
    a: Sequence[Reach],
    b: Sequence[Reach],
    clusters: Sequence[str],
    *,
    permutations: int = PERMUTATIONS,
) -> Equal | str:
    """Both sides at the tokens of the cheaper one.

    The dearer side is brought down between the two of its sizes around those tokens: a share of
    the problems, chosen by lot, gets the larger size, such that it takes these tokens on average.
    That is a strategy somebody could run, and linear interpolation is its expected score.

    Args:
        a, b: each side's sizes; the last is the one compared.

    Returns:
        A clause that says why there is none where it cannot be.
    """
    costs = [[float(one.tokens.mean()) for one in side] for side in (a, b)]
    if not all(math.isfinite(cost) and cost > 0 for side in costs for cost in side[-1:]):
        return "tokens were not recorded"
    target = min(costs[0][-1], costs[1][-1])
    if math.isclose(costs[0][-1], costs[1][-1], rel_tol=ALIKE):
        found = match(a[-1].scores, b[-1].scores, clusters, permutations=permutations)
        return Equal(target, None, None, found)
    side: Literal["A", "B"] = "A" if costs[0][-1] > costs[1][-1] else "B"
    moved, prices = (a, costs[0]) if side == "A" else (b, costs[1])
    order = sorted(
        (i for i in range(len(moved)) if math.isfinite(prices[i])), key=prices.__getitem__
    )
    below = [i for i in order if prices[i] <= target]
    above = [i for i in order if prices[i] > target]
    if not below:
        cheapest = moved[order[0]]
        return (
            f"{side} takes {prices[order[0]]:,.0f} tokens with {cheapest.label} already, the other "
            f"side {target:,.0f}"
        )
    low, high = below[-1], above[0]
    share = (target - prices[low]) / (prices[high] - prices[low])
    scores = (1 - share) * moved[low].scores + share * moved[high].scores
    first, second = (scores, b[-1].scores) if side == "A" else (a[-1].scores, scores)
    found = match(first, second, clusters, permutations=permutations)
    return Equal(target, side, (moved[low].label, moved[high].label, share), found)


def sentence(found: Matched, *, at: str = "this comparison") -> str:
    """What a comparison says, in one sentence; points are percentage points."""
    said = found.paired
    if found.verdict != "tie":
        return (
            f"{found.verdict} is better by {100 * abs(said.difference):.1f} points at 95 % "
            f"(p {p_text(found.adjusted)})."
        )
    if found.equal:
        which = (
            f"every one of {found.problems} problems" if found.problems > 1 else "the only problem"
        )
        return (
            f"equal on {which}; a difference of up to "
            f"{100 * found.not_excluded:.1f} points is not excluded."
        )
    could = found.could_show
    if could is None:
        return (
            "no difference shown at 95 %; few problems differ, and up to "
            f"{100 * found.not_excluded:.1f} points are not excluded."
        )
    return f"no difference shown at 95 %; {at} could have shown {100 * could:.1f} points."


def p_text(p: float) -> str:
    """ "= 0.031", "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def _as_number(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return math.inf, text
