"""How training on a loss looks while it runs: a live bar in a terminal, lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from reasonbench.trainers.sft import LogRow

EVERY = 10.0
"""Seconds between plain lines."""


class LossProgress:
    """Share done, loss, rate, tokens/s and time left.

    Args:
        console: of standard error.
        quiet: nothing is shown.
    """

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._quiet, self._live = quiet, console.is_terminal and not quiet
        self._said = -EVERY
        self._bar: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.fields[row]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self._live,
        )

    def __enter__(self) -> LossProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, row: LogRow) -> None:
        """Shows a row; plain lines come every few seconds, and one at the end."""
        if self._live:
            if self._bar is None:
                self._bar = self._progress.add_task("training", total=1.0, row="")
            self._progress.update(self._bar, completed=row.progress, row=describe(row))
            return
        now = time.monotonic()
        if not self._quiet and (now - self._said > EVERY or row.progress >= 1):
            self._said = now
            click.echo(f"{row.progress:6.1%}  {describe(row)}", err=True)


def describe(row: LogRow) -> str:
    """What is shown of a row."""
    return (
        f"update {row.step}  loss {row.loss:.4f}  lr {row.lr:.2e}  gradient {row.grad_norm:.2f}  "
        f"{row.tokens_per_second:,.0f} tokens/s"
    )
