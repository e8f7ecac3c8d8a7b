"""Pictures of curves: Vega-Lite descriptions, which vl-convert draws without a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.reports.panels import Drawn
from reasonbench.reports.training import AXES, Axis

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
VEGA_LITE = "5.20"

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A4FBF", "#444444")
"""Okabe and Ito's, which people who do not see all colours can tell apart."""

FORMATS: Mapping[Axis, str] = {
    "step": "~s",
    "tokens": "~s",
    "flops": "~s",
    "gpu-hours": "~g",
    "time": "~g",
    "dollars": "$~g",
}

CONFIG: Spec = {
    "background": "white",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {"gridColor": "#e6e6e6", "domainColor": "#888", "tickColor": "#888", "titlePadding": 8},
    "title": {"anchor": "start", "fontSize": 14, "subtitleColor": "#666", "subtitlePadding": 4},
    "legend": {
        "orient": "bottom",
        "columns": 4,
        "labelLimit": 260,
        "title": None,
        "symbolOpacity": 1,
        "symbolType": "stroke",
        "symbolStrokeWidth": 3,
    },
    "header": {"title": None, "labelFontSize": 12, "labelAnchor": "start"},
    "range": {"category": list(COLOURS)},
}


def picture(drawn: Drawn, axis: Axis, smooth: int = 1) -> Spec:
    """One panel by itself; of several runs with several lines each, the lines side by side."""
    runs, series = _names(drawn)
    faceted = len(runs) > 1 and len(series) > 1
    size = (300, 190) if faceted else (560, 300)
    body = _layers(drawn, axis, size, dashed=False)
    spec: Spec = {"title": _title(drawn, smooth), "data": {"values": _values(drawn)}}
    if faceted:
        spec |= {
            "facet": {"field": "series", "type": "nominal", "sort": series},
            "columns": min(3, len(series)),
            "spec": body,
        }
    else:
        spec |= body
    return _whole(spec)


def overview(pictures: Sequence[Drawn], axis: Axis, smooth: int = 1) -> Spec:
    """What is looked for in any training run in one picture, three panels beside each other."""
    return _whole(
        {
            "concat": [
                {
                    "title": _title(drawn, smooth),
                    "data": {"values": _values(drawn)},
                    **_layers(drawn, axis, (330, 190), dashed=True),
                }
                for drawn in pictures
                if drawn.named or not any(other.named for other in pictures)
            ],
            "columns": 3,
            "spacing": 36,
            "resolve": {"scale": {"color": "independent", "strokeDash": "independent"}},
        }
    )


def render(spec: Spec, form: str) -> bytes:
    """The picture that a description stands for; PNG has twice the pixels.

    Args:
        form: "png" or "svg".

    Raises:
        UsageError: vl-convert is not installed.
    """
    try:
        converter: Any = import_module("vl_convert")
    except ImportError:
        raise UsageError(
            "pictures are drawn by vl-convert: pip install 'reasonbench[report]' (--json prints "
            "the data without it)."
        ) from None
    if form == "svg":
        drawn: str = converter.vegalite_to_svg(vl_spec=spec, vl_version=VEGA_LITE)
        return drawn.encode()
    pixels: bytes = converter.vegalite_to_png(vl_spec=spec, vl_version=VEGA_LITE, scale=2.0)
    return pixels


def _whole(spec: Spec) -> Spec:
    return {"$schema": SCHEMA, "config": CONFIG, "padding": 12, **spec}


def _names(drawn: Drawn) -> tuple[list[str], list[str]]:
    return (
        list(dict.fromkeys(point.run for point in drawn.points)),
        list(dict.fromkeys(point.series for point in drawn.points)),
    )


def _title(drawn: Drawn, smooth: int) -> Spec:
    said = [drawn.note] if drawn.note else []
    if smooth > 1 and not drawn.evaluated:
        said.append(f"mean of {smooth} logged steps; faint: as logged")
    return {"text": drawn.panel.title} | ({"subtitle": said} if said else {})


