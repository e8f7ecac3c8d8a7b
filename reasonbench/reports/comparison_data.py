"""Comparisons as data, for `reasonbench compare --json` and for whoever draws them."""

from __future__ import annotations

import math
from typing import Any

from reasonbench.metrics import Interval
from reasonbench.reports.comparison import Comparison
from reasonbench.reports.contrast import (
    ALPHA,
    Contrast,
    Equal,
    Matched,
    Reach,
    sentence,
)


def comparison_data(found: Comparison) -> dict[str, Any]:
    """A comparison as data; NaN does not occur. docs/compare.md lists the fields."""
    return {
        "a": found.a._asdict(),
        "b": found.b._asdict(),
        "correction": "holm",
        "alpha": ALPHA,
        "rows": [_contrast(one) for one in found.contrasts],
        "problems": [one._asdict() for one in found.problems],
        "differing": [one._asdict() for one in found.differing],
        "notes": list(found.notes),
    }


def _contrast(one: Contrast) -> dict[str, Any]:
    changes = [c._asdict() for c in one.changes()]
    return {
        "benchmark": one.benchmark,
        "ceiling": one.ceiling,
        **_matched(one.matched),
        "a": {"label": one.a.label, **_reach(one.a), **_interval(one.matched.a)},
        "b": {"label": one.b.label, **_reach(one.b), **_interval(one.matched.b)},
        "levels": [
            {"level": level, **_both(matched), **_matched(matched)}
            for level, matched in one.levels.items()
        ],
        "equal": None if one.equal is None else _equal(one.equal),
        "no_equal": one.no_equal or None,
        "lost": [c for c in changes if c["b"] < c["a"]],
        "gained": [c for c in changes if c["b"] > c["a"]],
        "ungraded_problems": list(one.unknown),
    }


def _matched(one: Matched) -> dict[str, Any]:
    said = one.paired
    return {
        "problems": one.problems,
        "difference": said.difference,
        "interval": [said.interval.low, said.interval.high],
        "interval_kind": said.interval.kind,
        "p": said.p_value,
        "p_exact": said.exact,
        "p_adjusted": one.adjusted,
        "correlation": said.correlation,
        "minimum_detectable": one.could_show,
        "not_excluded": one.not_excluded,
        "problems_needed": said.problems_needed,
        "verdict": one.verdict,
        "sentence": sentence(one),
    }


def _both(one: Matched) -> dict[str, Any]:
    return {"a": _interval(one.a), "b": _interval(one.b)}


def _interval(one: Interval) -> dict[str, Any]:
    return {
        "accuracy": one.mean,
        "interval": [one.low, one.high],
        "interval_kind": one.kind,
    }


def _reach(one: Reach) -> dict[str, Any]:
    tokens, counts = float(one.tokens.mean()), one.counts
    return {
        "tokens": tokens if math.isfinite(tokens) else None,
        "samples": counts.samples,
        "truncated": counts.share(counts.truncated),
        "no_answer": counts.share(counts.no_answer),
        "ungraded": counts.share(counts.ungraded),
    }


def _equal(one: Equal) -> dict[str, Any]:
    mixed = None
    if one.mixed is not None:
        small, large, share = one.mixed
        mixed = {"smaller": small, "larger": large, "share": share}
    return {
        "tokens": one.tokens,
        "moved": one.moved,
        "mixed": mixed,
        **_both(one.matched),
        **_matched(one.matched),
    }
