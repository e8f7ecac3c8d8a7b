"""How a run's progress looks: a live bar in a terminal, plain lines elsewhere, nothing if quiet."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from reasonbench.cli.live_bar import LiveBar
from reasonbench.types import Completion, Problem, Verdict


class EvalProgress(LiveBar):
    """Counts completions, tokens and accuracy so far (generate.Observer)."""

    def __init__(self, console: Console, generating: asyncio.Event, *, quiet: bool) -> None:
        """`generating` is set while completions come in."""
        super().__init__(
            console,
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[accuracy]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            quiet=quiet,
            width=28,
        )
        self.generating = generating
        self.total = self.before = self.done = self.tokens = 0
        self.right: dict[tuple[str, str], int] = defaultdict(int)
        self.graded: dict[tuple[str, str], int] = defaultdict(int)
        self.started = 0.0

    def starting(self, model: str) -> None:
        self.generating.clear()
        if not self.quiet:
            self.progress.console.print(f"starting the engine for {model} …", style="dim")

    def begin(self, total: int, done: int) -> None:
        self.total, self.before, self.done = total, done, done
        self.generating.set()
        self.started = time.monotonic()
        self.wait()
        self.bar = None  # the one of another model is over
        self.show("sampling", done, total, speed="", accuracy="")
        if done and not self.quiet:
            self.progress.console.print(
                f"resuming: {done:,} of {total:,} completions are stored", style="dim"
            )

    def advance(self, problem: Problem, completion: Completion | None, verdict: Verdict) -> None:
        self.done += 1
        name = (problem.benchmark, problem.id)
        if completion is not None:
            self.tokens += len(completion.token_ids) or completion.usage.decode_tokens
        if verdict.verdict != "ungraded":
            self.graded[name] += 1
            self.right[name] += verdict.verdict == "correct"
        if not self.is_time(last=self.live and self.done == self.total):
            return
        speed, accuracy = self.speed(time.monotonic()), self.accuracy()
        if self.live:
            self.show("sampling", self.done, self.total, speed=speed, accuracy=accuracy)
            return
        each = (time.monotonic() - self.started) / (self.done - self.before)
        click.echo(
            f"{self.done:,}/{self.total:,} completions, {speed}, {accuracy}, "
            f"about {each * (self.total - self.done):.0f} s left",
            err=True,
        )

    def spare(self, count: int) -> None:
        self.total -= count
        if self.live and self.bar is not None:
            self.progress.update(self.bar, total=self.total)

    def speed(self, now: float) -> str:
        return f"{self.tokens / max(1e-9, now - self.started):,.0f} tokens/s"

    def accuracy(self) -> str:
        """pass@1 so far with the half width of its 95 % interval over problems."""
        means = [self.right[p] / count for p, count in self.graded.items() if count]
        if not means:
            return ""
        mean = sum(means) / len(means)
        if len(means) < 2:
            return f"accuracy {100 * mean:.1f} %"
        variance = sum((m - mean) ** 2 for m in means) / (len(means) - 1)
        return f"accuracy {100 * mean:.1f} ± {196 * math.sqrt(variance / len(means)):.1f} %"
