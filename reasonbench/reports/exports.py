"""The leaderboard as files: Markdown, CSV, LaTeX, and results for model pages."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from reasonbench.errors import UsageError
from reasonbench.reports.data import Entry, Reference, Report
from reasonbench.reports.hub_results import hub_results
from reasonbench.runs import atomic_write
from reasonbench.runs.tables import latex_text, markdown_text

Escape = Callable[[str], str]


UNKNOWN = "–"
"""What stands for an unknown number where people read; in CSV nothing does."""


class Column(NamedTuple):
    """A column of the tables for reading.

    Attributes:
        text: whether it holds text, which is escaped and stands on the left.
        show: what stands in it; `UNKNOWN` for what is unknown.
    """

    title: str
    text: bool
    show: Callable[[Entry], str]


def exports(report: Report) -> dict[str, str]:
    """`leaderboard.md`, `.csv` and `.tex`, and `.eval_results/*.yaml`: texts by their paths."""
    return {
        "leaderboard.md": markdown(report),
        "leaderboard.csv": table(report),
        "leaderboard.tex": latex(report),
        **hub_results(report),
    }


def write_exports(report: Report, folder: Path) -> list[Path]:
    """Write all `exports` into a folder.

    Returns:
        The files.

    Raises:
        UsageError: one cannot be written.
    """
    return [write_export(folder / name, text) for name, text in exports(report).items()]


def write_export(path: Path, text: str) -> Path:
    """Write one of them, with the folders that it lies in.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}.") from error
    atomic_write(path, text)
    return path


def markdown(report: Report) -> str:
    """A table for each benchmark in GitHub's Markdown, with what must be known to read it."""
    parts = ["# Leaderboard\n"]
    for benchmark, rows in _by_benchmark(report):
        columns = _columns(rows)
        parts.append(f"\n## {markdown_text(benchmark)}\n\n")
        lines = [
            [column.title for column in columns],
            ["---" if column.text else "---:" for column in columns],
            *(_cells(columns, row, markdown_text) for row in rows),
        ]
        parts += (f"| {' | '.join(line)} |\n" for line in lines)
        notes = [f"- {markdown_text(note)}\n" for note in _ranking_notes(report, benchmark)]
        parts += ["\n", *notes] if notes else []
    parts.append(f"\n{_LEGEND}\n")
    if report.notes:
        parts += ["\n## Notes\n\n", *(f"- {markdown_text(note)}\n" for note in report.notes)]
    if report.references:
        parts.append("\n## Published figures (not measured here)\n\n")
        parts.append("| Model | Benchmark | Metric | Accuracy (%) | Source |\n")
        parts.append("| --- | --- | --- | ---: | --- |\n")
        for one in report.references:
            cells = [markdown_text(cell) for cell in _reference(one)]
            parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def latex(report: Report) -> str:
    r"""A `tabular` for each benchmark, with the rules of the booktabs package."""
    parts = ["% needs \\usepackage{booktabs}\n"]
    for benchmark, rows in _by_benchmark(report):
        columns = _columns(rows)
        parts.append(f"\n% {_comment(benchmark)}\n")
        parts.append(
            _tabular(
                "".join("l" if column.text else "r" for column in columns),
                [latex_text(column.title) for column in columns],
                [_cells(columns, row, latex_text) for row in rows],
            )
        )
        parts += (f"% {_comment(note)}\n" for note in _ranking_notes(report, benchmark))
    parts += (f"% note: {_comment(note)}\n" for note in report.notes)
    if report.references:
        parts.append("\n% published figures, not measured here\n")
        parts.append(
            _tabular(
                "lllrl",
                [
                    latex_text(title)
                    for title in ("Model", "Benchmark", "Metric", "Published (%)", "Source")
                ],
                [[latex_text(cell) for cell in _reference(one)] for one in report.references],
            )
        )
    return "".join(parts)


def table(report: Report) -> str:
    """Every field of every entry as CSV, in full precision; published figures are not in it."""
    text = io.StringIO()
    writer: Any = None
    for entry in report.entries:
        flat = dict(_flat(entry))
        if writer is None:
            writer = csv.DictWriter(text, list(flat), lineterminator="\n")
            writer.writeheader()
        writer.writerow(flat)
    return text.getvalue()


def rank_text(entry: Entry) -> str:
    """ "2", or "2–5" where the data do not tell more; empty where it is not ranked."""
    if entry.rank is None:
        return ""
    best, worst = entry.rank
    return str(best) if best == worst else f"{best}–{worst}"


