"""`reasonbench frontier`: accuracy against compute, and the compute-optimal choice."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reasonbench.errors import UsageError, unknown

if TYPE_CHECKING:
    from reasonbench.points import DifficultyKind, RunPoints

DIFFICULTIES = ("pass@1", "reward", "votes")


@click.command(name="frontier")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--benchmark", help="Only this benchmark.")
@click.option("--level", help="Only problems of this level.")
@click.option("--optimal", "choose", is_flag=True,
              help="Also the compute-optimal choice by difficulty, cross-validated.")  # fmt: skip
@click.option("--difficulty", type=click.Choice(DIFFICULTIES),
              help="What tells problems apart for --optimal: pass@1 (by the gold answer), the mean "
              "reward, or the votes of the largest answer class.  [default: pass@1]")  # fmt: skip
@click.option("--budget", "budgets", type=click.FloatRange(min=0, min_open=True), multiple=True,
              help="Policy-equivalent tokens per problem for --optimal; may be given several "
              "times.  [default: doublings of the least]")  # fmt: skip
@click.option("--against", metavar="STRATEGY",
              help="Also every other strategy against this one at the same tokens.")  # fmt: skip
@click.option("--svg", type=click.Path(path_type=Path), help="Also save what is printed as SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print the data.")
def command(
    runs: tuple[Path, ...],
    benchmark: str | None,
    level: str | None,
    choose: bool,
    difficulty: DifficultyKind | None,
    budgets: tuple[float, ...],
    against: str | None,
    svg: Path | None,
    as_json: bool,
) -> None:
    """Accuracy against policy-equivalent tokens per problem, for every strategy at every size.

    RUN is a run's folder, or a folder of runs. Runs of one model on the same problems of a
    benchmark share a table; others have their own.
    """
    from reasonbench.cli.frontier_table import print_board
    from reasonbench.cli.terminal import terminal
    from reasonbench.frontier import boards, judge
    from reasonbench.frontier_data import against_data, board_data, optimal_data
    from reasonbench.matched import against as compare
    from reasonbench.optimal import optimal

    if not choose and (difficulty or budgets):
        raise UsageError("--difficulty and --budget are for --optimal.")
    kind: DifficultyKind | None = (difficulty or "pass@1") if choose else None
    tables = []
    for board in boards(_read(runs, benchmark, level, kind)):
        chosen = optimal(board, kind, sorted(set(budgets)) or None) if kind else None
        matched = None if against is None else compare(board, against)
        tables.append((board, judge(board), chosen, matched))
    if as_json:
        data = [
            {
                **board_data(board, judged),
                "level": level,
                "optimal": None if chosen is None else optimal_data(chosen),
                "against": None if matched is None else against_data(board, matched),
            }
            for board, judged, chosen, matched in tables
        ]
        click.echo(json.dumps({"tables": data}, ensure_ascii=False, allow_nan=False))
        return
    console = terminal(record=True, width=84) if svg is not None else terminal()
    for number, (board, judged, chosen, matched) in enumerate(tables):
        if number:
            console.print()
        print_board(console, board, judged, chosen, matched, level)
    if svg is not None:
        from reasonbench.runs import atomic_write

        title = " ".join(["reasonbench frontier", *(run.name for run in runs)])
        drawn = console.export_svg(title=title)
        # whoever looks at the picture should not fetch fonts from another server
        atomic_write(svg, re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL))


def _read(
    runs: tuple[Path, ...],
    benchmark: str | None,
    level: str | None,
    difficulty: DifficultyKind | None,
) -> list[RunPoints]:
    """The points of all runs.

    Raises:
        UsageError: a run cannot be read or has no results yet; none has the benchmark.
    """
    from reasonbench.cli.show import expand
    from reasonbench.points import read_points
    from reasonbench.runs import RunStore
    from reasonbench.runs.run import read_results

    folders = list(dict.fromkeys(folder for run in runs for folder in expand(run)))
    names = [folder.resolve().name for folder in folders]
    found: list[RunPoints] = []
    known: set[str] = set()
    for folder, name in zip(folders, names, strict=True):
        results = read_results(folder)  # written when answers are classed and graded
        known.update(results.get("protocol", {}).get("benchmarks", {}))
        called = name if names.count(name) == 1 else str(folder)
        with RunStore.open(folder) as store:
            read = list(
                read_points(store, called, benchmark=benchmark, level=level, difficulty=difficulty)
            )
        if not results["run"].get("complete", True):
            unfinished = f"{called} is not finished: problems without completions are left out."
            read = [replace(one, notes=(*one.notes, unfinished)) for one in read]
        found += read
    if not found:
        if benchmark is not None:
            raise unknown("benchmark", benchmark, sorted(known))
        raise UsageError("these runs hold no benchmark.")
    return found
