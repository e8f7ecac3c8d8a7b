"""Accuracy against compute: boards with their Pareto sets (reasonbench.frontier)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reasonbench.errors import UsageError
from reasonbench.frontier import Board, Comparison, Judged, boards, judge, pareto
from reasonbench.metrics import Interval
from reasonbench.points import RunPoints
from reasonbench.reports.chart_data import Accuracy, ComputeBoard, ComputePoint, Curve
from reasonbench.runs.tables import is_headline, model_label, strategy_label

TESTED_SAMPLES = 200_000
TESTED_VOTES = 1_000
"""So many stored samples, and votes (a problem for each strategy that votes among draws), may the
runs of a report have for every size of every strategy to be compared problem by problem: a vote at
every size takes up to 25 ms. Beyond, points are those of results.json, and nothing is tested."""

_VOTES = ("maj@k", "wbon@k", "borda@k")


def is_testable(results: Sequence[Mapping[str, Any]]) -> bool:
    """Whether runs are small enough for paired comparisons at every size.

    Args:
        results: what their results.json hold.
    """
    samples = sum(one["run"].get("graded") or 0 for one in results)
    return samples <= TESTED_SAMPLES and sum(map(_votes, results)) <= TESTED_VOTES


def _votes(results: Mapping[str, Any]) -> int:
    voting = {
        (row["benchmark"], strategy_label(row)): row["problems"]
        for row in results["rows"]
        if is_headline(row) and row["metric"] in _VOTES
    }
    return sum(voting.values())


def tested(runs: Sequence[RunPoints]) -> tuple[list[ComputeBoard], list[str]]:
    """Boards with paired comparisons, and what must be said of runs that are in none."""
    groups: dict[tuple[Any, ...], list[RunPoints]] = {}
    notes = []
    for run in runs:
        if any(_is_known(run)):
            weights = ("model", "revision", "lora", "quantization")
            key = (run.benchmark, *(run.model.get(name) for name in weights))
            groups.setdefault(key, []).append(run)
        else:
            notes.append(
                f"{run.run}, {run.benchmark}: no accuracy against compute, because no completion "
                "has both tokens and a verdict."
            )
    found = []
    for group in groups.values():
        try:
            judged = [(board, judge(board)) for board in boards(group)]
        except UsageError as error:  # nothing in common that is known: said, not hidden
            notes.append(str(error))
            continue
        found += [_board(board, points) for board, points in judged]
    return found, notes


def untested(
    run: str, model: Mapping[str, Any], curves: Sequence[Curve], problems: Mapping[str, int]
) -> Iterator[ComputeBoard]:
    """The board of each benchmark of a run, from its curves; differences are not tested.

    Args:
        problems: how many each benchmark has.
    """
    for benchmark in dict.fromkeys(curve.benchmark for curve in curves):
        points = [
            (curve, point, point.policy_tokens)
            for curve in curves
            if curve.benchmark == benchmark and curve.kind != "reliability"
            for point in curve.points
            if point.policy_tokens is not None
        ]
        if not points:
            continue
        ceilings = [curve.kind == "ceiling" and point.k > 1 for curve, point, _ in points]
        in_set = pareto(
            np.array([tokens for _, _, tokens in points]),
            np.array([point.accuracy.value for _, point, _ in points]),
            [not one for one in ceilings],
        )
        yield ComputeBoard(
            model=model_label(model),
            benchmark=benchmark,
            runs=(run,),
            problems=problems.get(benchmark, 0),
            points=tuple(
                ComputePoint(
                    run=run,
                    series=curve.series,
                    label=_at(curve.series, point.k),
                    size=point.k,
                    tokens=tokens,
                    accuracy=point.accuracy,
                    pareto=best,
                    ceiling=is_ceiling,
                    status=None,
                    against=None,
                    difference=None,
                    p_adjusted=None,
                    truncated=None,
                )
                for (curve, point, tokens), best, is_ceiling in zip(
                    points, in_set, ceilings, strict=True
                )
            ),
            tested=False,
            notes=(
                "The runs are large: points are as results.json has them, and no difference was "
                "tested; those beside the Pareto set may be ties with it.",
            ),
        )


def _board(board: Board, judged: Sequence[Judged]) -> ComputeBoard:
    return ComputeBoard(
        model=board.model,
        benchmark=board.benchmark,
        runs=board.runs,
        problems=len(board.problems),
        points=tuple(
            ComputePoint(
                run=point.run,
                series=point.series,
                label=point.label,
                size=point.size,
                tokens=found.tokens,
                accuracy=_accuracy(found.accuracy),
                pareto=found.pareto,
                ceiling=point.ceiling,
                status=found.status,
                against=None
                if found.comparison is None
                else board.points[found.comparison.against].label,
                difference=_difference(found.comparison),
                p_adjusted=None if found.comparison is None else found.comparison.adjusted,
                truncated=point.truncated,
            )
            for point, found in zip(board.points, judged, strict=True)
        ),
        tested=True,
        notes=board.notes,
    )


def _difference(comparison: Comparison | None) -> Accuracy | None:
    if comparison is None:
        return None
    found = comparison.paired
    return Accuracy(found.difference, found.interval.low, found.interval.high, found.interval.kind)


def _is_known(run: RunPoints) -> Iterator[bool]:
    for point in run.points:
        for reached in point.column.values():
            yield math.isfinite(reached.score) and math.isfinite(reached.tokens)


def _at(series: str, k: int) -> str:
    name, colon, options = series.partition(":")
    return series if name == "cot" else f"{name}@{k}{colon}{options}"


def _accuracy(interval: Interval) -> Accuracy:
    return Accuracy(interval.mean, interval.low, interval.high, interval.kind)
