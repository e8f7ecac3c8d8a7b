"""Published figures to lay beside a report: never measured here, and marked so."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path

from reasonbench.reports.data import Reference

FILE = Path(__file__).with_name("references.toml")
"""Figures by their source, in per cent as printed."""


def references(benchmarks: Collection[str]) -> tuple[Reference, ...]:
    """Every published figure; those of the given benchmarks first.

    Args:
        benchmarks: that the report has entries of.
    """
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    found = [
        Reference(
            model=figure["model"],
            benchmark=figure["benchmark"],
            metric=figure["metric"],
            value=figure["value"] / 100,
            source=f"{source['name']}, {figure['where']}",
            url=source["url"],
            note=figure.get("note", ""),
            measured=figure["benchmark"] in benchmarks,
        )
        for source in data["source"]
        for figure in source["figures"]
    ]
    return tuple(sorted(found, key=lambda one: not one.measured))
