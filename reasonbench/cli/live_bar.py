"""What every progress display shares: a live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn

EVERY = 10.0
"""Seconds between plain lines."""

REDRAWN = 0.2
"""Seconds between two drawings of a bar that many small things move."""


class LiveBar:
    """A bar while its block runs; nothing at all if quiet.

    Attributes:
        quiet: nothing is shown.
        live: there is a bar, and no plain line.
        progress: rich's.
        bar: what moves; None before the first `show`.
    """

    def __init__(
        self, console: Console, *columns: ProgressColumn, quiet: bool, width: int = 20
    ) -> None:
        """Args: console: of standard error; columns: right of the bar; width: of it, in cells."""
        self.quiet = quiet
        self.live = console.is_terminal and not quiet
        self.bar: TaskID | None = None
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=width),
            *columns,
            console=console,
            transient=True,
            disable=not self.live,
        )
        self._said = -EVERY

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def show(self, what: str, completed: float, total: float | None, **fields: Any) -> None:
        """Move the bar, where there is one."""
        if self.bar is None:
            self.bar = self.progress.add_task(what, total=total, **fields)
        self.progress.update(self.bar, completed=completed, total=total, **fields)

    def is_time(self, last: bool = False) -> bool:
        """Whether something is to be shown now; it counts as shown.

        Args:
            last: nothing comes after it, so that it is shown whatever the time.
        """
        now = time.monotonic()
        if self.quiet or not (last or now - self._said > (REDRAWN if self.live else EVERY)):
            return False
        self._said = now
        return True

    def wait(self) -> None:
        """What comes first is not shown at once, but after the usual time."""
        self._said = time.monotonic()

    def note(self, line: str) -> None:
        """A line of its own, above the bar."""
        if self.live:
            self.progress.console.print(line, style="dim", soft_wrap=True)
        elif not self.quiet:
            click.echo(line, err=True)
