"""`reasonbench show`: a run in the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from reasonbench.cli.terminal import terminal, visible
from reasonbench.errors import UsageError

PRINTED = frozenset(
    {
        "benchmark", "strategy", "options", "metric", "reward", "n", "k", "level", "subject",
        "accuracy", "interval", "bounds", "problems", "problems_dropped", "truncated",
        "no_answer", "ungraded", "decode_tokens", "flops", "seconds",
    }
)  # fmt: skip
"""Fields of a row that the table shows."""


@click.command(name="show")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--problem", help="Show this problem: its prompt, candidates and verdicts.")
@click.option("--candidates", type=click.IntRange(0), default=4, show_default=True,
              help="How many candidates of it to print.")  # fmt: skip
@click.option("--svg", type=click.Path(path_type=Path), help="Also save what is printed as SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json.")
def command(
    runs: tuple[Path, ...],
    problem: str | None,
    candidates: int,
    svg: Path | None,
    as_json: bool,
) -> None:
    """Print the table of one or several runs, and accuracy over k as a small chart.

    RUN is a run's folder, or a folder of runs (as several --model make it).
    """
    folders = [folder for run in runs for folder in expand(run)]
    if problem is not None:
        for folder in folders:
            _problem(folder, problem, candidates)
        return
    from reasonbench.runs.run import read_results

    results = [checked(folder, read_results(folder)) for folder in folders]
    if as_json:
        click.echo(json.dumps(results[0] if len(results) == 1 else results, ensure_ascii=False))
        return
    from reasonbench.cli.table import at_step, chart, print_results
    from reasonbench.runs.tables import model_label

    console = terminal(record=True, width=84) if svg is not None else terminal()
    latest = [at_step(result) for result in results]
    print_results(console, latest)
    for result in latest:
        for benchmark in dict.fromkeys(row["benchmark"] for row in result["rows"]):
            drawn = chart(result["rows"], benchmark)
            if drawn is not None:
                console.print()
                if len(results) > 1:
                    console.print(model_label(result["model"]), style="bold")
                console.print(drawn)
    if svg is not None:
        from reasonbench.runs import atomic_write

        title = " ".join(["reasonbench show", *(run.name for run in runs)])
        drawn_svg = console.export_svg(title=title)
        # whoever looks at the picture should not fetch fonts from another server
        atomic_write(svg, re.sub(r"@font-face \{.*?\}", "", drawn_svg, flags=re.DOTALL))


def checked(folder: Path, results: dict[str, Any]) -> dict[str, Any]:
    """The results, if they hold what is printed of them.

    Raises:
        UsageError: somebody else wrote them.
    """
    rows = results.get("rows")
    whole = isinstance(rows, list) and all(
        isinstance(row, dict) and row.keys() >= PRINTED for row in rows
    )
    if not whole or not all(isinstance(results.get(k), dict) for k in ("run", "model", "protocol")):
        raise UsageError(
            f"{folder}/results.json does not hold a run's results: write it again with "
            f"`reasonbench score {folder} --regrade`."
        )
    return results


def expand(folder: Path) -> Sequence[Path]:
    """The folder itself if it is a run, else the runs directly below it.

    Raises:
        UsageError: neither.
    """
    from reasonbench.runs import is_run

    if not folder.is_dir():
        raise UsageError(f"run {folder} does not exist.")
    if is_run(folder):
        return [folder]
    below = sorted(child for child in folder.iterdir() if child.is_dir() and is_run(child))
    if not below:
        raise UsageError(f"{folder} holds no run (no config.toml with a run.db beside it).")
    return below


def _problem(folder: Path, wanted: str, candidates: int) -> None:
    from reasonbench.cli.tree import lines
    from reasonbench.runs import RunStore

    console = terminal()
    found = False
    with RunStore.open(folder) as store:
        pools = store.pools()
        for series in store.series():
            tests = pools.get(series.pool, {}).get("role") == "tests"
            for stored in store.samples(*series, text=True):
                if stored.problem.id != wanted:
                    continue
                found = True
                problem = stored.problem
                console.rule(Text(visible(f"{problem.benchmark} {problem.id} ({series.pool})")))
                prompt = store.prompt(series.benchmark, problem.id, series.pool)
                asked = prompt.prompt.text if prompt else problem.question.text
                console.print(Text(visible(asked)))
                where = (series.benchmark, problem.id, series.pool, series.weight_version)
                if (trace := store.trace(*where)) is not None:
                    for line in lines(trace, store.nodes(*where)):
                        console.print(line, soft_wrap=True)
                for s in stored.samples[:candidates]:
                    colour = {"correct": "green", "incorrect": "red"}.get(s.verdict or "", "yellow")
                    counted = s.tokens or s.usage.requests
                    length = f"{s.tokens} tokens" if counted else "tokens not counted"
                    said = (
                        f"sample {s.sample}: {s.verdict} ({s.layer}: {s.reason}), answer "
                        f"{s.answer!r}, {length}"
                    )
                    if tests:
                        said = f"tests, completion {s.sample}: {s.tokens} tokens"
                    console.rule(Text(visible(said), style=colour), align="left")
                    console.print(Text(visible(s.text or "")))
                if tests:
                    break
                right = sum(s.verdict == "correct" for s in stored.samples)
                console.print(
                    visible(f"gold: {problem.gold}; {len(stored.samples)} samples, {right} right"),
                    style="bold",
                )
                break
    if not found:
        raise UsageError(f"{folder} has no samples of a problem {wanted!r}.")
