"""Tables of a comparison, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reasonbench.cli.table import percent, quantity
from reasonbench.cli.terminal import plain_table, visible
from reasonbench.metrics import Interval
from reasonbench.reports.comparison import Comparison, ProblemSets
from reasonbench.reports.contrast import Change, Contrast, Verdict, p_text, sentence

IN_FULL = 4
"""So many contrasts are shown by level and with the names of their problems."""
NAMES = 8
"""Names of problems that are printed of a list; --json and --out have all."""

_STYLES: dict[Verdict, str] = {"A": "bold", "B": "bold", "tie": ""}
_LEGEND = (
    "acc. in % with 95 % intervals, paired by problem; p: sign flips, below it with Holm's "
    "correction for all rows; r: correlation over problems; finds: the true difference (points) "
    "that 4 of 5 such comparisons find; needs: problems to find the difference that was observed"
)
_SHARES = (
    "cut (by the token limit), none (no answer), ungr. (no verdict) in % of the samples; tokens: "
    "policy-equivalent, per problem"
)


def print_comparison(console: Console, found: Comparison) -> None:
    """Everything of a comparison."""
    for letter, side in (("A", found.a), ("B", found.b)):
        console.print(
            Text.assemble((f"{letter} ", "bold"), visible(f"{side.name} · {side.model}")),
            soft_wrap=True,
        )
    warned = [d for d in found.differing if d.warns]
    if warned:
        console.print()
        console.print("Warning: the sides differ in more than what is compared:", style="yellow")
        for one in warned:
            where = f"{one.where}: " if one.where else ""
            said = f"  {where}{one.what}: {_short(one.a)} → {_short(one.b)}"
            console.print(visible(said), style="yellow")
    full = len(found.contrasts) <= IN_FULL
    for benchmark in dict.fromkeys(one.benchmark for one in found.contrasts):
        rows = [one for one in found.contrasts if one.benchmark == benchmark]
        sets = next(one for one in found.problems if one.benchmark == benchmark)
        console.print()
        console.print(Text.assemble((benchmark, "bold cyan"), f" · {sets.shared} shared problems"))
        console.print(_main(rows))
        for row in rows:
            prefix = f"{_label(row)}: " if len(rows) > 1 else ""
            console.print(Text(prefix + sentence(row.matched), style=_STYLES[row.matched.verdict]))
        console.print()
        console.print(_shares(rows))
        console.print()
        console.print(_equal(rows))
        if full:
            for row in rows:
                _in_full(console, row, f"{_label(row)}, " if len(rows) > 1 else "")
    console.print()
    console.print(f"{_LEGEND}. {_SHARES}.", style="dim")
    if not full:
        console.print("By level and with names of problems: --strategy, --json or --out.")
    for sets in found.problems:
        for line in _unpaired(sets):
            console.print(f"note: {line}", style="yellow")
    for row in found.contrasts:
        if row.unknown:
            console.print(
                f"note: {row.benchmark}, {_label(row)}: {len(row.unknown)} shared problems without "
                f"a graded result on both sides are left out: {_names(row.unknown)}.",
                style="yellow",
            )
    for note in found.notes:
        console.print(visible(f"note: {note}"), style="yellow")


def _main(rows: Sequence[Contrast]) -> Table:
    table = plain_table(
        ("strategy", 8), ("A acc.", 11), ("B acc.", 11), ("B − A", 13), ("p", 7), ("r", 5),
        ("finds", 5), ("needs", 5),
    )  # fmt: skip
    for one in rows:
        said = one.matched.paired
        table.add_row(
            _label(one) + (" (knows the gold answer)" if one.ceiling else ""),
            _accuracy(one.matched.a),
            _accuracy(one.matched.b),
            _difference(said.interval),
            f"{_p(said.p_value)}\n{_p(one.matched.adjusted)}",
            "–" if said.correlation is None else f"{said.correlation:.2f}",
            percent(one.matched.could_show),
            quantity(said.problems_needed),
            style=_STYLES[one.matched.verdict],
        )
    return table


def _shares(rows: Sequence[Contrast]) -> Table:
    table = plain_table(
        ("strategy", 8), ("", 1), ("samples", 7), ("cut", 5), ("none", 5), ("ungr.", 5),
        ("tokens", 7), left=2,
    )  # fmt: skip
    for one in rows:
        for letter, side in (("A", one.a), ("B", one.b)):
            counts, tokens = side.counts, float(side.tokens.mean())
            table.add_row(
                side.label,
                letter,
                f"{counts.samples:,}",
                percent(counts.share(counts.truncated)),
                percent(counts.share(counts.no_answer)),
                percent(counts.share(counts.ungraded)),
                quantity(tokens) if math.isfinite(tokens) else "–",
            )
    return table


def _equal(rows: Sequence[Contrast]) -> Table:
    """Both at the same tokens, or why not."""
    table = plain_table(
        ("at equal compute", 16), ("tokens", 6), ("A acc.", 11), ("B acc.", 11), ("B − A", 13),
        ("p", 7),
    )  # fmt: skip
    table.columns[0].no_wrap = False
    for one in rows:
        if one.equal is None:
            table.add_row(f"{_label(one)}: {one.no_equal}")
            continue
        at = one.equal
        said = _label(one)
        if at.mixed is not None:
            small, large, share = at.mixed
            said += f"\n{at.moved}: {100 * share:.0f} % {large}, rest {small}"
        table.add_row(
            said,
            quantity(at.tokens),
            _accuracy(at.matched.a),
            _accuracy(at.matched.b),
            _difference(at.matched.paired.interval),
            f"{_p(at.matched.paired.p_value)}\n{_p(at.matched.adjusted)}",
            style=_STYLES[at.matched.verdict],
        )
    return table


def _in_full(console: Console, one: Contrast, prefix: str) -> None:
    """By level, and the problems that changed sides."""
    if one.levels:
        table = plain_table(
            (f"{prefix}level", 8), ("problems", 8), ("A acc.", 11), ("B acc.", 11),
            ("B − A", 13), ("p", 7),
        )  # fmt: skip
        for level, matched in one.levels.items():
            table.add_row(
                visible(level),
                f"{matched.problems:,}",
                _accuracy(matched.a),
                _accuracy(matched.b),
                _difference(matched.paired.interval),
                f"{_p(matched.paired.p_value)}\n{_p(matched.adjusted)}",
                style=_STYLES[matched.verdict],
            )
        console.print()
        console.print(table)
    changes = one.changes()
    console.print()
    for said, those in (
        ("right → wrong", [c for c in changes if not c.gained]),
        ("wrong → right", [c for c in changes if c.gained]),
    ):
        console.print(
            Text.assemble((f"{prefix}{said}: ", "bold"), _changed(those)), soft_wrap=False
        )


def _changed(those: Sequence[Change]) -> str:
    if not those:
        return "none"
    said = ", ".join(f"{c.id} ({percent(c.a, 0)} → {percent(c.b, 0)})" for c in those[:NAMES])
    more = f" and {len(those) - NAMES} more" if len(those) > NAMES else ""
    return visible(f"{len(those)}: {said}{more}")


def _unpaired(sets: ProblemSets) -> list[str]:
    return [
        visible(f"{sets.benchmark}, not compared: {len(ids)} {what}: {_names(ids)}.")
        for ids, what in (
            (sets.only_a, "only in A"),
            (sets.only_b, "only in B"),
            (sets.other_text, "with another text or gold answer in B"),
        )
        if ids
    ]


def _names(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMES} more" if len(ids) > NAMES else ""
    return ", ".join(ids[:NAMES]) + more


def _label(one: Contrast) -> str:
    return one.a.label if one.a.label == one.b.label else f"{one.a.label} / {one.b.label}"


def _accuracy(found: Interval) -> str:
    return f"{percent(found.mean)}\n{percent(found.low)} – {percent(found.high)}"


def _difference(found: Interval) -> str:
    return f"{100 * found.mean:+.1f}\n[{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _p(value: float) -> str:
    return p_text(value).removeprefix("= ")


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:119] + "…"
