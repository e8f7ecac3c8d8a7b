"""`reasonbench merge`: the shards of an evaluation become one run."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click


@click.command(name="merge")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--partial", is_flag=True, help="Merge what there is where something is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json instead of a table.")
@click.option("--quiet", "-q", is_flag=True, help="No table.")
def command(runs: tuple[Path, ...], out: Path, partial: bool, as_json: bool, quiet: bool) -> int:
    """Make one run of RUNS, the shards of one evaluation (`eval --shard i/n`).

    Runs of another configuration, model or code are refused, as are rows that contradict each
    other, and gaps. Runs of several seeds are for `compare` and `report`.
    """
    from reasonbench.cli.table import print_results
    from reasonbench.cli.terminal import terminal
    from reasonbench.merging import merge

    merged = asyncio.run(merge(runs, out, partial=partial))
    for sentence in merged.missing:
        click.echo(f"note: {sentence}", err=True)
    if as_json:
        click.echo(json.dumps(merged.results, ensure_ascii=False))
        return 0
    console = terminal(quiet=quiet)
    print_results(console, [merged.results])
    console.print(f"\nwritten to {out}", soft_wrap=True)
    return 0
