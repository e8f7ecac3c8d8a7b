"""The page of a report: leaderboard, charts, protocols, stack, published figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import quote

from reasonbench.reports.charts import Chart
from reasonbench.reports.data import Entry, Protocol, Ranking, Report, RunStack
from reasonbench.reports.exports import rank_text
from reasonbench.reports.leaderboard import TRUNCATED
from reasonbench.reports.page import page
from reasonbench.reports.shown import short, shown

MOST_GROUPS = 2_000
"""Rows of the table of levels and subjects."""

MADE = "reasonbench-files"
"""Id of the JSON in the page that lists the files beside it."""

SETTINGS = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "n")
"""Settings of a pool that have a column of their own."""


class Finding(NamedTuple):
    """What a ranking says about its first place."""

    benchmark: str
    sentence: str


def report_page(
    report: Report,
    charts: Sequence[Chart],
    *,
    pictures: bool = False,
    files: Sequence[str] = (),
    made: Sequence[str] = (),
    viewer: str | None = None,
    priced: str = "",
) -> str:
    """The page as HTML.

    Args:
        charts: of `report_charts`.
        pictures: PNG and SVG of every chart lie in `charts/` beside the page.
        files: what else lies beside it, as links.
        made: all files that belong to it: whoever replaces the page may remove them.
        viewer: address of the sample viewer, relative to the page.
        priced: how dollars came about, where the runs do not say it.

    Raises:
        UsageError: jinja2 or vl-convert is not installed.
    """
    entries = {entry.id: entry for entry in report.entries}
    groups = [(entries[g.entry], g) for g in report.groups]
    context = {
        "report": report,
        "lead": _lead(report),
        "findings": [
            found
            for ranking in report.rankings
            if (found := _finding(ranking, entries, named=len(report.runs) > 1))
        ],
        "rows": [
            {
                "entry": e,
                "rank": rank_text(e),
                "said": _said(e),
                "samples": _samples(e, report.protocols, viewer),
            }
            for e in report.entries
        ],
        "known": {
            "mixed": any(e.mixed for e in report.entries),
            "reward_tokens": any(e.reward_tokens for e in report.entries),
            "dollars": any(e.dollars is not None for e in report.entries),
        },
        "limit": TRUNCATED,
        "several_runs": len(report.runs) > 1,
        "several_models": len({e.model for e in report.entries}) > 1,
        "sections": [(name, list(those)) for name, those in groupby(charts, lambda c: c.benchmark)],
        "groups": groups[:MOST_GROUPS],
        "groups_left": max(0, len(groups) - MOST_GROUPS),
        "protocols": [_protocol(one, report.benchmarks) for one in report.protocols],
        "stacks": [_stack(one) for one in report.runs],
        "pictures": pictures,
        "files": files,
        "made_id": MADE,
        "made": list(made),
        "viewer": viewer,
        "priced": priced,
    }
    title = "Report: " + _listed([short(run.run, 60) for run in report.runs])
    return page(title, "report.html.j2", context, charts={c.name: c.spec for c in charts})


def _lead(report: Report) -> str:
    models = list(dict.fromkeys(short(e.model, 60) for e in report.entries))
    benchmarks = [short(name, 60) for name in report.benchmarks]
    samples = sum(run.samples for run in report.runs)
    runs = f", {len(report.runs)} runs" if len(report.runs) > 1 else ""
    written = max((run.written for run in report.runs if run.written), default=None)
    when = f", {written[:10]}" if written else ""
    if not report.entries:
        return f"No results yet{runs}, {samples:,} graded samples{when}."
    return (
        f"{_listed(models)} on {_listed(benchmarks)}: {len(report.entries)} entries{runs}, "
        f"{samples:,} graded samples{when}."
    )


def _finding(ranking: Ranking, entries: Mapping[str, Entry], *, named: bool) -> Finding | None:
    ranked = [entries[i] for i in ranking.entries if entries[i].rank is not None]
    first = [e for e in ranked if e.rank is not None and e.rank.best == 1]
    if len(ranked) < 2 or not first:
        return None
    leader = first[0]
    who = short(leader.strategy, 60) + (f" of {short(leader.run, 40)}" if named else "")
    reached = ""
    if leader.accuracy is not None:
        value, low, high = (100 * part for part in leader.accuracy[:3])
        reached = f" ({value:.1f} %, 95 % interval {low:.1f} to {high:.1f})"
    others = len(ranked) - 1
    if len(first) == 1:
        said = f"{who} is first{reached}, ahead of {others} other{'s' * (others > 1)}"
    else:
        said = (
            f"{len(first)} of {len(ranked)} are tied for the first place; the highest estimate is "
            f"{who}{reached}"
        )
    return Finding(ranking.benchmark, f"{said}. {ranking.problems:,} problems.")


def _said(entry: Entry) -> str:
    """What the strategy's name does not say: its metric, its reward, its step."""
    said = [] if entry.metric == entry.strategy.partition(":")[0] else [entry.metric]
    said += [f"by {short(entry.reward, 60)}"] if entry.reward else []
    said += [f"step {entry.step:,}"] if entry.step is not None else []
    return ", ".join(said)


