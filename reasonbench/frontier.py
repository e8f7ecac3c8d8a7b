"""Accuracy against compute: which strategy, at which size, is worth its tokens.

Points are compared on the same problems only. One that costs at least as much as another and
scores less is called worse where the paired difference says so, and a tie where it does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from reasonbench.errors import UsageError
from reasonbench.metrics import Interval, PairedResult, aggregate, holm, paired
from reasonbench.metrics.ballot import Floats
from reasonbench.points import Column, Difficulty, Point, RunPoints
from reasonbench.runs.tables import model_label

ALPHA = 0.05
"""Family-wise error rate of the comparisons of one board (Holm 1979)."""

PERMUTATIONS = 10_000

Status = Literal["frontier", "flat", "tie", "worse", "ceiling"]
"""What is known of a point.

In the Pareto set: `frontier`, or `flat` where its gain over the next cheaper point of the set may
be chance. Outside of it: `worse` than the best point that costs no more, or a `tie` with it, where
the difference may be chance. `ceiling` takes the gold answer to choose so, and is in no
comparison.
"""


class Comparison(NamedTuple):
    """A point against another one of its board, on the same problems."""

    against: int
    """The other point."""
    paired: PairedResult
    """Of the point's score − the other's, uncorrected."""
    adjusted: float
    """The p value, corrected for all comparisons of the board."""

    @property
    def significant(self) -> bool:
        """Whether the corrected test and the uncorrected interval both exclude no difference."""
        return self.paired.significant(self.adjusted, ALPHA)


class Judged(NamedTuple):
    """A point of the frontier."""

    accuracy: Interval
    tokens: float
    """Mean policy-equivalent tokens per problem."""
    pareto: bool
    status: Status
    comparison: Comparison | None


@dataclass(frozen=True, eq=False)
class Board:
    """Runs of one model on the same problems of one benchmark.

    Attributes:
        model: its label.
        runs: names of the runs, in the order given.
        problems: keys of the problems that every point has a score for.
        clusters: their sources.
        points: N of them.
        scores, tokens: [N, P].
        difficulties: those that the runs have, their problems not cut down to these.
        notes: what a reader must know.
    """

    model: str
    benchmark: str
    runs: tuple[str, ...]
    problems: tuple[str, ...]
    clusters: tuple[str, ...]
    points: tuple[Point, ...]
    scores: Floats
    tokens: Floats
    difficulties: tuple[Difficulty, ...]
    notes: tuple[str, ...]


def boards(runs: Sequence[RunPoints]) -> list[Board]:
    """Runs that can be compared, together: of the same model, on problems that they share.

    Raises:
        UsageError: a board has no point with an accuracy and a number of tokens.
    """
    groups: list[list[RunPoints]] = []
    for run in runs:
        for group in groups:
            if _alike(group[0]) == _alike(run) and _shared([*group, run]):
                group.append(run)
                break
        else:
            groups.append([run])
    return [_board(group) for group in groups]


def judge(board: Board) -> list[Judged]:
    """Every point of a board: its accuracy, whether it is in the Pareto set, and how sure that is.

    A point outside of the set is compared with the best that costs no more, one in the set with
    the next cheaper of the set. p values are corrected for all of these by Holm's method.
    """
    cost = board.tokens.mean(axis=1)
    intervals = [aggregate(row.tolist(), board.clusters) for row in board.scores]
    eligible = [not point.ceiling for point in board.points]
    rivals = _rivals(cost, np.array([i.mean for i in intervals]), eligible)
    in_set = pareto(cost, np.array([i.mean for i in intervals]), eligible)
    found = {
        i: paired(
            board.scores[i].tolist(),
            board.scores[rival].tolist(),
            board.clusters,
            permutations=max(PERMUTATIONS, math.ceil(4 * len(rivals) / ALPHA)),
        )
        for i, rival in rivals.items()
    }
    adjusted = dict(zip(found, holm([f.p_value for f in found.values()]), strict=True))
    judged = []
    for i, point in enumerate(board.points):
        compared = Comparison(rivals[i], found[i], adjusted[i]) if i in found else None
        sure = compared is None or compared.significant
        status: Status = "frontier" if sure else "flat"
        if not in_set[i]:
            status = "worse" if sure else "tie"
        if point.ceiling:
            status = "ceiling"
        judged.append(Judged(intervals[i], float(cost[i]), in_set[i], status, compared))
    return judged


def pareto(cost: Floats, value: Floats, eligible: Sequence[bool]) -> list[bool]:
    """Which points nobody dominates: by costing no more, scoring no less, and one of both better.

    Args:
        cost, value: [N].
        eligible: which points are in the comparison at all; the others are never in the set.
    """
    return [
        eligible[i]
        and not any(
            eligible[j]
            and cost[j] <= cost[i]
            and value[j] >= value[i]
            and (cost[j] < cost[i] or value[j] > value[i])
            for j in range(len(cost))
        )
        for i in range(len(cost))
    ]


def _rivals(cost: Floats, value: Floats, eligible: Sequence[bool]) -> dict[int, int]:
    """Whom a point is compared with: nobody for the cheapest of the set, and for ceilings."""
    in_set = pareto(cost, value, eligible)
    ordered = sorted((i for i in range(len(cost)) if in_set[i]), key=lambda i: cost[i])
    rivals = {}
    for i in range(len(cost)):
        if not eligible[i]:
            continue
        # points of the set that are equal in both have no better or cheaper one among them
        below = [j for j in ordered if (cost[j] <= cost[i] if not in_set[i] else cost[j] < cost[i])]
        if below:
            rivals[i] = below[-1]
    return rivals


def _alike(run: RunPoints) -> tuple[Any, ...]:
    weights = ("model", "revision", "lora", "quantization")
    return run.benchmark, *(run.model.get(name) for name in weights)


def _shared(group: Sequence[RunPoints]) -> list[str]:
    """The problems of all runs, in the order of the first."""
    return [key for key in group[0].clusters if all(key in run.clusters for run in group)]


def _board(group: Sequence[RunPoints]) -> Board:
    problems = _shared(group)
    notes = [note for run in group for note in run.notes]
    for run in group:
        if len(run.clusters) > len(problems):
            notes.append(
                f"{run.run} has {len(run.clusters)} problems: only the {len(problems)} that all "
                "these runs have are counted."
            )
    kept = []
    for point in (point for run in group for point in run.points):
        known = sum(_is_known(point.column, key) for key in problems)
        if known:
            kept.append(point)
        else:
            notes.append(f"{point.run}: {point.label} is left out: {_unknown(point, problems)}.")
    partial = [p for p in kept if not all(_is_known(p.column, key) for key in problems)]
    if partial:
        whole = len(problems)
        problems = [key for key in problems if all(_is_known(p.column, key) for p in partial)]
        names = ", ".join(dict.fromkeys(p.label for p in partial))
        notes.append(
            f"{whole - len(problems)} problems without a graded result of {names} are left out "
            "everywhere."
        )
    model, benchmark = model_label(group[0].model), group[0].benchmark
    if not kept or not problems:
        why = f": {' '.join(notes)}" if notes else "."
        raise UsageError(f"{benchmark}, {model}: nothing to compare by compute{why}")
    scores, tokens = matrices([p.column for p in kept], problems)
    unique = list(_without_copies(kept, scores, tokens))
    return Board(
        model=model,
        benchmark=benchmark,
        runs=tuple(run.run for run in group),
        problems=tuple(problems),
        clusters=tuple(group[0].clusters[key] for key in problems),
        points=tuple(kept[i] for i in unique),
        scores=scores[unique],
        tokens=tokens[unique],
        difficulties=tuple(run.difficulty for run in group if run.difficulty is not None),
        notes=tuple(dict.fromkeys(notes)),
    )


def matrices(columns: Sequence[Column], problems: Sequence[str]) -> tuple[Floats, Floats]:
    """[N, P] scores and [N, P] tokens of these problems."""
    reached = np.array([[column[key] for key in problems] for column in columns])
    return reached[..., 0], reached[..., 1]


def _is_known(column: Column, key: str) -> bool:
    return math.isfinite(column[key].score) and math.isfinite(column[key].tokens)


def _unknown(point: Point, problems: Sequence[str]) -> str:
    if any(math.isfinite(point.column[key].score) for key in problems):
        return "its completions were recorded without their tokens"
    return "it has no graded result"


def _without_copies(points: Sequence[Point], scores: Floats, tokens: Floats) -> Iterator[int]:
    """What is the same on every problem is shown once: runs may share their samples.

    Of one sample whoever chooses takes the same, whatever its name.
    """
    seen: set[Any] = set()
    for i, point in enumerate(points):
        name = point.label if point.searched or point.size > 1 else ""
        mark = (name, scores[i].round(9).tobytes(), tokens[i].round(6).tobytes())
        if mark not in seen:
            seen.add(mark)
            yield i
