"""Tables and the small chart of a run, for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reasonbench.cli.plot import plot
from reasonbench.results import RELIABILITY
from reasonbench.runs.tables import is_headline, model_label
from reasonbench.runs.tables import strategy_label as label

Row = Mapping[str, Any]
Result = Mapping[str, Any]


def metric_name(row: Row) -> str:
    """ "maj@16" of the metric maj@k at k = 16; "asc@≤40" where at most so many were drawn."""
    name: str = row["metric"]
    at = "@≤" if row.get("samples_used") is not None else "@"
    return name.replace("@k", f"{at}{row['k']}").replace("^k", f"^{row['k']}")


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def quantity(value: float | None) -> str:
    """A count with a unit: 1.2k, 3.4M, 5.6T."""
    if value is None:
        return "–"
    for size, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):,.1f}{unit}"
    return f"{value:,.0f}"


def leaderboard(result: Mapping[str, Any], benchmark: str) -> Table:
    """The table of one benchmark: accuracy with its interval, faults, and costs.

    It fits 80 columns; the widths are fixed so that tables below each other line up.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    steps = len({row.get("step") for row in result["rows"]}) > 1
    narrow = _judged(result) or steps
    table.add_column("strategy", overflow="fold", min_width=8 if narrow else 14)
    table.add_column("metric", no_wrap=not narrow, overflow="fold", min_width=7)
    interval = {"95 % int.": 10} if narrow else {"95 % interval": 13}
    widths = {"acc.": 5, **interval, "cut": 4, "none": 4, "ungr.": 5}
    costs = [column for column in COSTS if column.shown(result)]
    if steps:
        widths = {"step": 5, **widths}
    for name, width in (*widths.items(), *((c.title, c.width) for c in costs)):
        table.add_column(name, justify="right", no_wrap=True, min_width=width)
    for row in filter(is_headline, result["rows"]):
        if row["benchmark"] == benchmark:
            table.add_row(
                label(row),
                metric_name(row),
                *([f"{row['step']:,}"] if steps else []),
                percent(row["accuracy"]),
                _interval(row, "–" if narrow else " – "),
                percent(row["truncated"]),
                percent(row["no_answer"]),
                percent(row["ungraded"]),
                *(column.show(row.get(column.field)) for column in costs),
            )
    return table


def _legend(results: Sequence[Mapping[str, Any]]) -> str:
    said = "acc., cut (by the token limit), none (no answer), ungr. (no verdict) in %"
    if any(column.shown(result) for result in results for column in COSTS):
        said += "; tokens, FLOPs and seconds per problem for all k samples"
    if any(_judged(result) for result in results):
        said += "; equal: prompt, decoded and reward tokens as tokens of the policy"
    return said


def _has(result: Mapping[str, Any], name: str) -> bool:
    return any(row.get(name) is not None for row in result["rows"])


def _judged(result: Mapping[str, Any]) -> bool:
    """Whether decoded tokens alone do not say what an answer cost."""
    protocol = result["protocol"]
    benchmarks = protocol.get("benchmarks", {}).values()
    searches = any(task.get("searches") for task in benchmarks)
    return bool(searches or protocol.get("reward") or protocol.get("budget"))


def _interval(row: Row, to: str) -> str:
    low, high = row["interval"]
    return "–" if low is None else f"{percent(low)}{to}{percent(high)}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _dollars(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


class Column(NamedTuple):
    """A column that only stands where something is known.

    Attributes:
        field: of a row.
        title, width: of the column.
        show: the cell of a value.
        always: it stands wherever something is known; else only with rewards and searches.
    """

    field: str
    title: str
    width: int
    show: Callable[[float | None], str]
    always: bool = True

    def shown(self, result: Mapping[str, Any]) -> bool:
        """Whether it stands in the table of these results."""
        return _has(result, self.field) and (self.always or _judged(result))


COSTS = (
    Column("decode_tokens", "tokens", 6, quantity),
    Column("policy_tokens", "equal", 6, quantity, always=False),
    Column("flops", "FLOPs", 6, quantity),
    Column("seconds", "s", 5, _seconds),
    Column("dollars", "USD", 5, _dollars),
)


def levels(rows: Sequence[Row]) -> Table | None:
    """Accuracy by level, a column for each strategy; None where nothing has levels."""
    leveled = [
        row
        for row in rows
        if row["level"] is not None and (row["strategy"] == "cot" or row["k"] == row["n"])
    ]
    if not leveled:
        return None
    strategies = list(dict.fromkeys(label(row) for row in leveled))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("benchmark", no_wrap=True)
    table.add_column("level", justify="right")
    table.add_column("problems", justify="right")
    for name in strategies:
        table.add_column(name, justify="right", overflow="fold")
    last = None
    for benchmark, level in dict.fromkeys((r["benchmark"], r["level"]) for r in leveled):
        here = {label(r): r for r in leveled if (r["benchmark"], r["level"]) == (benchmark, level)}
        table.add_row(
            benchmark if benchmark != last else "",
            level,
            str(next(iter(here.values()))["problems"]),
            *(percent(here[s]["accuracy"]) if s in here else "" for s in strategies),
        )
        last = benchmark
    return table


