"""`reasonbench report`: runs as one page to publish, with its tables and pictures."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from reasonbench.reports.charts import Chart
    from reasonbench.reports.data import Entry, Report

PAGE = "report.html"
PICTURES = "charts"
VIEWER = Path("viewer/index.html")
FORMS = ("png", "svg")
OURS = re.compile(
    rf"leaderboard\.(?:md|csv|tex)|{PICTURES}/[\w-][\w.-]*\.(?:{'|'.join(FORMS)})"
    r"|(?:[\w-][\w.-]*/)?\.eval_results/[\w-][\w.-]*\.yaml"
)
"""Files that a report may have written: what else an earlier page names is left alone."""


@click.command(name="report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--out", type=click.Path(path_type=Path), required=True,
              help="Folder to write to; an earlier report in it is replaced.")  # fmt: skip
@click.option("--reference", is_flag=True,
              help="Also published figures, marked as not measured here.")  # fmt: skip
@click.option("--no-pictures", is_flag=True, help="Do not draw PNG and SVG of every chart.")
@click.option("--gpu-price", type=click.FloatRange(min=0),
              help="US dollars per GPU-hour, of all runs; their own prices otherwise.")  # fmt: skip
@click.option("--viewer", type=click.Path(path_type=Path),
              help="A viewer's index.html to link samples to.  [default: viewer/index.html in the "
              "folder, where `reasonbench view RUN --out` made it]")  # fmt: skip
def command(
    runs: tuple[Path, ...],
    out: Path,
    reference: bool,
    no_pictures: bool,
    gpu_price: float | None,
    viewer: Path | None,
) -> None:
    """Write a report: one HTML page that fetches nothing, its tables and its charts.

    RUN is a run's folder, or a folder of runs. The page has the leaderboard with ranges of rank,
    accuracy against compute and over k, by level, subject and token cap, lengths, solve rates,
    calibration, protocols with their deviations, and what produced the runs. Beside it lie
    leaderboard.md, .csv and .tex, .eval_results/*.yaml, and PNG and SVG of every chart.
    """
    from reasonbench.cli.show import expand
    from reasonbench.cli.terminal import terminal, visible
    from reasonbench.reports.charts import report_charts
    from reasonbench.reports.exports import exports, write_export
    from reasonbench.reports.leaderboard import read_report
    from reasonbench.reports.page import environment, runtime
    from reasonbench.reports.report_page import report_page
    from reasonbench.runs import atomic_write

    before = _earlier(out)
    linked = _viewer(viewer, out)
    environment()
    runtime()  # what is not installed is told before runs are read
    folders = list(dict.fromkeys(folder for run in runs for folder in expand(run)))
    report = read_report(folders, references=reference)
    priced = ""
    if gpu_price is not None:
        report = priced_report(report, gpu_price)
        priced = f"Dollars: seconds of the run's GPUs at ${gpu_price:g} an hour each."
    charts = report_charts(report)
    drawn = [] if no_pictures else [f"{PICTURES}/{c.name}.{form}" for c in charts for form in FORMS]
    written = exports(report)
    made = [*written, *drawn]
    _check_free(out, [name for name in made if name not in before])
    html = report_page(
        report,
        charts,
        pictures=not no_pictures,
        files=list(written),
        made=made,
        viewer=linked,
        priced=priced,
    )
    out.mkdir(parents=True, exist_ok=True)
    _remove(out, before.difference(made))
    # first, so that a report that is killed has the names of all that it wrote
    atomic_write(out / PAGE, html)
    for name, text in written.items():
        write_export(out / name, text)
    if not no_pictures:
        _draw(charts, out / PICTURES)
    terminal().print(
        f"{len(report.entries):,} entries, {len(charts):,} charts, "
        f"{1 + len(written) + len(drawn):,} files written",
        visible(f"open {out / PAGE}"),
        sep="\n",
        soft_wrap=True,
    )


def _earlier(out: Path) -> set[str]:
    """The files of an earlier report in the folder, beside its page.

    Raises:
        UsageError: what is there is no report of ours.
    """
    from reasonbench.reports.page import GENERATOR
    from reasonbench.reports.report_page import MADE

    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out names a folder.")
    page = out / PAGE
    if not page.is_file():
        _check_free(out, [PAGE])
        return set()
    text = page.read_text(encoding="utf-8", errors="replace")
    found = re.search(rf'<script type="application/json" id="{MADE}">(.*?)</script>', text)
    if f'name="generator" content="{GENERATOR}' not in text[:4_000] or found is None:
        raise UsageError(
            f"{page} is not a report of reasonbench: it is not overwritten. Choose another folder "
            "for --out, or remove it."
        )
    return {str(name) for name in json.loads(found[1]) if OURS.fullmatch(str(name))}


def _check_free(out: Path, names: Sequence[str]) -> None:
    """Raises UsageError where a file that no earlier report wrote would be overwritten."""
    there = [name for name in names if os.path.lexists(out / name)]
    if there:
        more = f" and {len(there) - 5} more" if len(there) > 5 else ""
        raise UsageError(
            f"{out} has {', '.join(there[:5])}{more}, but not of a report of reasonbench: nothing "
            "is written. Choose another folder for --out, or remove them."
        )


def _remove(out: Path, names: Collection[str]) -> None:
    """Remove files of an earlier report, and the folders that are empty then."""
    for name in names:
        (out / name).unlink(missing_ok=True)
    folders = {parent for name in names for parent in PurePosixPath(name).parents}
    for folder in sorted(folders - {PurePosixPath(".")}, key=lambda f: -len(f.parts)):
        with suppress(OSError):  # something of others is in it
            (out / folder).rmdir()


def _viewer(viewer: Path | None, out: Path) -> str | None:
    """The address of the viewer as a link of the page: beside it where it is below the folder.

    Raises:
        UsageError: there is no viewer where one was named.
    """
    if viewer is None:
        return VIEWER.as_posix() if (out / VIEWER).is_file() else None
    page = viewer / VIEWER.name if viewer.is_dir() else viewer
    if not page.is_file():
        raise UsageError(f"{viewer} is no viewer; `reasonbench view RUN --out {viewer}` makes one.")
    return quote(os.path.relpath(page.resolve(), out.resolve()))


def priced_report(report: Report, price: float) -> Report:
    """The report with dollars by the seconds of each entry; what tokens cost stays as it was."""
    configs = {run.run: run.config for run in report.runs}

    def with_price(entry: Entry) -> Entry:
        config = configs[entry.run]
        # a price of the GPU is the run's own; dollars without one are of tokens
        by_token = entry.dollars is not None and config.get("gpu_price") is None
        if entry.seconds is None or by_token:
            return entry
        return replace(entry, dollars=entry.seconds * price * config.get("gpus", 1) / 3600)

    return replace(report, entries=tuple(with_price(entry) for entry in report.entries))


def _draw(charts: Sequence[Chart], folder: Path) -> None:
    """Write every chart in every form."""
    from reasonbench.reports.vega import render
    from reasonbench.runs.files import replacing

    folder.mkdir(exist_ok=True)
    for chart in charts:
        for form in FORMS:
            with replacing(folder / f"{chart.name}.{form}") as partial:
                partial.write_bytes(render(chart.spec, form))
