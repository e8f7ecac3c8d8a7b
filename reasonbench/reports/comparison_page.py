"""A comparison as one page."""

from __future__ import annotations

from collections import Counter
from typing import Any

from reasonbench.reports.comparison import Comparison
from reasonbench.reports.comparison_data import comparison_data
from reasonbench.reports.contrast import Contrast, p_text
from reasonbench.reports.page import page
from reasonbench.reports.shown import short
from reasonbench.reports.vega import CONFIG, SCHEMA, Spec

MOST_CHANGES = 5_000
"""Rows of the table of changed problems; --json has all."""

BLUE, ORANGE, GREY = "#3b8bd0", "#e0702a", "#8a939e"
"""Seen on white and on black."""

ROW = "row"
"""Id of the choice of a row that the charts of problems and levels follow."""


def comparison_page(found: Comparison) -> str:
    """The page; every number is one of `comparison_data`.

    Raises:
        UsageError: jinja2 or vl-convert is not installed.
    """
    data = comparison_data(found)
    for row in data["rows"]:
        row["label"] = row_label(row)
    changes = [
        {**change, "row": row, "direction": direction}
        for row in data["rows"]
        for direction, those in (("right → wrong", row["lost"]), ("wrong → right", row["gained"]))
        for change in those
    ]
    context = {
        **data,
        "warned": [d for d in data["differing"] if d["warns"]],
        "changes": changes[:MOST_CHANGES],
        "left_out": max(0, len(changes) - MOST_CHANGES),
        "several": len({row["benchmark"] for row in data["rows"]}) > 1,
        "unpaired": [p for p in data["problems"] if p["only_a"] or p["only_b"] or p["other_text"]],
        "p_text": lambda p: p_text(p).removeprefix("= "),
        "signed": signed,
        "row_id": ROW,
    }
    title = f"{short(found.a.name, 60)} against {short(found.b.name, 60)}"
    return page(title, "compare.html.j2", context, charts=charts(found, data))


def row_label(row: dict[str, Any]) -> str:
    """The strategy, or both where they differ."""
    a, b = row["a"]["label"], row["b"]["label"]
    return a if a == b else f"{a} / {b}"


def signed(value: float) -> str:
    """A difference in points."""
    return f"{100 * value:+.1f}".replace("-", "−")


def charts(found: Comparison, data: dict[str, Any]) -> dict[str, Spec]:
    """Differences of all rows; problems and levels of the row that is chosen."""
    several = len({row["benchmark"] for row in data["rows"]}) > 1
    names = [short(row["label"], 60) for row in data["rows"]]
    if several and len(set(names)) == 1:
        names = [short(row["benchmark"], 60) for row in data["rows"]]
    elif several:
        names = [
            f"{name} · {short(row['benchmark'], 40)}"
            for name, row in zip(names, data["rows"], strict=True)
        ]
    specs = {"differences": _differences(names, data), "problems": _problems(found.contrasts)}
    if any(one.levels for one in found.contrasts):
        specs["levels"] = _levels(data)
    return specs


def _whole(spec: Spec) -> Spec:
    return {"$schema": SCHEMA, "config": CONFIG, **spec}


def _chosen(count: int) -> Spec:
    bound = {"bind": {"element": f"#{ROW}", "event": "change"}} if count > 1 else {}
    return {"params": [{"name": "row", "value": "0", **bound}]}


def _points(title: str) -> Spec:
    return {
        "field": "difference",
        "type": "quantitative",
        "title": title,
        "scale": {"nice": True, "zero": True},
        "axis": {"format": "+.2~f", "tickCount": 6},
    }


_ZERO: Spec = {
    "mark": {"type": "rule", "strokeDash": [4, 3], "color": "#888"},
    "encoding": {"x": {"datum": 0, "type": "quantitative"}},
}


def _differences(names: list[str], data: dict[str, Any]) -> Spec:
    values = []
    for name, row in zip(names, data["rows"], strict=True):
        for at, one in (("as run", row), ("at equal compute", row["equal"])):
            if one is not None:
                values.append(_difference(one) | {"name": name, "at": at})
    both: Spec = {"field": "at", "type": "nominal", "sort": ["as run", "at equal compute"]}
    place: Spec = {
        "y": {
            "field": "name",
            "type": "nominal",
            "sort": names,
            "title": None,
            "axis": {"labelLimit": 150},
        },
        "yOffset": both,
        "color": {**both, "scale": {"range": [BLUE, ORANGE]}},
    }
    return _whole(
        {
            "height": {"step": 14},
            "data": {"values": values},
            "layer": [_ZERO, *_interval_layers(place, shape=both)],
        }
    )


