"""`reasonbench compare`: two runs, steps or strategies on the same problems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from reasonbench.reports.comparison import Comparison
    from reasonbench.reports.sides import SideSpec

PAGE = "compare.html"
"""Name of the page in the folder of --out."""


@click.command(name="compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--benchmark", help="Only this benchmark.")
@click.option("--strategy", "strategies", multiple=True,
              help="Only this strategy of both; its size may be left out. Repeats.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder of the page (compare.html).")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the data.")
def command(
    a: str,
    b: str,
    benchmark: str | None,
    strategies: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare A with B on the problems that both have, paired problem by problem.

    A and B are each RUN, RUN:STRATEGY, RUN@STEP or RUN@STEP:STRATEGY. RUN is the folder of a run,
    STEP one that its training was evaluated at (the last by default), STRATEGY one of its
    strategies. Without any, all strategies that both have are compared. Differences are B − A.
    """
    from reasonbench.cli.compare_table import print_comparison
    from reasonbench.cli.terminal import terminal
    from reasonbench.reports.comparison_data import comparison_data

    found = _read(a, b, benchmark, strategies)
    if out is not None:
        from reasonbench.reports.comparison_page import comparison_page
        from reasonbench.runs import atomic_write

        text = comparison_page(found)
        out.mkdir(parents=True, exist_ok=True)
        atomic_write(out / PAGE, text)
    if as_json:
        click.echo(json.dumps(comparison_data(found), ensure_ascii=False, allow_nan=False))
        return
    console = terminal()
    print_comparison(console, found)
    if out is not None:
        console.print(f"page written to {out / PAGE}", soft_wrap=True)


def _read(a: str, b: str, benchmark: str | None, strategies: tuple[str, ...]) -> Comparison:
    from reasonbench.reports.comparison import compare
    from reasonbench.reports.sides import open_side, parse_side

    first, second = parse_side(a), parse_side(b)
    if strategies and (first.strategy or second.strategy):
        raise UsageError("name strategies with --strategy or behind the runs, not both.")
    name_a, name_b = _names(first, second)
    with open_side(first, name_a) as side_a, open_side(second, name_b) as side_b:
        return compare(side_a, side_b, benchmark=benchmark, strategies=strategies)


def _names(a: SideSpec, b: SideSpec) -> tuple[str, str]:
    """What the sides are called: as they were given, the folder's name alone where that will do."""
    short = [one.folder.resolve().name for one in (a, b)]
    same = a.folder.resolve() == b.folder.resolve()
    names = []
    for spec, name in zip((a, b), short, strict=True):
        base = str(spec.folder) if short[0] == short[1] and not same else name
        step = "" if spec.step is None else f"@{spec.step}"
        names.append(base + step + (f":{spec.strategy}" if spec.strategy else ""))
    return names[0], names[1]