def chart(rows: Sequence[Row], benchmark: str, height: int = 10, width: int = 48) -> Text | None:
    """Accuracy over k (log₂) of every strategy, drawn with characters; None for fewer than 2 k."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["benchmark"] == benchmark and row["level"] is None and row["subject"] is None:
            if row["metric"] in RELIABILITY or row["accuracy"] is None:
                continue
            name = label(row) if row["options"] else row["strategy"]
            curves.setdefault(name, []).append((row["k"], row["accuracy"]))
    ks = sorted({k for points in curves.values() for k, _ in points})
    if len(ks) < 2:
        return None
    title = f"{benchmark}: accuracy (%) over k"
    return plot(title, curves, [(k, str(k)) for k in ks], "k", height, width)


def warnings(results: Mapping[str, Any]) -> list[str]:
    """What a reader of the table must know: the protocol, truncation, ungraded, unfinished."""
    said = [f"deviates from {d}" for d in results["protocol"].get("deviations", [])]
    said += results["protocol"].get("notes", [])
    for row in filter(is_headline, results["rows"]):
        if row["strategy"] in ("cot",) or row["k"] == 1:
            if (row["truncated"] or 0) > 0.02:
                said.append(
                    f"{row['benchmark']}: {percent(row['truncated'])} % of the completions were "
                    "cut by the token limit: raise max_tokens before believing the accuracy."
                )
            if row["ungraded"]:
                low, high = row["bounds"]
                said.append(
                    f"{row['benchmark']}: {percent(row['ungraded'])} % of the completions are "
                    f"ungraded; {metric_name(row)} lies between {percent(low)} and "
                    f"{percent(high)} %, whatever they are."
                )
            if row["problems_dropped"]:
                said.append(
                    f"{row['benchmark']}: {row['problems_dropped']} problems have no graded "
                    "completion and are left out of the mean."
                )
        elif row["problems_dropped"] and row["selector"] in ("best", "maj", "wbon"):
            count = row["problems_dropped"]
            said.append(
                f"{row['benchmark']}, {label(row)}: errors ended the search of "
                f"{count} problem{'s' if count > 1 else ''}, left out of the mean; the same "
                "command tries again."
            )
        if row.get("unscored"):
            said.append(_unscored(row))
    if uncounted := results["run"].get("usage", {}).get("uncounted"):
        said.append(
            f"the server did not count the tokens of {uncounted:,} completions (hidden thinking, "
            "or no usage): what these cost is unknown, not 0."
        )
    if not results["run"].get("complete", True):
        said.append("the run is not finished: problems without completions are left out.")
    return list(dict.fromkeys(said))


def _unscored(row: Row) -> str:
    name = f"{row['benchmark']}, {label(row)}"
    none = {"recorded": "the records hold none"}
    none |= dict.fromkeys(("logprob", "selfcert"), "the engine gave none")
    where = none.get(row["reward"], "it was given none that it could score")
    if row["accuracy"] is None:
        return f"{name}: no completion has a {row['reward']} score ({where}): nothing to choose by."
    return (
        f"{name}: {percent(row['unscored'])} % of the completions have no {row['reward']} score; "
        "they are chosen last, and their votes weigh nothing."
    )


def at_step(result: Result, step: int | None = None) -> Result:
    """The results of one step, where several were evaluated: of the last one by default."""
    steps = {row["step"] for row in result["rows"] if row.get("step") is not None}
    if not steps:
        return result
    chosen = max(steps) if step is None else step
    rows = [row for row in result["rows"] if row.get("step") == chosen]
    model = {**result["model"], "model": f"{result['model'].get('model', '')}, step {chosen:,}"}
    return {**result, "rows": rows, "model": model}


def print_results(console: Console, results: Sequence[Mapping[str, Any]]) -> None:
    """The leaderboard, the levels, and what must be known to read them."""
    for result in results:
        for benchmark in dict.fromkeys(row["benchmark"] for row in result["rows"]):
            problems = max(r["problems"] for r in result["rows"] if r["benchmark"] == benchmark)
            console.print(
                Text.assemble(
                    (benchmark, "bold cyan"),
                    f" · {problems} problems · {model_label(result['model'])}",
                )
            )
            console.print(leaderboard(result, benchmark))
            console.print()
    console.print(_legend(results), style="dim")
    for result in results:
        by_level = levels(result["rows"])
        if by_level is not None:
            console.print()
            if len(results) > 1:
                console.print(model_label(result["model"]), style="bold")
            console.print(by_level)
        for sentence in warnings(result):
            console.print(f"note: {sentence}", style="yellow")
