"""Training runs over one another as one page: every picture against every axis."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from reasonbench.reports.page import page
from reasonbench.reports.panels import (
    PANELS,
    Line,
    Panel,
    drawn,
    note_of,
    panels,
    series,
    smoothed,
    thinned,
)
from reasonbench.reports.shown import short
from reasonbench.reports.training import AXES, Axis, Training
from reasonbench.reports.vega import CONFIG, SCHEMA, Spec

SPANS = (1, 5, 10, 25, 100)
"""Choices for smoothing, as far as the longest run has twice as many steps."""

THIN = 400
"""Most points of a line on the page, about: the least and the greatest of each stretch."""

AXIS, SMOOTH = "axis", "smooth"
"""Ids of the choices that every chart follows."""


class Chart(NamedTuple):
    """One picture with its numbers against every axis."""

    name: str
    evaluated: bool
    spec: Spec


def training_page(runs: Sequence[Training], axes: Sequence[Axis], smooth: int = 1) -> str:
    """The page.

    Args:
        axes: on which every run stands; the first is chosen when the page opens.
        smooth: the span that is chosen when the page opens.

    Raises:
        UsageError: jinja2 or vl-convert is not installed.
    """
    spans = _spans(runs, smooth)
    made = charts(runs, axes, spans, smooth)
    context = {
        "runs": runs,
        "axes": [(f"a{i}", AXES[axis]) for i, axis in enumerate(axes)],
        "spans": spans,
        "smooth": smooth,
        "pictures": made,
        "evaluations": [(run, e) for run in runs for e in run.evaluations],
        "logged": list(_summaries(runs)),
        "names": {run.name: short(run.name, 60) for run in runs},
        "axis_id": AXIS,
        "smooth_id": SMOOTH,
    }
    title = "Training curves: " + ", ".join(short(run.name, 40) for run in runs[:4])
    title += f" and {len(runs) - 4} more" if len(runs) > 4 else ""
    return page(title, "curves.html.j2", context, charts={c.name: c.spec for c in made})


def charts(
    runs: Sequence[Training], axes: Sequence[Axis], spans: Sequence[int], smooth: int
) -> list[Chart]:
    """Every picture that the runs have points for."""
    found = []
    for one in drawn(runs, "step"):
        if not one.evaluated:
            continue
        rows = list(_evaluated(runs, axes, one.panel.name == "accuracy"))
        banded = one.panel.name == "accuracy"
        found.append(_chart(one.panel, runs, axes, rows, (1,), 1, "", banded, evaluated=True))
    for number, panel in enumerate(panels(runs)):
        rows = list(_logged(panel, runs, axes, spans))
        if panel not in PANELS:  # a metric may be called anything
            panel = panel._replace(name=f"metric-{number}")
        if rows:
            note = note_of(panel, runs)
            found.append(_chart(panel, runs, axes, rows, spans, smooth, note, panel.band))
    return found


Row = list[str]


def _evaluated(runs: Sequence[Training], axes: Sequence[Axis], accuracy: bool) -> Iterator[Row]:
    several = len({e.benchmark for run in runs for e in run.evaluations}) > 1
    for run in runs:
        places = [run.places(axis) for axis in axes]
        for e in run.evaluations:
            called = f"{e.benchmark} {e.strategy}" if several else e.strategy
            where = [run.name, called, *(_number(place(e.step)) for place in places)]
            if accuracy:
                yield [*where, _number(e.accuracy), _number(e.low), _number(e.high)]
            elif e.length is not None:
                yield [*where, _number(e.length)]


def _logged(
    panel: Panel, runs: Sequence[Training], axes: Sequence[Axis], spans: Sequence[int]
) -> Iterator[Row]:
    """A row for each point that is kept: run, series, where it stands, and its value smoothed
    over each span, with the ends of its band.
    """
    for run in runs:
        places = [run.places(axis) for axis in axes]
        starts = [float(stage.step) for stage in run.stages]
        for called, names in series(panel, run):
            known = [
                (float(s.step), [s.metrics[name] for name in names])
                for s in run.steps
                if all(math.isfinite(s.metrics.get(name, math.nan)) for name in names)
            ]
            lines: list[Line] = [
                [(step, values[i]) for step, values in known] for i in range(len(names))
            ]
            middle, *ends = [lines[1], lines[0], lines[2]] if panel.band else lines
            kept = {step for step, _ in thinned(middle, THIN)}
            columns = [
                [y for _, y in smoothed(line, span, starts)]
                for span in spans
                for line in (middle, *ends)
            ]
            for index, (step, _) in enumerate(middle):
                if step in kept:
                    where = [_number(place(int(step))) for place in places]
                    yield [run.name, called, *where, *(_number(c[index]) for c in columns)]


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.6g}"


def _spans(runs: Sequence[Training], smooth: int) -> list[int]:
    longest = max((len(run.steps) for run in runs), default=0)
    return sorted({1, smooth, *(span for span in SPANS if 2 * span <= longest)})


def _chart(
    panel: Panel,
    runs: Sequence[Training],
    axes: Sequence[Axis],
    rows: Sequence[Row],
    spans: Sequence[int],
    smooth: int,
    note: str,
    banded: bool,
    *,
    evaluated: bool = False,
) -> Chart:
    named = [[short(row[0], 60), short(row[1], 60), *row[2:]] for row in rows]
    values = [f"{part}{span}" for span in spans for part in (("y", "l", "h") if banded else ("y",))]
    columns = ["run", "series", *(f"a{i}" for i in range(len(axes))), *values]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *named])
    lines = len({(row[0], row[1]) for row in named})
    spec = {
        "$schema": SCHEMA,
        "config": CONFIG,
        "height": 230,
        "params": _params(axes, spans, smooth),
        "title": {"text": panel.title, **({"subtitle": [note]} if note else {})},
        "data": {
            "values": text.getvalue(),
            "format": {
                "type": "csv",
                "parse": {c: "string" if c in ("run", "series") else "number" for c in columns},
            },
        },
        "transform": [
            {"calculate": "datum[axis]", "as": "x"},
            *(
                {"calculate": f"datum['{part}' + smooth]", "as": called}
                for part, called in (("y", "y"), ("l", "low"), ("h", "high"))
                if part == "y" or banded
            ),
        ],
        **_layers(panel, named, 2 + len(axes), banded, evaluated or len(rows) <= 12 * lines),
    }
    marks = list(_marks(runs, axes))
    if marks:
        spec["layer"] += _mark_layers(marks)
    return Chart(panel.name, evaluated, spec)


def _params(axes: Sequence[Axis], spans: Sequence[int], smooth: int) -> list[Spec]:
    def bound(name: str, bind: bool) -> Spec:
        return {"bind": {"element": f"#{name}", "event": "change"}} if bind else {}

    return [
        {"name": "axis", "value": "a0", **bound(AXIS, len(axes) > 1)},
        {"name": "smooth", "value": str(smooth), **bound(SMOOTH, len(spans) > 1)},
    ]


def _layers(panel: Panel, rows: Sequence[Row], at: int, banded: bool, points: bool) -> Spec:
    """Args: `at` is where the values of a row begin."""
    names = list(dict.fromkeys(row[0] for row in rows))
    called = list(dict.fromkeys(row[1] for row in rows))
    by = "run" if len(names) > 1 else "series"
    y: Spec = {
        "type": "quantitative",
        "title": panel.unit or None,
        "axis": {"format": panel.form, "tickCount": 5} if panel.form else {"tickCount": 5},
        "scale": {"zero": panel.zero, "nice": True},
    }
    if panel.zero and not any(float(number or 0) for row in rows for number in row[at:]):
        y["scale"] = {"domain": [0, 1]}  # a line of zeros stands at the bottom
    encoding: Spec = {
        "x": {
            "field": "x",
            "type": "quantitative",
            "title": None,
            "axis": {"tickCount": 6, "labelExpr": _X_LABEL},
            "scale": {"zero": False, "nice": False},
        },
        "color": {
            "field": by,
            "type": "nominal",
            "sort": names if by == "run" else called,
            "legend": {} if len(names) * len(called) > 1 else None,
        },
        "detail": [{"field": "run"}, {"field": "series"}],
    }
    if len(names) > 1 and len(called) > 1:
        encoding["strokeDash"] = {
            "field": "series",
            "type": "nominal",
            "sort": called,
            "legend": {"symbolStrokeColor": "#888"},
        }
    tooltip = [
        {"field": "run"},
        {"field": "series"},
        {"field": "x", "format": ".4~s", "type": "quantitative", "title": "at"},
        {"field": "y", "format": ".4~g", "type": "quantitative", "title": "value"},
    ]
    layers: list[Spec] = []
    if banded:
        layers.append(
            {
                "mark": {"type": "area", "opacity": 0.16},
                "encoding": {**encoding, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            }
        )
    layers += [
        {
            "transform": [{"filter": "smooth != '1'"}],
            "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.3},
            "encoding": {**encoding, "y": {**y, "field": "y1"}},
        },
        {
            "mark": {"type": "line", "strokeWidth": 2, "point": points},
            "encoding": {**encoding, "y": {**y, "field": "y"}, "tooltip": tooltip},
        },
    ]
    return {"layer": layers}


_X_LABEL = (
    "axis == 'a0' || datum.value >= 1000 ? format(datum.value, '~s') : format(datum.value, '~g')"
)
"""Counts with their unit, small numbers as they are."""


def _marks(runs: Sequence[Training], axes: Sequence[Axis]) -> Iterator[Spec]:
    for run in runs:
        places = [run.places(axis) for axis in axes]
        for stage in run.stages:
            where = {f"a{i}": place(stage.step) for i, place in enumerate(places)}
            yield {"stage": short(stage.name, 40), "of": short(run.name, 60), **where}


def _mark_layers(marks: Sequence[Spec]) -> list[Spec]:
    data = {"data": {"values": list(marks)}}
    x: Spec = {"x": {"field": "x", "type": "quantitative"}}
    at = [{"calculate": "datum[axis]", "as": "x"}]
    return [
        {
            **data,
            "transform": at,
            "mark": {"type": "rule", "strokeDash": [3, 3], "color": "#8a939e"},
            "encoding": {**x, "tooltip": [{"field": "of"}, {"field": "stage"}]},
        },
        {
            **data,
            "transform": at,
            "mark": {
                "type": "text",
                "align": "left",
                "baseline": "top",
                "dx": 3,
                "y": 0,
                "fontSize": 10,
                "color": "#8a939e",
            },
            "encoding": {**x, "y": {"value": 2}, "text": {"field": "stage"}},
        },
    ]


def _summaries(runs: Sequence[Training]) -> Iterator[dict[str, Any]]:
    """Each metric of each run: where it began and ended, and its extremes."""
    for run in runs:
        for name in run.metrics:
            values = [
                (step.step, step.metrics[name])
                for step in run.steps
                if math.isfinite(step.metrics.get(name, math.nan))
            ]
            if values:
                ordered = [value for _, value in values]
                yield {
                    "run": run.name,
                    "metric": name,
                    "count": len(values),
                    "first": ordered[0],
                    "last": ordered[-1],
                    "least": min(ordered),
                    "greatest": max(ordered),
                }
