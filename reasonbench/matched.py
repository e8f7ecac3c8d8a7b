"""Strategies against one of them at the same compute."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reasonbench.errors import UsageError, unknown
from reasonbench.frontier import ALPHA, PERMUTATIONS, Board
from reasonbench.metrics import PairedResult, holm, paired
from reasonbench.metrics.ballot import Floats


class Match(NamedTuple):
    """A point against the curve of another strategy, at the point's own mean tokens."""

    point: int
    """Its place in the board."""
    reached: float
    """What the curve's strategy reaches there, in [0, 1]."""
    paired: PairedResult
    """Of the point's score − the curve's, uncorrected."""
    adjusted: float
    """The p value, corrected for all points that are compared (Holm 1979)."""

    @property
    def significant(self) -> bool:
        """Whether the corrected test and the uncorrected interval both exclude no difference."""
        return self.paired.significant(self.adjusted, ALPHA)


class Against(NamedTuple):
    """Every point of a board that can be compared with one strategy's curve."""

    series: str
    """The strategy of the curve, with its options."""
    matches: tuple[Match, ...]
    outside: tuple[int, ...]
    """Points that cost less than the least of the curve, or more than the most."""


def against(board: Board, name: str) -> Against:
    """Compares all other strategies with one at equal mean tokens per problem.

    Between two sizes of the strategy each problem's score is interpolated linearly in the logarithm
    of the mean tokens.

    Args:
        name: a strategy with its options, or without them where only one goes by it.

    Raises:
        UsageError: the board has no such strategy, several, or one at a single size.
    """
    series = _series(board, name)
    cost = board.tokens.mean(axis=1)
    own = sorted(
        (i for i, p in enumerate(board.points) if p.series == series), key=cost.__getitem__
    )
    if len({float(cost[i]) for i in own}) < 2:
        raise UsageError(f"{series} has one size on {board.benchmark}: a curve takes two.")
    others = [i for i, p in enumerate(board.points) if p.series != series and not p.ceiling]
    inside = [i for i in others if cost[own[0]] <= cost[i] <= cost[own[-1]]]
    found = []
    for i in inside:
        there = _curve(board, own, cost, float(cost[i]))
        result = paired(
            board.scores[i].tolist(), there.tolist(), board.clusters, permutations=PERMUTATIONS
        )
        found.append((i, float(there.mean()), result))
    adjusted = holm([result.p_value for _, _, result in found])
    return Against(
        series,
        tuple(Match(*one, p) for one, p in zip(found, adjusted, strict=True)),
        tuple(i for i in others if i not in inside),
    )


def _series(board: Board, name: str) -> str:
    known = list(dict.fromkeys(p.series for p in board.points if not p.ceiling))
    if name in known:
        return name
    fitting = [series for series in known if series.partition(":")[0] == name]
    if not fitting:
        raise unknown("strategy", name, known)
    if len(fitting) > 1:
        raise UsageError(f"--against {name}: which one of {', '.join(fitting)}?")
    return fitting[0]


def _curve(board: Board, own: list[int], cost: Floats, tokens: float) -> Floats:
    """[P] what the strategy reaches on each problem at so many mean tokens."""
    below = max((i for i in own if cost[i] <= tokens), key=cost.__getitem__)
    above = min((i for i in own if cost[i] >= tokens), key=cost.__getitem__)
    if cost[below] == cost[above]:
        return np.asarray(board.scores[below])
    share = np.log(tokens / cost[below]) / np.log(cost[above] / cost[below])
    return np.asarray((1 - share) * board.scores[below] + share * board.scores[above])
