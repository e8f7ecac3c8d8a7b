"""What a distillation kept and dropped, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reasonbench.cli.terminal import visible


def print_summary(console: Console, summary: Mapping[str, Any], out: Path) -> None:
    """Kept rows by kind, rejected responses by reason, each with its share of all responses."""
    kept, rejected = summary["kept"], summary["rejected"]
    total = sum(kept.values()) + sum(rejected.values())
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("responses", justify="right")
    table.add_column("share", justify="right")
    for kind, count in kept.items():
        table.add_row(visible(f"kept: {kind}"), f"{count:,}", _share(count, total), style="green")
    for reason, count in rejected.items():
        table.add_row(visible(reason), f"{count:,}", _share(count, total))
    console.print(table)
    problems, tokens = summary["problems"], summary["tokens"]
    console.print(
        f"\n{summary['rows']:,} rows of {problems['with_rows']:,} of {problems['seen']:,} problems"
        f", {tokens['min']:,} to {tokens['max']:,} tokens (mean {tokens['mean']:,})"
    )
    for one in summary["mixed"]:
        console.print(
            f"of them {one['rows']:,} ({_share(one['rows'], summary['rows'])}) from "
            f"{visible(one['file'])}",
            soft_wrap=True,
        )
    console.print(f"written to {out / 'data.jsonl'}", soft_wrap=True)


def _share(count: int, total: int) -> str:
    return f"{100 * count / max(1, total):.1f} %"
