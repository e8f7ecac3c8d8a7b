"""`reasonbench eval --watch DIR`: every checkpoint of a trainer, each once, as it appears."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from reasonbench.checkpoints import Checkpoint, Ready, find
from reasonbench.cli.eval import how_to_resume, stop_on_interrupt
from reasonbench.cli.progress import EvalProgress
from reasonbench.cli.table import at_step, print_results
from reasonbench.cli.terminal import terminal
from reasonbench.config import VOLATILE, EvalConfig, as_toml
from reasonbench.engines.base import EngineDeadError
from reasonbench.errors import UsageError
from reasonbench.evaluations import Evaluations
from reasonbench.grading.graders import Graders
from reasonbench.open_run import open_run
from reasonbench.serving import Serving

LOOK_EVERY = 2.0
"""Seconds between two looks at the folder while nothing is ready."""


async def watch(config: EvalConfig, out: Path, *, as_json: bool, quiet: bool) -> int:
    """Evaluate checkpoints until told to stop; returns the exit code.

    Raises:
        UsageError: the folder is not there, or the first checkpoint cannot be evaluated.
    """
    assert config.watch is not None
    if not config.watch.is_dir():
        raise UsageError(f"there is no folder {config.watch} to watch.")
    console = terminal(quiet=quiet or as_json)
    said = terminal(stderr=True, quiet=quiet)
    stop, generating = asyncio.Event(), asyncio.Event()
    generating.set()
    stop_on_interrupt(stop, generating)
    why = "interrupted"

    def expire() -> None:
        nonlocal why
        why = f"--max-minutes {config.max_minutes:g}"
        stop.set()

    if config.max_minutes is not None:
        asyncio.get_running_loop().call_later(60 * config.max_minutes, expire)
    graders = Graders(workers=config.grading_workers)
    serving = Serving(config)
    try:
        with open_run(out, as_toml(config), VOLATILE) as store:
            watching = _Watching(config, Evaluations(store, config, graders), serving, said)
            while not stop.is_set() and not watching.finished:
                checkpoint = watching.next()
                if checkpoint is None:
                    await _wait(stop, LOOK_EVERY)
                    continue
                with EvalProgress(said, generating, quiet=quiet) as progress:
                    done = await watching.evaluate(checkpoint, progress, stop)
                generating.set()
                if done and not as_json:
                    print_results(console, [at_step(watching.results, checkpoint.step)])
            results = watching.results
    except EngineDeadError as error:
        click.echo(f"reasonbench: the engine died: {error} {how_to_resume(out)}", err=True)
        return 1
    finally:
        await serving.aclose()
        await graders.aclose()
    if as_json:
        click.echo(json.dumps(results, ensure_ascii=False))
    console.print(f"\nwritten to {out}", soft_wrap=True)
    if not stop.is_set():
        return 0
    click.echo(f"stopped watching ({why}). {how_to_resume(out)}", err=True)
    return 130 if why == "interrupted" else 0


class _Watching:
    """What of a folder has been evaluated, and what comes next."""

    def __init__(
        self, config: EvalConfig, evaluations: Evaluations, serving: Serving, said: Console
    ) -> None:
        assert config.watch is not None
        self._root, self._until = config.watch, config.watch_until
        self._evaluations, self._serving, self._said = evaluations, serving, said
        self._ready = Ready()
        self._refused: set[Checkpoint] = set()
        self._clock: Callable[[], float] = time.time

    @property
    def results(self) -> dict[str, Any]:
        """What results.json holds."""
        return self._evaluations.results

    @property
    def finished(self) -> bool:
        """Whether the last checkpoint that was asked for has been evaluated, or left out."""
        done = [point.step for point in self._evaluations.points]
        done += [checkpoint.step for checkpoint in self._refused]
        return self._until is not None and max(done, default=-1) >= self._until

    def next(self) -> Checkpoint | None:
        """The first checkpoint that is ready and was not evaluated; None where there is none."""
        now = self._clock()
        looked = [
            checkpoint
            for checkpoint in find(self._root)
            if not self._evaluations.evaluated(checkpoint.step)
            and checkpoint not in self._refused
            and self._ready.look(checkpoint.folder, now)
        ]
        return looked[0] if looked else None

    async def evaluate(
        self, checkpoint: Checkpoint, progress: EvalProgress, stop: asyncio.Event
    ) -> bool:
        """Evaluate one; a checkpoint that cannot be opened is left for the next call.

        Raises:
            UsageError: none was evaluated before, so that the settings may be at fault.
            EngineDeadError: the engine died.
        """
        if not self._serving.running:
            progress.starting(str(checkpoint.folder))
        elif not progress.quiet:
            self._said.print(f"loading {checkpoint.folder} …", style="dim", soft_wrap=True)
        try:
            engine, reward = await self._serving.serve(checkpoint)
        except UsageError as error:
            if not self._evaluations.points:
                raise
            self._refused.add(checkpoint)
            self._said.print(f"note: {checkpoint.folder} is left out: {error}", soft_wrap=True)
            return False
        if self._serving.notice:
            self._said.print(f"note: {self._serving.notice}", style="dim", soft_wrap=True)
        self._evaluations.observer, self._evaluations.reward = progress, reward
        points = await self._evaluations.evaluate(
            engine, step=checkpoint.step, version=checkpoint.step, stop=stop
        )
        return bool(points)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """Wait, unless told to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