_LEGEND = (
    "Accuracies with their 95 % problem interval. Ranks are ranges: entries whose ranges overlap "
    "are tied (paired permutation tests on the same problems, Holm's correction); an oracle is "
    "never ranked. Cut, no answer and ungraded are shares of the samples; the first two count as "
    "wrong. Tokens are those of one completion; all that follow are means per problem."
)

_ALWAYS = (
    Column("Rank", False, rank_text),
    Column("Model", True, lambda e: e.model),
    Column("Run", True, lambda e: e.run),
    Column("Strategy", True, lambda e: e.strategy),
    Column("Metric", True, lambda e: e.metric + (" (oracle)" if e.ceiling else "")),
    Column("Accuracy (%)", False, lambda e: _percent(e.accuracy.value if e.accuracy else None)),
    Column("95 % interval", False, lambda e: _interval(e)),
    Column("Problems", False, lambda e: str(e.problems)),
    Column("Cut (%)", False, lambda e: _percent(e.truncated)),
    Column("No answer (%)", False, lambda e: _percent(e.no_answer)),
    Column("Ungraded (%)", False, lambda e: _percent(e.ungraded)),
    Column("Completed (%)", False, lambda e: _percent(e.completed_accuracy)),
    Column("Tokens", False, lambda e: _number(e.tokens_mean)),
    Column("p50", False, lambda e: _number(e.tokens_p50)),
    Column("p95", False, lambda e: _number(e.tokens_p95)),
    Column("Decoded", False, lambda e: _number(e.decode_tokens)),
    Column("FLOPs", False, lambda e: _short(e.flops)),
    Column("Seconds", False, lambda e: _short(e.seconds)),
)


def _columns(rows: Sequence[Entry]) -> list[Column]:
    """Those that always stand there, and those of which anything is known."""
    columns = list(_ALWAYS)
    if any(e.mixed is not None for e in rows):
        columns.insert(
            11, Column("Mixed (%)", False, lambda e: _percent(e.mixed.share if e.mixed else None))
        )
    if any(e.reward_tokens for e in rows):
        columns.insert(-2, Column("Reward tokens", False, lambda e: _number(e.reward_tokens)))
    if any(e.dollars is not None for e in rows):
        columns.append(Column("USD", False, lambda e: _short(e.dollars)))
    return columns


def _by_benchmark(report: Report) -> Iterator[tuple[str, list[Entry]]]:
    for benchmark in report.benchmarks:
        yield benchmark, [entry for entry in report.entries if entry.benchmark == benchmark]


def _ranking_notes(report: Report, benchmark: str) -> list[str]:
    return [one.note for one in report.rankings if one.benchmark == benchmark and one.note]


def _cells(columns: Sequence[Column], entry: Entry, escape: Escape) -> list[str]:
    return [escape(column.show(entry)) for column in columns]


def _reference(one: Reference) -> tuple[str, str, str, str, str]:
    source = f"{one.source} ({one.note})" if one.note else one.source
    return one.model, one.benchmark, one.metric, _percent(one.value), source


def _tabular(columns: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = "".join(f"{' & '.join(row)} \\\\\n" for row in rows)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{' & '.join(head)} \\\\\n\\midrule\n{body}"
        "\\bottomrule\n\\end{tabular}\n"
    )


def _flat(entry: Entry) -> Iterator[tuple[str, Any]]:
    """The fields of an entry, tuples taken apart."""
    for one in fields(entry):
        value = getattr(entry, one.name)
        if one.name == "accuracy":
            yield "accuracy", None if value is None else value.value
            yield "interval_low", None if value is None else value.low
            yield "interval_high", None if value is None else value.high
            yield "interval_kind", None if value is None else value.kind
        elif one.name == "bounds":
            yield "bound_low", None if value is None else value[0]
            yield "bound_high", None if value is None else value[1]
        elif one.name == "rank":
            yield "rank_best", None if value is None else value.best
            yield "rank_worst", None if value is None else value.worst
        elif one.name == "mixed":
            yield "mixed", None if value is None else value.share
            yield "mixed_counted", None if value is None else value.counted
        elif one.name != "id":
            yield one.name, value


def _interval(entry: Entry) -> str:
    if entry.accuracy is None:
        return UNKNOWN
    return f"{_percent(entry.accuracy.low)}–{_percent(entry.accuracy.high)}"


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.1f}"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f}"


def _short(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3g}"


def _comment(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
