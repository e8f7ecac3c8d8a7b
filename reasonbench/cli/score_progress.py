"""The progress of grading: a live bar in a terminal, plain lines elsewhere, nothing if quiet."""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from reasonbench.cli.live_bar import LiveBar
from reasonbench.types import Verdict


class ScoreProgress(LiveBar):
    """Counts verdicts and the share of right ones."""

    def __init__(self, console: Console, total: int | None, *, quiet: bool) -> None:
        """`total` is how many there will be, where that is known."""
        super().__init__(
            console,
            MofNCompleteColumn(),
            TextColumn("{task.fields[right]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            quiet=quiet,
            width=28,
        )
        self.total = total
        self.done = self.graded = self.right = 0
        self.started = time.monotonic()
        self.wait()
        self.show("grading", 0, total, right="")

    def advance(self, verdict: Verdict) -> None:
        self.done += 1
        self.graded += verdict.verdict != "ungraded"
        self.right += verdict.verdict == "correct"
        if not self.is_time():
            return
        right = f"{100 * self.right / self.graded:.1f} % correct" if self.graded else ""
        if self.live:
            self.show("grading", self.done, self.total, right=right)
            return
        of = left = ""
        if self.total:
            each = (time.monotonic() - self.started) / self.done
            of, left = f"/{self.total:,}", f", about {each * (self.total - self.done):.0f} s left"
        click.echo(f"{self.done:,}{of} graded, {right}{left}", err=True)
