"""How reinforcement learning looks while it runs: a live bar in a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from reasonbench.cli.terminal import visible

if TYPE_CHECKING:
    from reasonbench.in_loop import EvalPoint
    from reasonbench.trainers.rl_watch import StepRow

EVERY = 10.0
"""Seconds between plain lines."""


class TrainProgress:
    """Reward, accuracy, length, tokens/s and time left (trainers.rl_watch.Watcher).

    Attributes:
        started: a step is done.
    """

    def __init__(self, console: Console, steps: int, *, quiet: bool) -> None:
        """Args: console: of standard error; steps: of the whole run; quiet: nothing is shown."""
        self.quiet, self.steps = quiet, steps
        self.live = console.is_terminal and not quiet
        self.started = False
        self.said = -EVERY
        self.bar: TaskID | None = None
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[row]}"),
            console=console,
            transient=True,
            disable=not self.live,
        )

    def __enter__(self) -> TrainProgress:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def starting(self, model: str) -> None:
        self._say(f"starting the engine for {visible(model)} …")

    def noticed(self, sentence: str) -> None:
        self._say(f"note: {visible(sentence)}")

    def stepped(self, row: StepRow) -> None:
        self.started = True
        line = describe(row)
        now = time.monotonic()
        if self.live:
            if self.bar is None:
                self.bar = self.progress.add_task("training", total=row.steps, row="")
            self.progress.update(self.bar, completed=row.step, row=line)
        elif not self.quiet and (now - self.said > EVERY or row.step == row.steps):
            self.said = now
            click.echo(f"step {row.step}/{row.steps}  {line}", err=True)

    def evaluated(self, points: Sequence[EvalPoint]) -> None:
        from reasonbench.in_loop import is_comparable

        self.started = True
        for point in points:
            low, high = (100 * bound for bound in point.interval)
            self._say(
                f"step {point.step}: {visible(point.benchmark)} {visible(point.strategy)} "
                f"{100 * point.accuracy:.1f} % [{low:.1f}, {high:.1f}], "
                f"{point.length:.0f} tokens"
                + (f", {100 * point.ungraded:.1f} % ungraded" if point.ungraded else "")
                + ("" if is_comparable(point) else ": too many to be compared")
            )

    def _say(self, line: str) -> None:
        if self.live:
            self.progress.console.print(line, style="dim", soft_wrap=True)
        elif not self.quiet:
            click.echo(line, err=True)


def describe(row: StepRow) -> str:
    """What is shown of a step."""
    found = row.metrics
    parts = []
    if "reward" in found:
        parts.append(f"reward {found['reward']:.3f}")
    if "accuracy" in found:
        parts.append(f"accuracy {100 * found['accuracy']:.1f} %")
    if "length" in found:
        parts.append(f"length {found['length']:.0f}")
    parts.append(f"{row.tokens_per_second:,.0f} tokens/s")
    left = round(row.seconds_left)
    parts.append(f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left")
    return "  ".join(parts)