def _interval_layers(place: Spec, shape: Spec | None = None) -> list[Spec]:
    """Differences with their intervals."""
    tooltip = [
        {"field": "said", "title": "B − A"},
        {"field": "p", "title": "p, corrected"},
        {"field": "name", "title": " "},
    ]
    x = _points("B − A, points, with 95 % interval")
    return [
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {**place, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
            "encoding": {**place, "x": x, **({"shape": {**shape, "legend": None}} if shape else {}),
                         "tooltip": tooltip},
        },
    ]  # fmt: skip


def _difference(one: dict[str, Any]) -> Spec:
    low, high = one["interval"]
    return {
        "difference": 100 * one["difference"],
        "low": 100 * low,
        "high": 100 * high,
        "said": f"{signed(one['difference'])} [{signed(low)}, {signed(high)}]",
        "p": p_text(one["p_adjusted"]).removeprefix("= "),
    }


def _levels(data: dict[str, Any]) -> Spec:
    values = [
        _difference(level) | {"row": str(i), "level": short(level["level"]), "name": " "}
        for i, row in enumerate(data["rows"])
        for level in row["levels"]
    ]
    order = list(dict.fromkeys(value["level"] for value in values))
    place: Spec = {
        "y": {
            "field": "level",
            "type": "nominal",
            "sort": order,
            "title": "level",
            "axis": {"labelLimit": 120},
        },
        "color": {"value": BLUE},
    }
    return _whole(
        {
            **_chosen(len(data["rows"])),
            "height": {"step": 26},
            "data": {"values": values},
            "transform": [{"filter": "datum.row == row"}],
            "layer": [_ZERO, *_interval_layers(place)],
        }
    )


def _problems(contrasts: tuple[Contrast, ...]) -> Spec:
    """How many problems have which pair of scores."""
    values: list[Spec] = []
    for i, one in enumerate(contrasts):
        pairs = zip(one.a.scores.round(2).tolist(), one.b.scores.round(2).tolist(), strict=True)
        values += (
            {"row": str(i), "a": a, "b": b, "count": count, "side": _side(a, b)}
            for (a, b), count in Counter(pairs).items()
        )
    most = max(value["count"] for value in values)
    sides = ["B higher", "A higher", "equal"]
    share: Spec = {"type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"format": "~%"}}
    return _whole(
        {
            **_chosen(len(contrasts)),
            "height": 340,
            "data": {"values": values},
            "layer": [
                {
                    "data": {"values": [{"a": 0, "b": 0}, {"a": 1, "b": 1}]},
                    "mark": {"type": "line", "strokeDash": [4, 3], "color": "#888"},
                    "encoding": {"x": {"field": "a", **share}, "y": {"field": "b", **share}},
                },
                {
                    "transform": [{"filter": "datum.row == row"}],
                    "mark": {"type": "circle", "opacity": 0.7},
                    "encoding": {
                        "x": {"field": "a", "title": "A: score of a problem", **share},
                        "y": {"field": "b", "title": "B: score of a problem", **share},
                        "size": {
                            "field": "count",
                            "type": "quantitative",
                            "scale": {"domain": [0, most], "range": [20, 900]},
                            "legend": None,
                        },
                        "color": {
                            "field": "side",
                            "type": "nominal",
                            "sort": sides,
                            "scale": {"domain": sides, "range": [BLUE, ORANGE, GREY]},
                            "legend": {"symbolType": "circle"},
                        },
                        "tooltip": [
                            {"field": "a", "format": ".0%", "title": "A"},
                            {"field": "b", "format": ".0%", "title": "B"},
                            {"field": "count", "title": "problems"},
                        ],
                    },
                },
            ],
        }
    )  # fmt: skip


def _side(a: float, b: float) -> str:
    return "equal" if a == b else "B higher" if b > a else "A higher"
