"""How reinforcement learning looks while it runs: a live bar in a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, TextColumn

from reasonbench.cli.live_bar import LiveBar
from reasonbench.cli.terminal import visible

if TYPE_CHECKING:
    from reasonbench.in_loop import EvalPoint
    from reasonbench.trainers.rl_watch import StepRow


class TrainProgress(LiveBar):
    """Reward, accuracy, length, tokens/s and time left (trainers.rl_watch.Watcher).

    Attributes:
        started: a step is done.
    """

    def __init__(self, console: Console, steps: int, *, quiet: bool) -> None:
        """Args: console: of standard error; steps: of the whole run; quiet: nothing is shown."""
        columns = MofNCompleteColumn(), TextColumn("{task.fields[row]}")
        super().__init__(console, *columns, quiet=quiet)
        self.steps = steps
        self.started = False

    def starting(self, model: str) -> None:
        self.note(f"starting the engine for {visible(model)} …")

    def noticed(self, sentence: str) -> None:
        self.note(f"note: {visible(sentence)}")

    def stepped(self, row: StepRow) -> None:
        self.started = True
        if self.live:
            self.show("training", row.step, row.steps, row=describe(row))
        elif self.is_time(last=row.step == row.steps):
            click.echo(f"step {row.step}/{row.steps}  {describe(row)}", err=True)

    def evaluated(self, points: Sequence[EvalPoint]) -> None:
        self.started = True
        for line in evaluated(points):
            self.note(line)


def evaluated(points: Sequence[EvalPoint]) -> Iterator[str]:
    """Evaluations in the loop, a line each."""
    from reasonbench.in_loop import is_comparable

    for point in points:
        low, high = (100 * bound for bound in point.interval)
        yield (
            f"step {point.step}: {visible(point.benchmark)} {visible(point.strategy)} "
            f"{100 * point.accuracy:.1f} % [{low:.1f}, {high:.1f}], "
            f"{point.length:.0f} tokens"
            + (f", {100 * point.ungraded:.1f} % ungraded" if point.ungraded else "")
            + ("" if is_comparable(point) else ": too many to be compared")
        )


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
