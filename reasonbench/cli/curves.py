"""`reasonbench curves`: what training did, step by step, as pictures and as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from reasonbench.cli.terminal import terminal
from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from reasonbench.reports.training import Axis, Evaluated, Training

AXES: tuple[Axis, ...] = ("step", "tokens", "flops", "gpu-hours", "time", "dollars")

PAGE = "curves.html"
"""Name of the page in the folder of --out."""


@click.command(name="curves")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--out", type=click.Path(path_type=Path),
              help="Folder of the page (curves.html) and of the pictures (PNG).")  # fmt: skip
@click.option("--x", "axes", multiple=True, type=click.Choice(AXES),
              help="What to draw against. Repeats.  [default: step]")  # fmt: skip
@click.option("--gpu-price", type=click.FloatRange(min=0),
              help="US dollars per GPU-hour, for --x dollars.")  # fmt: skip
@click.option("--smooth", type=click.IntRange(1), default=1, show_default=True,
              help="Mean of so many logged steps; the raw line stays faint behind.")  # fmt: skip
@click.option("--join", is_flag=True,
              help="Draw the runs, or the stages of a recipe, one after the other.")  # fmt: skip
@click.option("--svg", is_flag=True, help="Write SVG beside each PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print the data.")
def command(
    runs: tuple[Path, ...],
    out: Path | None,
    axes: tuple[Axis, ...],
    gpu_price: float | None,
    smooth: int,
    join: bool,
    svg: bool,
    as_json: bool,
) -> None:
    """Draw training runs over one another: reward, accuracy, length, entropy, KL, loss and more.

    RUN is the folder of a training run or of `eval --watch`, one with a `training.json`, or a
    folder of these. Without --out the evaluations are only printed.
    """
    from reasonbench.reports.training import as_data

    found = _read(runs, gpu_price, in_order=join)
    if join:
        from reasonbench.reports.stages import joined

        name = runs[0].resolve().name if len(runs) == 1 else " → ".join(r.name for r in found)
        found = [joined(found, name)]
    if out is not None:
        written = _draw(found, out, axes or ("step",), smooth, svg)
    if as_json:
        click.echo(json.dumps(as_data(found), ensure_ascii=False, allow_nan=False))
        return
    console = terminal()
    _print(console, found)
    if out is not None:
        said = f"{PAGE} and {written} pictures written to {out}"
        console.print(said, soft_wrap=True)


def _read(
    runs: Sequence[Path], gpu_price: float | None, *, in_order: bool = False
) -> list[Training]:
    """The runs, named apart.

    Args:
        in_order: those below a recipe's folder as its stages follow each other.

    Raises:
        UsageError: one holds nothing to draw.
    """
    from reasonbench.reports.stages import stage_order
    from reasonbench.reports.training import has_steps, is_training, read_training

    folders: list[Path] = []
    for run in runs:
        below = sorted(f for f in run.iterdir() if is_training(f)) if run.is_dir() else []
        order = stage_order(run) if in_order else []
        if order:
            below = [f for name in order for f in below if f.name == name]
        folders += [run] if is_training(run) or not below else [f for f in below if has_steps(f)]
    folders = list(dict.fromkeys(folders))
    if not folders:
        raise UsageError(f"no run below {', '.join(map(str, runs))} was a training run.")
    names = [folder.resolve().name for folder in folders]
    return [
        read_training(folder, name if names.count(name) == 1 else str(folder), gpu_price=gpu_price)
        for folder, name in zip(folders, names, strict=True)
    ]


def _draw(runs: Sequence[Training], out: Path, axes: Sequence[Axis], smooth: int, svg: bool) -> int:
    """Write every picture and the page; returns how many pictures.

    Raises:
        UsageError: a run does not say where it stands on an axis, or nothing can draw.
    """
    from reasonbench.reports.panels import drawn, known_axes
    from reasonbench.reports.training_page import training_page
    from reasonbench.reports.vega import overview, picture, render
    from reasonbench.runs.files import atomic_write, replacing

    known = known_axes(runs, AXES)
    for axis in axes:
        if axis not in known:
            why = " (give --gpu-price)" if axis == "dollars" else ""
            raise UsageError(
                f"not every run says where its steps stand in {axis}{why}; all say: "
                f"{', '.join(known)}."
            )
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for axis in dict.fromkeys(axes):
        pictures = drawn(runs, axis, smooth)
        specs = {one.panel.name: picture(one, axis, smooth) for one in pictures}
        specs["overview"] = overview(pictures, axis, smooth)
        for name, spec in specs.items():
            stem = name if axis == "step" else f"{name}-{axis}"
            for form in ("png", "svg") if svg else ("png",):
                with replacing(out / f"{stem}.{form}") as partial:
                    partial.write_bytes(render(spec, form))
                count += 1
    chosen = list(dict.fromkeys((*axes, *known)))
    atomic_write(out / PAGE, training_page(runs, chosen, smooth))
    return count


def _print(console: Console, runs: Sequence[Training]) -> None:
    """One line for each strategy of each run: where it began, its best, where it ended."""
    from reasonbench.cli.table import percent

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("run", "benchmark", "strategy"):
        table.add_column(name, overflow="fold")
    for name in ("first", "best", "at step", "last", "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        for points in _by_strategy(run):
            best = max(points, key=lambda e: (e.accuracy, -e.step))
            table.add_row(
                run.name,
                points[0].benchmark,
                points[0].strategy,
                percent(points[0].accuracy),
                percent(best.accuracy),
                f"{best.step:,}",
                percent(points[-1].accuracy),
                f"{_tokens(points[0])} → {_tokens(points[-1])}",
            )
    if table.row_count:
        console.print(table)
        console.print("accuracy in %; tokens: mean of a completion, first → last", style="dim")
    for run in runs:
        if not run.evaluations:
            console.print(f"{run.name}: {len(run.steps):,} logged steps, no evaluations")


def _by_strategy(run: Training) -> Iterator[list[Evaluated]]:
    for key in dict.fromkeys((e.benchmark, e.strategy) for e in run.evaluations):
        yield [e for e in run.evaluations if (e.benchmark, e.strategy) == key]


def _tokens(point: Evaluated) -> str:
    return "–" if point.length is None else f"{point.length:,.0f}"
