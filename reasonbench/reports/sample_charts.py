"""Charts of a report that are drawn from samples: lengths, solve rates, calibration."""

from __future__ import annotations

from typing import Any

from reasonbench.reports.chart_data import Calibration, Lengths, LengthSummary, SolveRates
from reasonbench.reports.chart_layers import (
    CUT,
    NEUTRAL,
    OPEN,
    RIGHT,
    WRONG,
    interval,
    log_axis,
    share_axis,
    tips,
    whole,
)
from reasonbench.reports.shown import short
from reasonbench.reports.vega import Spec

ENDS = {"right": RIGHT, "wrong": WRONG, "truncated": CUT, "ungraded": OPEN}
"""How completions end, from below."""

MOST_POINTS = 1500
"""With more problems their rates are counted, not drawn one by one."""

RATES = 20
"""Bars of counted rates."""


def lengths(one: Lengths, title: str) -> Spec:
    """How many completions are how long, stacked by how they ended."""
    values = []
    for part in one.bins:
        low = 0
        for end in ENDS:
            count = getattr(part, end)
            if count:
                values.append(
                    {
                        "end": end,
                        "x": max(1, part.low),
                        "x2": max(part.low + 1, part.high),
                        "y": low,
                        "y2": low + count,
                        "tokens": f"{part.low:,} to {part.high - 1:,}",
                        "count": count,
                    }
                )
            low += count
    present = [end for end in ENDS if any(value["end"] == end for value in values)]
    medians = [
        f"{name} {summary.p50:,.0f}"
        for name, summary in (
            ("right", one.right), ("wrong", one.wrong), ("truncated", one.truncated)
        )
        if isinstance(summary, LengthSummary)
    ]  # fmt: skip
    colours = {"domain": present, "range": [ENDS[end] for end in present]}
    return whole(
        title,
        values,
        [{"mark": {"type": "bar", "binSpacing": 0.5}}],
        subtitle=f"median tokens: {', '.join(medians)}" if medians else "",
        height=260,
        encoding={
            "x": log_axis("tokens of a completion"),
            "x2": {"field": "x2"},
            "y": {"field": "y", "type": "quantitative", "title": "completions",
                  "axis": {"format": "~s"}},
            "y2": {"field": "y2"},
            "color": {"field": "end", "type": "nominal", "scale": colours,
                      "legend": {"symbolType": "square"}},
            "tooltip": tips(end="ended", tokens="tokens", count="completions"),
        },
    )  # fmt: skip


def solve_rates(one: SolveRates, title: str) -> Spec:
    """The rate of every problem, the lowest first; of very many problems, how many have which."""
    known = sorted(
        (p for p in one.problems if p.graded), key=lambda p: (p.right / p.graded, p.problem_id)
    )
    never = sum(p.right == 0 for p in known)
    always = sum(p.right == p.graded for p in known)
    said = f"{len(known):,} problems: {never:,} never solved, {always:,} always"
    if len(known) > MOST_POINTS:
        return _counted([p.right / p.graded for p in known], title, said)
    values = [
        {
            "problem": short(p.problem_id, 60),
            "level": short(p.level or "", 30),
            "x": place,
            "y": p.right / p.graded,
            "of": f"{p.right} of {p.graded}",
        }
        for place, p in enumerate(known, 1)
    ]
    levels = sorted({short(p.level, 30) for p in known if p.level})
    encoding: Spec = {
        "x": {"field": "x", "type": "quantitative", "title": "problems, the hardest first",
              "scale": {"nice": False, "domain": [0, len(known) + 1]}, "axis": {"tickMinStep": 1}},
        "y": {**share_axis("share right"), "scale": {"domain": [0, 1]}},
        "tooltip": tips(problem="problem", level="level", of="right"),
    }  # fmt: skip
    if 1 < len(levels) <= 10:
        legend = {"symbolType": "circle", "title": "level", "columns": 10}
        shades = {"scheme": "viridis", "domain": levels}
        encoding["color"] = {"field": "level", "type": "ordinal", "scale": shades, "legend": legend}
    size = 40 if len(known) <= 300 else 16
    mark: Spec = {"type": "point", "filled": True, "size": size, "opacity": 0.9}
    if "color" not in encoding:
        mark["color"] = RIGHT
    return whole(title, values, [{"mark": mark}], subtitle=said, height=260, encoding=encoding)


def _counted(rates: list[float], title: str, said: str) -> Spec:
    counts = [0] * RATES
    for rate in rates:
        counts[min(RATES - 1, int(rate * RATES))] += 1
    values = [
        {"x": i / RATES, "x2": (i + 1) / RATES, "y": count, "count": count}
        for i, count in enumerate(counts)
    ]
    return whole(
        title,
        values,
        [{"mark": {"type": "bar", "binSpacing": 1, "color": RIGHT}}],
        subtitle=said,
        height=260,
        encoding={
            "x": {"field": "x", "type": "quantitative", "title": "share right",
                  "axis": {"format": "~%"}, "scale": {"domain": [0, 1]}},
            "x2": {"field": "x2"},
            "y": {"field": "y", "type": "quantitative", "title": "problems"},
            "tooltip": tips(count="problems"),
        },
    )  # fmt: skip


def calibration(one: Calibration, title: str) -> Spec:
    """How many are right of those with a score, against the score."""
    values = [
        {
            "x": part.mean,
            **interval(part.right),
            "scores": f"{part.low:.3g} to {part.high:.3g}",
            "samples": part.samples,
        }
        for part in one.bins
    ]
    probable = one.ece is not None
    layers: list[Spec] = [
        {
            "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.5, "color": RIGHT},
            "encoding": {"y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line", "strokeWidth": 1.6, "color": RIGHT},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "color": RIGHT},
            "encoding": {
                "tooltip": tips(scores="scores", y="right", low="from", high="to",
                                samples="samples"),
            },
        },
    ]  # fmt: skip
    if probable:
        line: dict[str, Any] = {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]}
        drawn: Spec = {"type": "line", "strokeDash": [4, 4], "strokeWidth": 1.2, "color": NEUTRAL}
        layers.insert(0, {"data": line, "mark": drawn})
    said = [] if one.auc is None else [f"AUC {one.auc:.3f}"]
    said += [f"calibration error {one.ece:.3f}"] if one.ece is not None else []
    said += [f"{one.scored:,} samples by {short(one.strategy, 40)}"]
    said += [f"{one.unscored:,} without a score"] if one.unscored else []
    scale: Spec = {"domain": [0, 1]} if probable else {"zero": False, "nice": True}
    return whole(
        title,
        values,
        layers,
        subtitle=", ".join(said),
        height=280,
        encoding={
            "x": {"field": "x", "type": "quantitative", "title": "mean score", "scale": scale},
            "y": {**share_axis("share right"), "scale": {"domain": [0, 1]}},
        },
    )
