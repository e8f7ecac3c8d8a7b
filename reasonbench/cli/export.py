"""`reasonbench export`: a run's table or samples as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from reasonbench.prompts import Style


@click.command(name="export")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--benchmark", help="Only this benchmark.")
@click.option("--pool", help="Only samples of this pool.")
@click.option("--no-text", is_flag=True, help="Samples without their responses.")
@click.option("--prompts", is_flag=True, help="Samples with their rendered prompts.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["trl", "verl"]),
    help="The run's problems as training rows of another trainer (.jsonl, .parquet).",
)
@click.option("--style", default="step", show_default=True, help="Prompt style of training rows.")
@click.option(
    "--every-row", is_flag=True, help="All rows of the table, not only the headline ones."
)
def command(
    run: Path,
    file: Path,
    benchmark: str | None,
    pool: str | None,
    no_text: bool,
    prompts: bool,
    form: str | None,
    style: Style,
    every_row: bool,
) -> None:
    """Write RUN's samples (.jsonl, .jsonl.gz, .parquet) or its table (.csv, .md, .tex) to FILE."""
    from reasonbench.runs.run import Run

    if form is not None:
        from reasonbench.trainers.export_rows import write_rows

        with Run.open(run).store() as store:
            count = write_rows(file, store.problems(benchmark), form, style)
        click.echo(f"{count:,} problems written to {file} as training rows of {form}")
        return
    count = Run.open(run).export(
        file,
        benchmark=benchmark,
        pool=pool,
        text=not no_text,
        prompts=prompts,
        every_row=every_row,
    )
    click.echo(f"{count:,} rows written to {file}")