def _values(drawn: Drawn) -> list[Spec]:
    return [
        {key: value for key, value in point._asdict().items() if value is not None}
        for point in drawn.points
    ]


def _layers(drawn: Drawn, axis: Axis, size: tuple[int, int], *, dashed: bool) -> Spec:
    runs, series = _names(drawn)
    panel = drawn.panel
    scale: Spec = {"zero": panel.zero, "nice": True}
    if panel.zero and not any(point.y for point in drawn.points):
        scale = {"domain": [0, 1]}  # a line of zeros stands at the bottom
    by = "run" if len(runs) > 1 else "series"
    encoding: Spec = {
        "x": {
            "field": "x",
            "type": "quantitative",
            "title": AXES[axis],
            "axis": {"format": FORMATS[axis], "tickCount": 6},
            "scale": {"zero": False, "nice": False},
        },
        "y": {
            "field": "y",
            "type": "quantitative",
            "title": panel.unit or None,
            "axis": {"format": panel.form} if panel.form else {},
            "scale": scale,
        },
        "color": {
            "field": by,
            "type": "nominal",
            "sort": runs if by == "run" else series,
            "legend": {} if len(runs) * len(series) > 1 else None,
        },
    }
    if dashed and len(runs) > 1 and len(series) > 1:
        encoding["strokeDash"] = {
            "field": "series",
            "type": "nominal",
            "sort": series,
            "legend": {"symbolStrokeColor": "#555"},
        }
    # a line is the points of one run and one series, whatever colours say
    encoding["detail"] = [{"field": "run"}, {"field": "series"}]
    banded = any(point.low is not None for point in drawn.points)
    smooth = any(point.raw for point in drawn.points)
    layers: list[Spec] = []
    if banded:
        layers.append(
            {
                "transform": [{"filter": "!datum.raw"}],
                "mark": {"type": "area", "opacity": 0.16},
                "encoding": {"y": {**encoding["y"], "field": "low"}, "y2": {"field": "high"}},
            }
        )
    if smooth:
        layers.append(
            {
                "transform": [{"filter": "datum.raw"}],
                "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.28},
            }
        )
    width = 2.0 if smooth or banded or drawn.evaluated else 1.5
    points = drawn.evaluated or _few(drawn)
    line: Spec = {
        "transform": [{"filter": "!datum.raw"}],
        "mark": {"type": "line", "strokeWidth": width, "point": points},
    }
    if len(runs) == 1 and len(series) > 1 and not points:
        # where lines are equal, the one below shows on both sides of the one above
        widths = {"domain": series, "range": [5.0, *[width] * (len(series) - 1)]}
        by_series = {"field": "series", "type": "nominal", "scale": widths, "legend": None}
        line["encoding"] = {"size": by_series}  # the width of a line, as Vega-Lite has it
    layers.append(line)
    if drawn.stages:
        marks = [{"x": x, "stage": name} for x, name in drawn.stages]
        # of what all layers share, lines and names of stages take only where they stand
        plain = {"y": {"value": 0}, "color": {"value": "#777"}, "detail": {"field": "stage"}}
        plain["strokeDash"] = {"value": [3, 3]}
        text = {"type": "text", "align": "left", "baseline": "top", "dx": 3, "dy": 2}
        rule = {**plain, "y2": {"value": {"expr": "height"}}}
        named = {**plain, "text": {"field": "stage"}}
        layers.append({"data": {"values": marks}, "mark": "rule", "encoding": rule})
        layers.append({"data": {"values": marks}, "mark": text, "encoding": named})
    return {"width": size[0], "height": size[1], "encoding": encoding, "layer": layers}


def _few(drawn: Drawn) -> bool:
    """Whether lines are so short that their points should show."""
    runs, series = _names(drawn)
    return len(drawn.points) <= 12 * len(runs) * len(series)