def _samples(entry: Entry, protocols: Iterable[Protocol], viewer: str | None) -> str | None:
    """Where the viewer has an entry's samples."""
    if viewer is None:
        return None
    for one in protocols:
        if (one.run, one.benchmark) == (entry.run, entry.benchmark):
            pool = one.strategies.get(entry.strategy)
            if pool is not None:
                parts = (entry.run, pool, str(entry.weight_version))
                source = "/".join(quote(part, safe="") for part in parts)
                benchmark = quote(shown(entry.benchmark), safe="")
                return f"{viewer}#/problems?source={quote(source, safe='')}&benchmark={benchmark}"
    return viewer


def _protocol(one: Protocol, benchmarks: Sequence[str]) -> dict[str, Any]:
    """A protocol as its section shows it."""
    # a run says these of all its benchmarks together
    others = tuple(f"{name}, " for name in benchmarks if name != one.benchmark)
    elsewhere = [f" on {name}: " for name in benchmarks if name != one.benchmark]
    columns = [c for c in SETTINGS if any(p.get(c) is not None for p in one.pools.values())]
    pools = []
    for name, settings in one.pools.items():
        drawing = [strategy for strategy, pool in one.strategies.items() if pool == name]
        other = {k: v for k, v in settings.items() if k not in columns and k != "search"}
        pools.append(
            {
                "strategies": ", ".join(drawing) or name,
                "cells": [_text(settings.get(column)) for column in columns],
                "other": ", ".join(f"{key} {text}" for key, text in _flat(other)),
            }
        )
    facts = [
        ("protocol", one.name or "none"),
        ("problems", f"{one.problems:,} from {one.source or 'an unknown source'}"),
        ("revision", one.revision or "none given"),
        ("reward", one.reward),
        ("budget", None if one.budget is None else f"{one.budget:,} tokens a problem"),
    ]
    return {
        "protocol": one,
        "facts": [(name, value) for name, value in facts if value],
        "deviations": [text for text in one.deviations if not any(b in text for b in elsewhere)],
        "notes": [note for note in one.notes if not note.startswith(others)],
        "columns": [column.replace("_", " ") for column in columns],
        "pools": pools,
    }


def _stack(one: RunStack) -> dict[str, Any]:
    """What produced a run as its section shows it."""
    packages = one.stack.get("packages", {})
    machine = {key: value for key, value in one.stack.items() if key != "packages"}
    reward = {} if one.reward is None else {"reward": one.reward}
    facts = [
        ("created", one.created),
        ("results written", one.written),
        ("seed", one.seed),
        ("graded samples", f"{one.samples:,}"),
        *_flat({"model": one.model, **reward, **machine}),
    ]
    return {
        "run": one.run,
        "complete": one.complete,
        "facts": [(name, value) for name, value in facts if value is not None],
        "versions": list(_flat(packages)),
        # an unknown number of tokens is said, not left out
        "usage": [(name.replace("_", " "), _text(value)) for name, value in one.usage.items()],
        "config": json.dumps(one.config, indent=1, ensure_ascii=False, default=str),
    }


def _flat(value: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    """Every leaf of nested settings with its path; nothing is left out but what is empty."""
    for key, inner in value.items():
        again = before.split(" ")[-1] == key  # "model": {"model": …}
        name = before if again else f"{before} {key}".strip().replace("_", " ")
        if isinstance(inner, Mapping):
            yield from _flat(inner, name)
        elif inner not in (None, [], ""):
            yield name, _text(inner)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(_text(one) for one in value)
    return str(value)


def _listed(names: Sequence[str]) -> str:
    """Up to three names, and how many more."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
