"""`reasonbench recipe`: a chain of training stages by one command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reasonbench.cli.eval import how_to_resume, stop_on_interrupt
from reasonbench.cli.loss_progress import LossProgress

if TYPE_CHECKING:
    from rich.console import Console

    from reasonbench.generate import Observer
    from reasonbench.recipes import Chained, Recipe
    from reasonbench.recipes.record import Record
    from reasonbench.trainers.reward_labels import LabelRow
    from reasonbench.trainers.rl_watch import Watcher
    from reasonbench.trainers.sft import LogRow

_COLUMNS = ("stage", "evaluation", "% [95 %]", "length", "sampled", "trained", "seconds")


@click.command(name="recipe")
@click.argument("name", required=False)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Where all of it goes."
)
@click.option("--model", help="The model to start from, instead of the recipe's.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE",
    help="A setting: STAGE.steps=10, machine.device=cuda, evaluation.limit=50, rounds=2. Repeats.",
)  # fmt: skip
@click.option("--again", metavar="STAGE", help="Make this stage and those that stand on it anew.")
@click.option("--dry-run", is_flag=True, help="Check and print the settings of every stage.")
@click.option("--json", "as_json", is_flag=True, help="Print recipe.json instead of a table.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, no table.")
def command(
    name: str | None,
    out: Path | None,
    model: str | None,
    settings: tuple[str, ...],
    again: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run a chain of training stages: `reasonbench recipe r1-builtin --out DIR`.

    NAME is a recipe that comes with reasonbench, or a TOML file; without it the recipes are
    listed. Every stage's model is evaluated. The same command goes on where a run was killed, and
    runs no finished stage again.
    """
    from reasonbench.cli.terminal import terminal
    from reasonbench.cli.train import _check_torch
    from reasonbench.recipes import chain, names

    if name is None:
        _list(terminal(), names())
        return 0
    recipe = _recipe(name, model, settings)
    folder = out or Path("runs") / recipe.name
    _check_torch()
    if dry_run:
        _dry_run(recipe, folder)
        return 0
    from transformers.utils import logging as transformers_logging

    from reasonbench.engines.base import EngineError
    from reasonbench.trainers.sft import TrainingDiverged
    from reasonbench.trainers.verify import StaleEngineError

    # its bars for files of a few megabytes would break into the progress lines
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    chain.check(recipe, folder)
    if again is not None:
        gone = chain.forget(recipe, folder, again)
        click.echo(f"making again: {', '.join(gone)}", err=True)
    shown = _Shown(terminal(stderr=True, quiet=quiet), quiet)
    try:
        done = chain.run(recipe, folder, shown)
    except (TrainingDiverged, StaleEngineError, EngineError) as error:
        raise click.ClickException(f"{str(error).rstrip('.')}. {how_to_resume(folder)}") from error
    except KeyboardInterrupt:
        click.echo(f"interrupted. {how_to_resume(folder)}", err=True)
        return 130
    finally:
        shown.stop()
    if as_json:
        click.echo(json.dumps(done.results, ensure_ascii=False))
    elif not quiet:
        _table(terminal(), done)
    if done.stopped is not None:
        click.echo(f"stopped in stage {done.stopped}. {how_to_resume(folder)}", err=True)
        return 130
    return 0


def _recipe(name: str, model: str | None, settings: tuple[str, ...]) -> Recipe:
    """The recipe under the options that were given."""
    from reasonbench.cli.train import assign
    from reasonbench.recipes import load, override, parse

    values, changes = load(name), dict[str, Any]()
    for setting in settings:
        assign(changes, setting)
    if model is not None:
        changes["model"] = model
    override(values, changes)
    return parse(values, Path(name).stem)


def _list(console: Console, names: dict[str, str]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("recipe", no_wrap=True)
    table.add_column("what")
    for name, what in names.items():
        table.add_row(name, what)
    console.print(table)


def _dry_run(recipe: Recipe, out: Path) -> None:
    """The settings of every stage, defaults included."""
    import tomli_w

    from reasonbench.recipes import check

    for stage, config in check(recipe, out):
        values = config.model_dump(mode="json", exclude_none=True)
        click.echo(f"[{stage.name}]  # {stage.kind}")
        click.echo(tomli_w.dumps(values))


def _table(console: Console, done: Chained) -> None:
    """The summary, narrower than recipe.md: kinds are left out, intervals stand by accuracies."""
    from rich.table import Table

    from reasonbench.cli.terminal import visible
    from reasonbench.recipes.record import cells

    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(_COLUMNS):
        table.add_column(column, justify="left" if index < 2 else "right", no_wrap=index != 1)
    for record in done.records:
        for name, _, evaluation, accuracy, interval, *rest in cells(record):
            table.add_row(*map(visible, (name, evaluation, f"{accuracy} {interval}", *rest)))
    console.print(table)
    console.print(f"\nwritten to {done.folder}", soft_wrap=True)


class _Shown:
    """Says how a chain goes (recipes.Watch)."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self._console, self._quiet = console, quiet
        self._losses = LossProgress(console, quiet=quiet)

    def begun(self, name: str, what: str, number: int, total: int) -> None:
        place = f"{number}/{total} " if number else ""
        self._losses = LossProgress(self._console, quiet=self._quiet)
        self._say(f"── {place}{name}: {what}")

    def kept(self, record: Record) -> None:
        self._say(f"── {record.name}: finished before")

    def ended(self, record: Record) -> None:
        from reasonbench.recipes.record import cells

        self.stop()
        figures = ", ".join(f"{name} {value:g}" for name, value in record.figures.items())
        self._say(f"{record.name}: {record.seconds:,.0f} s" + (f"; {figures}" if figures else ""))
        for line in cells(record) if record.rows else ():
            self._say(f"  {line[2]}: {line[3]} % {line[4]}, {line[5]} tokens")

    @contextmanager
    def sampling(self, stop: asyncio.Event) -> Iterator[Observer]:
        from reasonbench.cli.progress import EvalProgress

        generating = asyncio.Event()
        stop_on_interrupt(stop, generating)
        with EvalProgress(self._console, generating, quiet=self._quiet) as progress:
            yield progress

    @contextmanager
    def learning(self, steps: int, stop: asyncio.Event) -> Iterator[Watcher]:
        from reasonbench.cli.train_grpo import _stop_on_interrupt
        from reasonbench.cli.train_progress import TrainProgress

        with TrainProgress(self._console, steps, quiet=self._quiet) as progress:
            _stop_on_interrupt(stop, progress)
            yield progress

    def logged(self, row: LogRow) -> None:
        self._losses.progress.start()
        self._losses(row)

    def stop(self) -> None:
        """Takes away a bar that is still there. Safe to call twice."""
        self._losses.progress.stop()

    def labelled(self, row: LabelRow) -> None:
        self._losses.labelled(row)

    def _say(self, line: str) -> None:
        if not self._quiet:
            click.echo(line, err=True)
