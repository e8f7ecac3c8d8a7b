"""The charts of a report as Vega-Lite descriptions: what is drawn is `reports.data`'s, no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from reasonbench.reports.chart_data import CapCurve, ComputeBoard, Curve
from reasonbench.reports.chart_layers import (
    NEUTRAL,
    by_series,
    interval,
    lined,
    log_axis,
    series_layers,
    share_axis,
    tips,
    whole,
)
from reasonbench.reports.data import Entry, GroupAccuracy, Report
from reasonbench.reports.sample_charts import calibration, lengths, solve_rates
from reasonbench.reports.shown import distinct, short
from reasonbench.reports.vega import Spec

MOST_STRATEGIES = 6
"""Strategies in a chart of levels or subjects: the table has all."""

STATUS = {
    "frontier": "Pareto set, its gain is shown",
    "flat": "Pareto set, its gain may be chance",
    "tie": "not shown to be worse",
    "worse": "worse than a cheaper one",
    "ceiling": "needs the gold answer",
    None: "not tested",
}


class _OfBenchmark(Protocol):
    @property
    def benchmark(self) -> str: ...


One = TypeVar("One", bound=_OfBenchmark)


class Chart(NamedTuple):
    """A chart with its place on the page.

    Attributes:
        name: unique; of its files.
        kind: "compute", "curve", "reliability", "level", "subject", "cap", "length", "solved" or
            "calibration".
        caption: how to read it.
    """

    name: str
    kind: str
    benchmark: str
    caption: str
    spec: Spec


def report_charts(report: Report) -> list[Chart]:
    """Every chart that the report has data for, by benchmark."""
    series = list(dict.fromkeys(curve.series for curve in report.curves))
    found = [
        chart
        for benchmark in report.benchmarks
        for chart in _of_benchmark(report, benchmark, series)
        if chart.spec["data"]["values"]
    ]
    names = distinct(chart.name for chart in found)
    return [chart._replace(name=name) for chart, name in zip(found, names, strict=True)]


def _of_benchmark(report: Report, benchmark: str, series: Sequence[str]) -> Iterator[Chart]:
    def of(values: Sequence[One]) -> list[One]:
        return [one for one in values if one.benchmark == benchmark]

    named = len(report.runs) > 1
    slug = _slug(benchmark)
    boards = of(report.compute)
    for board in boards:
        alike = [one for one in boards if one.model == board.model]
        told = board.model if len(alike) == 1 else " and ".join(board.runs)
        where = "" if len(boards) == 1 else f", {short(told, 60)}"
        yield Chart(
            f"compute-{slug}", "compute", benchmark,
            "The dotted stairs are the Pareto set; large points are in it. Where its gain over the "
            "next cheaper member is shown, it is named. Dashed: needs the gold answer to choose. "
            "Bands and bars: 95 % intervals over problems.",
            _compute(board, f"Accuracy against compute{where}", series),
        )  # fmt: skip
    for run in report.runs:
        curves = [one for one in of(report.curves) if one.run == run.run]
        where = f", {short(run.run, 40)}" if named else ""
        tail = f"-{_slug(run.run)}" if named else ""
        answers = [one for one in curves if one.kind != "reliability"]
        if any(point.k > 1 for one in answers for point in one.points):
            yield Chart(
                f"curve-{slug}{tail}", "curve", benchmark,
                "The expectation over all subsets of k samples; of a search, what its n gave. "
                "Dashed: pass@k, which needs the gold answer to choose. Bands and bars: 95 % "
                "intervals over problems.",
                _curve(answers, f"Accuracy over k samples{where}", series),
            )  # fmt: skip
        steady = [one for one in curves if one.kind == "reliability"]
        if any(len(one.points) > 1 for one in steady):
            yield Chart(
                f"reliability-{slug}{tail}", "reliability", benchmark,
                "How often all of k samples are right (pass^k), or at least half of them "
                "(g-pass@k). Bands: 95 % intervals over problems.",
                _reliability(steady, f"Reliability over k samples{where}"),
            )  # fmt: skip
        entries = [one for one in of(report.entries) if one.run == run.run]
        for by, caption in (("level", "Accuracy by level"), ("subject", "Accuracy by subject")):
            groups, chosen = _chosen(report.groups, entries, by)
            if groups:
                left = sum(e.accuracy is not None for e in entries) > len(chosen)
                yield Chart(
                    f"{by}-{slug}{tail}", by, benchmark,
                    "95 % intervals over the problems of each group."
                    + (" The strategies that are furthest up in the leaderboard, one of a kind; "
                       "the table has all." if left else ""),
                    _by_group(groups, chosen, f"{caption}{where}", by, series),
                )  # fmt: skip
    if caps := of(report.caps):
        yield Chart(
            f"cap-{slug}", "cap", benchmark,
            "pass@1, had no completion been allowed more tokens: what is longer counts as wrong. "
            "From the stored lengths. Bands: 95 % intervals over problems.",
            _caps(caps, "Accuracy against a token cap", _pool_names(caps, named)),
        )  # fmt: skip
    yield from _of_samples(report, of, benchmark, named)


def _of_samples(
    report: Report, of: Callable[[Any], list[Any]], benchmark: str, named: bool
) -> Iterator[Chart]:
    slug = _slug(benchmark)
    pools = of(report.lengths)
    for one, name in zip(pools, _pool_names(pools, named), strict=True):
        where = f", {name}" if len(pools) > 1 else ""
        cut = ", wrong and truncated" if one.ends_known else " and wrong"
        yield Chart(
            f"length-{slug}", "length", benchmark,
            "Completions by their length and by how they ended. Truncated ones were cut by the "
            "token limit, and count as wrong." if one.ends_known else
            "Completions by their length. What a token limit cut is not known, and stands among "
            "the others.",
            lengths(one, f"Length by right{cut}{where}"),
        )  # fmt: skip
    pools = of(report.solve_rates)
    for one, name in zip(pools, _pool_names(pools, named), strict=True):
        where = f", {name}" if len(pools) > 1 else ""
        unknown = sum(problem.graded == 0 for problem in one.problems)
        yield Chart(
            f"solved-{slug}", "solved", benchmark,
            "Share of each problem's samples that are right, the hardest problem first."
            + (f" {unknown} problems without a graded sample are left out." if unknown else ""),
            solve_rates(one, f"Solve rate of each problem{where}"),
        )  # fmt: skip
    for one in of(report.calibrations):
        where = f", {short(one.run, 40)}" if named else ""
        yield Chart(
            f"calibration-{slug}-{_slug(one.scorer)}", "calibration", benchmark,
            "Ten equal shares of the samples by their score: how many of each are right, with the "
            "95 % interval."
            + (" On the dashed line, a score is the chance of being right."
               if one.ece is not None else ""),
            calibration(one, f"What the scores of {short(one.scorer, 40)} say{where}"),
        )  # fmt: skip


def _compute(board: ComputeBoard, title: str, series: Sequence[str]) -> Spec:
    several = len(board.runs) > 1
    values = lined(
        [
            {
                "series": short(p.series) + (f" ({short(p.run, 30)})" if several else ""),
                "label": short(p.label),
                "run": short(p.run),
                "x": p.tokens,
                **interval(p.accuracy),
                "pareto": p.pareto,
                "named": p.status == "frontier",
                "ceiling": p.ceiling,
                "said": STATUS[p.status] + ("" if p.against is None else f" ({short(p.against)})"),
            }
            for p in sorted(board.points, key=lambda p: p.tokens)
            if p.tokens > 0
        ]
    )
    names = list(dict.fromkeys(v["series"] for v in values))
    known = {short(s) for s in series}
    order = names if several else [*series, *(name for name in names if name not in known)]
    look = by_series(order, names)
    in_set = {"test": "datum.pareto"}
    stairs: Spec = {
        "transform": [{"filter": "datum.pareto"}],
        "mark": {"type": "line", "interpolate": "step-after", "strokeDash": [2, 3],
                 "strokeWidth": 1.5, "color": NEUTRAL},
    }  # fmt: skip
    label: Spec = {
        "name": "labels",
        "transform": [{"filter": "datum.named"}],
        "mark": {"type": "text", "align": "left", "dx": 8, "dy": 11, "fontSize": 10.5},
        "encoding": {"text": {"field": "label", "type": "nominal"}},
    }
    point = {
        "size": {"condition": {**in_set, "value": 110}, "value": 34},
        "opacity": {"condition": {**in_set, "value": 1}, "value": 0.7},
    }
    told = tips(label="strategy", run="run", x="tokens", y="accuracy", low="from", high="to",
                said="compared")  # fmt: skip
    layers = series_layers(look, told, point)
    return whole(
        title,
        values,
        [stairs, *layers, label],
        subtitle=f"{board.problems:,} problems",
        height=360,
        encoding={
            "x": log_axis("policy-equivalent tokens per problem"),
            "y": share_axis("accuracy"),
        },
    )


def _curve(curves: Sequence[Curve], title: str, series: Sequence[str]) -> Spec:
    values = lined(
        [
            {
                "series": short(curve.series),
                "metric": curve.metric.replace("@k", f"@{point.k}"),
                "x": point.k,
                **interval(point.accuracy),
                "ceiling": curve.kind == "ceiling",
            }
            for curve in curves
            for point in curve.points
        ]
    )
    look = by_series(series, [curve.series for curve in curves])
    told = tips(series="strategy", metric="metric", x="k", y="accuracy", low="from", high="to")
    return whole(title, values, series_layers(look, told), height=360, encoding=_over_k(values))


def _reliability(curves: Sequence[Curve], title: str) -> Spec:
    values = lined(
        [
            {"series": curve.metric, "x": point.k, **interval(point.accuracy), "ceiling": False}
            for curve in curves
            for point in curve.points
        ]
    )
    names = list(dict.fromkeys(curve.metric for curve in curves))
    told = tips(series="metric", x="k", y="share of problems", low="from", high="to")
    layers = series_layers(by_series(names, names), told)
    return whole(title, values, layers, encoding=_over_k(values))


def _over_k(values: Sequence[Any]) -> Spec:
    most = max(value["x"] for value in values)
    powers = [1 << i for i in range(int(most).bit_length())]
    return {"x": log_axis("k", base=2, values=powers), "y": share_axis("accuracy")}


def _chosen(
    groups: Sequence[GroupAccuracy], entries: Sequence[Entry], by: str
) -> tuple[list[GroupAccuracy], list[Entry]]:
    """The groups of at most `MOST_STRATEGIES` entries: one sample, then the best of each kind."""
    grouped = {g.entry for g in groups if g.by == by and g.accuracy is not None}
    kinds: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda e: (e.name != "cot", e.ceiling)):  # else best first
        if entry.id in grouped:
            kinds.setdefault(_series(entry), entry)
    chosen = list(kinds.values())[:MOST_STRATEGIES]
    ids = {entry.id for entry in chosen}
    found = [g for g in groups if g.by == by and g.entry in ids and g.accuracy is not None]
    return found, chosen


def _by_group(
    groups: Sequence[GroupAccuracy],
    chosen: Sequence[Entry],
    title: str,
    by: str,
    series: Sequence[str],
) -> Spec:
    entries = {entry.id: entry for entry in chosen}
    values = [
        {
            "series": short(_series(entries[g.entry])),
            "label": short(entries[g.entry].strategy),
            "group": short(g.group, 40),
            "problems": g.problems,
            **interval(g.accuracy),
        }
        for g in groups
        if g.accuracy is not None
    ]
    names = [_series(entry) for entry in chosen]
    look = by_series([*series, *(n for n in names if n not in series)], names)
    order = sorted({str(v["group"]) for v in values}, key=_natural)
    place: Spec = {"field": "group", "type": "nominal", "sort": order, "title": by}
    offset: Spec = {"field": "series", "sort": [short(n) for n in names]}
    share = {**share_axis("accuracy"), "scale": {"domain": [0, 1]}}
    edge: Spec = {"field": "low", "type": "quantitative"}
    upright = by == "level"
    place |= {"axis": {"labelAngle": 0} if upright else {"labelLimit": 150, "title": None}}
    across, along = ("x", "y") if upright else ("y", "x")
    told = tips(label="strategy", group=by, y="accuracy", low="from", high="to",
                problems="problems")  # fmt: skip
    size: Spec = {"height": 300} if upright else {"height": {"step": 11}}
    return whole(
        title,
        values,
        [
            {
                "mark": {"type": "rule", "opacity": 0.5, "strokeWidth": 1.5},
                "encoding": {along: {**share, **edge}, f"{along}2": {"field": "high"},
                             "color": look["color"]},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
                "encoding": {**look, along: share, "tooltip": told},
            },
        ],
        encoding={across: place, f"{across}Offset": offset},
        **size,
    )  # fmt: skip


def _caps(curves: Sequence[CapCurve], title: str, names: Sequence[str]) -> Spec:
    values = lined(
        [
            {
                "series": name,
                "x": point.cap,
                **interval(point.accuracy),
                "cut": f"{point.cut:.1%}",
                "ceiling": False,
            }
            for curve, name in zip(curves, names, strict=True)
            for point in curve.points
        ]
    )
    told = tips(series="samples", x="cap", y="accuracy", low="from", high="to", cut="cut by it")
    layers = series_layers(by_series(names, names), told)
    encoding = {"x": log_axis("tokens that a completion may have"), "y": share_axis("pass@1")}
    return whole(title, values, layers, encoding=encoding)


def _pool_names(pools: Sequence[Any], named: bool) -> list[str]:
    """Pools by their run, and by the first strategy that draws from them where a run has more."""
    runs = [one.run for one in pools]
    found = []
    for one in pools:
        first = short(next(iter(one.strategies), one.pool), 40)
        parts = [short(one.run, 40)] if named else []
        found.append(", ".join([*parts, *([first] if runs.count(one.run) > 1 else [])]) or first)
    return found


def _series(entry: Entry) -> str:
    return re.sub(r"@\d+", "", entry.strategy, count=1)


def _natural(text: str) -> list[tuple[int, int, str]]:
    """A key of order in which 10 comes after 9."""
    parts = re.findall(r"(\d{1,18})|([^\d]+|\d+)", text)
    return [(0, int(number), "") if number else (1, 0, word) for number, word in parts]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "x"
