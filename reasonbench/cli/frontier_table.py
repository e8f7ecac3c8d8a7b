"""Tables and the chart of a frontier, for the terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reasonbench.cli.plot import plot
from reasonbench.cli.table import percent, quantity
from reasonbench.cli.terminal import plain_table
from reasonbench.frontier import Board, Judged, Status
from reasonbench.matched import Against
from reasonbench.metrics import Interval
from reasonbench.optimal import BinResult, Choice, Optimal

_MARKS: dict[Status, tuple[str, str]] = {
    "frontier": ("●", "bold green"),
    "flat": ("○", "green"),
    "tie": ("≈", "yellow"),
    "worse": ("▽", "dim"),
    "ceiling": ("◇", "dim"),
}

_LEGEND = (
    "tokens: policy-equivalent, per problem; acc., cut (by the token limit) in %. ● Pareto set; "
    "○ in it, but the gain over the next cheaper may be chance; ▽ worse than the best that costs "
    "no more; ≈ not shown to be worse; ◇ knows the gold answer, in no comparison. Differences with "
    "95 % intervals, paired by problem, uncorrected; the marks are corrected (Holm, 5 %)"
)
_OPTIMAL = (
    "optimal: per bin of difficulty, the best on one fold that costs no more than the budget is "
    "scored on the other; single: the same without bins; tokens: as spent; +n: and n others on "
    "other folds; gain: optimal − single, paired, * where significant after Holm's correction; "
    "intervals take the choices as given; the cost of estimating difficulty is not in the tokens"
)
_AGAINST = (
    "there: at as many mean tokens per problem, interpolated between its sizes by the logarithm of "
    "the tokens; differences paired by problem with 95 % intervals, uncorrected; * where "
    "significant after Holm's correction"
)


def print_board(
    console: Console,
    board: Board,
    judged: Sequence[Judged],
    chosen: Optimal | None,
    matched: Against | None,
    level: str | None,
) -> None:
    """Everything of one board."""
    several = len(board.runs) > 1
    head = Text.assemble((board.benchmark, "bold cyan"), f" · {len(board.problems)} problems")
    console.print(head + Text(f"{f' of level {level}' if level else ''} · {board.model}"))
    console.print(_points(board, judged, several=several))
    console.print(_LEGEND, style="dim")
    if chosen is not None:
        console.print()
        console.print(_budgets(chosen))
        console.print()
        console.print(_choices(chosen))
        console.print(f"{_OPTIMAL}. Difficulty: {chosen.difficulty}", style="dim")
    if matched is not None:
        console.print()
        console.print(_matches(board, matched))
        left_out = ", ".join(board.points[i].label for i in matched.outside)
        console.print(
            _AGAINST + (f"; outside of its range: {left_out}" if left_out else ""), style="dim"
        )
    drawn = _chart(board, judged, chosen, several=several)
    if drawn is not None:
        console.print()
        console.print(drawn)
    for note in (*board.notes, *(chosen.notes if chosen else ())):
        console.print(f"note: {note}", style="yellow")


def _points(board: Board, judged: Sequence[Judged], *, several: bool) -> Table:
    columns = [("", 1), ("strategy", 10), *([("run", 4)] if several else [])]
    table = plain_table(
        *columns, ("tokens", 6), ("acc.", 5), ("95 % interval", 13), ("cut", 4),
        ("against", 8), ("difference", 20), left=len(columns),
    )  # fmt: skip
    table.columns[-2].justify, table.columns[-2].no_wrap = "left", False
    labels = Counter(point.label for point in board.points)
    for i in sorted(range(len(judged)), key=lambda i: judged[i].tokens):
        point, found = board.points[i], judged[i]
        mark, style = _MARKS[found.status]
        against = difference = ""
        if found.comparison is not None:
            rival = board.points[found.comparison.against]
            against = rival.label + (f" ({rival.run})" if labels[rival.label] > 1 else "")
            difference = _difference(found.comparison.paired.interval)
        table.add_row(
            mark,
            point.label,
            *([point.run] if several else []),
            quantity(found.tokens),
            percent(found.accuracy.mean),
            _interval(found.accuracy),
            percent(point.truncated),
            against,
            difference,
            style=style,
        )
    return table


def _matches(board: Board, matched: Against) -> Table:
    """The best one first."""
    table = plain_table(
        ("strategy", 10), ("tokens", 6), ("acc.", 5), (f"{matched.series} there", 10),
        ("difference", 20), left=1,
    )  # fmt: skip
    table.columns[3].no_wrap = False
    for match in sorted(matched.matches, key=lambda match: -match.paired.difference):
        table.add_row(
            board.points[match.point].label,
            quantity(float(board.tokens[match.point].mean())),
            percent(float(board.scores[match.point].mean())),
            percent(match.reached),
            _difference(match.paired.interval) + ("*" if match.significant else " "),
        )
    return table


def _budgets(chosen: Optimal) -> Table:
    table = plain_table(
        ("budget", 6), ("optimal", 7), ("95 % interval", 13), ("tokens", 6), ("single", 6),
        ("tokens", 6), ("gain", 20), ("single is", 9), left=0,
    )  # fmt: skip
    table.columns[-1].justify, table.columns[-1].no_wrap = "left", False
    for at in chosen.curve:
        table.add_row(
            quantity(at.budget),
            percent(at.accuracy.mean),
            _interval(at.accuracy),
            quantity(at.tokens),
            percent(at.single.mean),
            quantity(at.single_tokens),
            _difference(at.gain.interval) + ("*" if at.significant else " "),
            _said(chosen, at.single_choices),
        )
    return table


def _choices(chosen: Optimal) -> Table:
    """What was chosen for each bin, and what it reached there."""
    count = max(len(at.bins) for at in chosen.curve)
    titles = [f"bin {b + 1}" for b in range(count)]
    titles[0], titles[-1] = f"{titles[0]} (hard)", f"{titles[-1]} (easy)"
    table = plain_table(("budget", 6), *((title, 8) for title in titles), left=1 + count)
    table.columns[0].justify = "right"
    for at in chosen.curve:
        table.add_row(quantity(at.budget), *(_bin(chosen, found) for found in at.bins))
    return table


def _bin(chosen: Optimal, found: BinResult) -> str:
    if found.accuracy is None:
        return "–"
    return f"{_said(chosen, found.choices)} {percent(found.accuracy.mean)}"


def _said(chosen: Optimal, choices: Sequence[Choice]) -> str:
    """The choice that serves most problems, and whether others serve some."""
    served: Counter[int] = Counter()
    for choice in choices:
        served[choice.candidate] += choice.problems
    ((most, _),) = served.most_common(1)
    others = f" +{len(served) - 1}" if len(served) > 1 else ""
    return chosen.candidates[most].label + others


def _interval(found: Interval) -> str:
    return f"{percent(found.low)} – {percent(found.high)}"


def _difference(found: Interval) -> str:
    return f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _chart(
    board: Board, judged: Sequence[Judged], chosen: Optimal | None, *, several: bool
) -> Text | None:
    """Accuracy over tokens; None where all points cost the same."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for point, found in zip(board.points, judged, strict=True):
        if not point.ceiling and found.tokens > 0:
            name = f"{point.series} ({point.run})" if several else point.series
            curves.setdefault(name, []).append((found.tokens, found.accuracy.mean))
    if chosen is not None:
        curves["optimal"] = [(at.tokens, at.accuracy.mean) for at in chosen.curve]
        curves["best single, cross-validated"] = [
            (at.single_tokens, at.single.mean) for at in chosen.curve
        ]
    xs = sorted({x for points in curves.values() for x, _ in points})
    if len(xs) < 2:
        return None
    first, last = math.ceil(math.log2(xs[0])), math.floor(math.log2(xs[-1]))
    ticks = [(2.0**i, quantity(2**i)) for i in range(first, last + 1)]
    return plot(f"{board.benchmark}: accuracy (%) over tokens", curves, ticks, "tok.")
