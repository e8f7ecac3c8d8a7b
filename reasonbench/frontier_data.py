"""Frontiers and compute-optimal choices as data, for `reasonbench frontier --json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reasonbench.frontier import ALPHA, Board, Judged
from reasonbench.matched import Against
from reasonbench.metrics import Interval, PairedResult
from reasonbench.optimal import Choice, Optimal


def board_data(board: Board, judged: Sequence[Judged]) -> dict[str, Any]:
    """A board as data; NaN does not occur."""
    return {
        "model": board.model,
        "benchmark": board.benchmark,
        "runs": list(board.runs),
        "problems": len(board.problems),
        "correction": "holm",
        "alpha": ALPHA,
        "points": [
            {
                "run": point.run,
                "strategy": point.series,
                "label": point.label,
                "size": point.size,
                "tokens": found.tokens,
                **_interval(found.accuracy),
                "truncated": point.truncated,
                "pareto": found.pareto,
                "status": found.status,
                "comparison": None
                if found.comparison is None
                else {
                    "run": board.points[found.comparison.against].run,
                    "label": board.points[found.comparison.against].label,
                    **_paired(found.comparison.paired, found.comparison.adjusted),
                },
            }
            for point, found in zip(board.points, judged, strict=True)
        ],
        "notes": list(board.notes),
    }


def against_data(board: Board, found: Against) -> dict[str, Any]:
    """Comparisons at the same tokens as data; NaN does not occur."""

    def named(at: int) -> dict[str, Any]:
        point = board.points[at]
        return {"run": point.run, "label": point.label, "tokens": float(board.tokens[at].mean())}

    return {
        "strategy": found.series,
        "points": [
            {
                **named(match.point),
                "reached": match.reached,
                **_paired(match.paired, match.adjusted),
            }
            for match in found.matches
        ],
        "outside": [named(at) for at in found.outside],
    }


def optimal_data(found: Optimal) -> dict[str, Any]:
    """The curve as data; NaN does not occur."""

    def chosen(choices: Sequence[Choice]) -> list[dict[str, Any]]:
        return [
            {
                "split": choice.split,
                "fold": choice.fold,
                "run": found.candidates[choice.candidate].run,
                "label": found.candidates[choice.candidate].label,
                "problems": choice.problems,
            }
            for choice in choices
        ]

    return {
        "difficulty": found.difficulty,
        "candidates": [point.label for point in found.candidates],
        "curve": [
            {
                "budget": at.budget,
                "tokens": at.tokens,
                **_interval(at.accuracy),
                "single": {
                    "tokens": at.single_tokens,
                    **_interval(at.single),
                    "choices": chosen(at.single_choices),
                },
                "gain": _paired(at.gain, at.adjusted),
                "bins": [
                    {
                        "bin": one.bin,
                        "problems": one.problems,
                        **(_interval(one.accuracy) if one.accuracy else {}),
                        "single": _interval(one.single) if one.single else None,
                        "choices": chosen(one.choices),
                    }
                    for one in at.bins
                ],
            }
            for at in found.curve
        ],
        "notes": list(found.notes),
    }


def _interval(interval: Interval) -> dict[str, Any]:
    """An accuracy with its 95 % problem interval."""
    return {
        "accuracy": interval.mean,
        "interval": [interval.low, interval.high],
        "interval_kind": interval.kind,
    }


def _paired(found: PairedResult, adjusted: float) -> Mapping[str, Any]:
    """A paired difference: its interval is uncorrected, `p_adjusted` is Holm's."""
    return {
        "difference": found.difference,
        "interval": [found.interval.low, found.interval.high],
        "p": found.p_value,
        "p_adjusted": adjusted,
    }
