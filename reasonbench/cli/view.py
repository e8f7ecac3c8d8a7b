"""`reasonbench view`: every problem, solution, step and search of runs, in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from reasonbench.cli.terminal import terminal, visible
from reasonbench.errors import UsageError


@click.command(name="view")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--out", type=click.Path(path_type=Path),
              help="Write the viewer to this folder instead of serving it.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535),
              help="Port on 127.0.0.1 to serve at; 0: any free one.  [default: 8760]")  # fmt: skip
def command(runs: tuple[Path, ...], out: Path | None, port: int | None) -> None:
    """Look at samples: problems with what became of them, solutions with steps and their scores,
    searches as trees, one problem across weight versions, two runs side by side.

    RUN is a run's folder. Without --out the viewer is served on 127.0.0.1, and only there, until
    Ctrl-C: samples are read from the runs when they are looked at. With --out it becomes a folder
    whose index.html opens without a server; nothing in it is fetched from anywhere else.
    """
    from reasonbench.reports.viewer import open_book, serve, write_viewer

    if out is not None and port is not None:
        raise UsageError("--port is for serving, and --out writes files: give one of them.")
    book = open_book(runs)
    title = "Samples of " + " and ".join(run.name for run in book.runs)
    console = terminal()
    if out is not None:
        written = write_viewer(book, out, title=title)
        console.print(
            f"{written.problems:,} problems with {written.samples:,} samples written: "
            f"{written.files:,} files, {written.size / 1e6:,.1f} MB",
            visible(f"open {written.page}"),
            sep="\n",
            soft_wrap=True,
        )
        return
    server = serve(book, title=title) if port is None else serve(book, title=title, port=port)
    try:
        console.print(f"{server.address}   (Ctrl-C ends it)", soft_wrap=True)
        server.serve_forever()
    except KeyboardInterrupt:
        console.print("ended")
    finally:
        server.server_close()
