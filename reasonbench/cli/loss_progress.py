"""How training on a loss looks while it runs: a live bar in a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import TaskProgressColumn, TextColumn, TimeRemainingColumn

from reasonbench.cli.live_bar import LiveBar
from reasonbench.cli.train_progress import evaluated

if TYPE_CHECKING:
    from reasonbench.in_loop import EvalPoint
    from reasonbench.trainers.reward_labels import LabelRow
    from reasonbench.trainers.sft import LogRow


class LossProgress(LiveBar):
    """Share done, loss, rate, tokens/s and time left; before it, labels that are made.

    Args:
        console: of standard error.
        quiet: nothing is shown.
    """

    def __init__(self, console: Console, *, quiet: bool) -> None:
        super().__init__(
            console,
            TaskProgressColumn(),
            TextColumn("{task.fields[row]}"),
            TimeRemainingColumn(),
            quiet=quiet,
        )

    def __call__(self, row: LogRow) -> None:
        """Shows a row; plain lines come every few seconds, and one at the end."""
        if self.live:
            self.show("training", row.progress, 1.0, row=describe(row))
        elif self.is_time(last=row.progress >= 1):
            click.echo(f"{row.progress:6.1%}  {describe(row)}", err=True)

    def evaluated(self, points: Sequence[EvalPoint]) -> None:
        """Shows evaluations in the loop, a line each."""
        for line in evaluated(points):
            self.note(line)

    def labelled(self, row: LabelRow) -> None:
        """Shows how the making of step labels goes, a line every few seconds."""
        if self.is_time(last=row.problems >= row.total):
            self.note(
                f"labels: {row.problems:,}/{row.total:,} problems, {row.solutions:,} solutions, "
                f"{row.steps:,} steps, {row.tokens / max(1e-9, row.seconds):,.0f} tokens/s"
            )


def describe(row: LogRow) -> str:
    """What is shown of a row: with it the metrics of preferences, where it has them."""
    found = getattr(row, "metrics", {})
    parts = [f"update {row.step}", f"loss {row.loss:.4f}"]
    for name in ("reward_accuracy", "accuracy"):
        if name in found:
            parts.append(f"accuracy {found[name]:.1%}")
    if "reward_margin" in found:
        parts.append(f"margin {found['reward_margin']:+.4f}")
    parts += [f"lr {row.lr:.2e}", f"gradient {row.grad_norm:.2f}"]
    return "  ".join([*parts, f"{row.tokens_per_second:,.0f} tokens/s"])
