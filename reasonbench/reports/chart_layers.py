"""Pieces that charts of a report share: axes, series with their colours and shapes, layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reasonbench.reports.chart_data import Accuracy
from reasonbench.reports.shown import short
from reasonbench.reports.vega import COLOURS, CONFIG, SCHEMA, Spec

Value = Mapping[str, Any]

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
"""What tells series apart when their colours repeat."""

RIGHT, WRONG, CUT, OPEN = "#3b8bd0", "#e0702a", "#f2bc4b", "#9aa3ad"
"""Right, wrong, truncated and ungraded: seen on white and on black, by whoever sees no red."""

NEUTRAL = "#8a939e"

BAND_FROM = 3
"""A line of so many points has its intervals as a band; of fewer, as bars."""


def whole(
    title: str, values: Iterable[Value], layers: Sequence[Spec], *, subtitle: str = "", **more: Any
) -> Spec:
    """A description by itself, 560 × 320 pixels unless `more` says otherwise."""
    said: Spec = {"text": title} | ({"subtitle": subtitle} if subtitle else {})
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "padding": 12,
        "title": said,
        "width": 560,
        "height": 320,
        "data": {"values": list(values)},
        **more,
        "layer": list(layers),
    }


def interval(accuracy: Accuracy) -> dict[str, float]:
    """`y` with `low` and `high`, as charts name them."""
    return {"y": accuracy.value, "low": accuracy.low, "high": accuracy.high}


def share_axis(title: str, **scale: Any) -> Spec:
    """The y axis of a share."""
    return {
        "field": "y",
        "type": "quantitative",
        "title": title,
        "axis": {"format": "~%"},
        "scale": {"zero": False, "nice": True, **scale},
    }


def log_axis(title: str, *, base: int = 10, values: Sequence[float] = ()) -> Spec:
    """The x axis of tokens or of samples."""
    marks = {"values": list(values), "format": "d"} if values else {"format": "~s", "tickCount": 6}
    return {
        "field": "x",
        "type": "quantitative",
        "title": title,
        "axis": marks,
        "scale": {"type": "log", "base": base, "nice": False, "zero": False, "padding": 10},
    }


def by_series(series: Sequence[str], present: Iterable[str]) -> Spec:
    """Colour and shape of each series.

    Args:
        series: of the whole report, so that one looks alike everywhere.
        present: in this chart.
    """
    names = [short(name) for name in series]
    there = {short(name) for name in present}
    shown = [name for name in names if name in there]
    shapes = [SHAPES[i // len(COLOURS) % len(SHAPES)] for i in range(len(names))]
    legend: Spec | None = {"values": shown, "symbolSize": 80} if len(shown) > 1 else None
    of: Spec = {"field": "series", "type": "nominal", "legend": legend}
    return {
        "color": {**of, "scale": {"domain": names}},
        "shape": {**of, "scale": {"domain": names, "range": shapes}},
    }


def lined(values: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The values with whether each is of a line that is long enough for a band."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value["series"]] = counts.get(value["series"], 0) + 1
    return [{**value, "band": counts[value["series"]] >= BAND_FROM} for value in values]


def series_layers(look: Spec, tooltip: Sequence[Spec], point: Spec | None = None) -> list[Spec]:
    """Bands, bars, lines and points of `lined` values; ceilings are dashed.

    Args:
        look: `by_series`.
        point: what else points are encoded by.
    """
    colour = {"color": look["color"]}
    edge: Spec = {"y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}}
    dashed = {"condition": {"test": "datum.ceiling", "value": [5, 4]}, "value": [1, 0]}
    return [
        {
            "transform": [{"filter": "datum.band"}],
            "mark": {"type": "area", "opacity": 0.11},
            "encoding": {**edge, **colour},
        },
        {
            "transform": [{"filter": "!datum.band"}],
            "mark": {"type": "rule", "opacity": 0.4},
            "encoding": {**edge, **colour},
        },
        {
            "mark": {"type": "line", "strokeWidth": 1.8},
            "encoding": {**colour, "strokeDash": dashed},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
            "encoding": {**look, **(point or {}), "tooltip": list(tooltip)},
        },
    ]


def tips(**titles: str) -> list[Spec]:
    """What is told of a point: fields with their titles; accuracies in per cent."""
    found = []
    for field, title in titles.items():
        kind = "quantitative" if field in ("x", "y", "low", "high") else "nominal"
        form = {"format": ".1%"} if field in ("y", "low", "high") else {}
        form = {"format": ",.0f"} if field == "x" else form
        found.append({"field": field, "type": kind, "title": title, **form})
    return found
