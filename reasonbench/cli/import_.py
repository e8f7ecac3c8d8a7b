"""`reasonbench import`: outputs of other harnesses become a run, graded by our graders."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from reasonbench.cli.agreement import report
from reasonbench.cli.score_progress import ScoreProgress
from reasonbench.cli.terminal import terminal
from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from reasonbench.imports import Log
    from reasonbench.imports.bring import Import
    from reasonbench.imports.matching import Given

SYMBOLIC = 2
"""Processes for answers that are no programs: few of them need one."""


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder.")
@click.option("--format", "form", help="lm-eval, inspect, lighteval, evalplus or livecodebench "
              "(recognised by default).")  # fmt: skip
@click.option("--benchmark", multiple=True,
              help="Whose problems are looked for in the log (its task's, where the data folder "
              "has them). Repeats.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path),
              help="Folder of local benchmark files (or REASONBENCH_DATA).")  # fmt: skip
@click.option("--model", help="The model's name, where the log does not say it.")
@click.option("--metric", help="Whose verdict counts as the harness's own (exact_match, "
              "exact_match,flexible-extract, a scorer's name); the first by default.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 256),
              help="Processes for grading (programs: one for each core; else 2).")  # fmt: skip
@click.option("--disagreements", type=click.IntRange(0), default=20, show_default=True,
              help="How many disagreements with the harness to list.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print results.json and the agreement.")
@click.option("--quiet", "-q", is_flag=True, help="No table.")
def command(
    files: tuple[Path, ...],
    out: Path,
    form: str | None,
    benchmark: tuple[str, ...],
    data: Path | None,
    model: str | None,
    metric: str | None,
    workers: int | None,
    disagreements: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make a run of other harnesses' outputs: every sample is graded anew.

    FILE is a sample log of lm-evaluation-harness, a log of inspect_ai (.eval, .json), details of
    lighteval (.parquet), samples, results or a folder of programs of EvalPlus, or outputs of
    LiveCodeBench. Several FILEs of one model make one run. The harness's own verdicts are kept
    beside ours, and compared.
    """
    from reasonbench.imports import open_log
    from reasonbench.imports.bring import Import, model_of
    from reasonbench.open_run import open_run

    started = time.perf_counter()
    console = terminal(quiet=quiet or as_json)
    said = terminal(stderr=True, quiet=quiet)
    logs = [open_log(path, form, metric) for path in files]
    model_of(logs, model)  # a slip is found before everything is read
    given = _given(said, logs, benchmark, data)
    config = {
        "import": [path.name for path in files],
        "sha256": [_sha256(path) for path in files],
        "format": form,
        "benchmark": [f"{one.benchmark.name} {one.loaded.revision or ''}".strip() for one in given],
        "model": model,
        "metric": metric,
    }
    with open_run(out, config, disposable=True) as store:
        if store.resumed and _again(console, said, store, out, as_json, disagreements):
            return
        work = Import(logs, given, metric=metric, required=bool(benchmark))
        work.survey()
        progress = ScoreProgress(said, work.total, quiet=quiet)
        with progress:
            brought = asyncio.run(
                work.bring(
                    store,
                    model=model,
                    workers=workers or _workers(work),
                    advance=progress.advance,
                )
            )
    agreement = brought.agreement
    compared = agreement if agreement.labelled or agreement.ungraded else None
    report(console, brought.results, as_json, compared, disagreements)
    said.print(
        f"graded {work.total:,} samples in {time.perf_counter() - started:.1f} s; written to {out}",
        style="dim", soft_wrap=True, markup=False,
    )  # fmt: skip


def _again(
    console: Console, said: Console, store: Any, out: Path, as_json: bool, listed: int
) -> bool:
    """Whether the run is whole already; then it is printed as it is."""
    from reasonbench.imports.bring import agreement_of
    from reasonbench.runs.run import read_results

    try:
        results = read_results(out)
    except UsageError:  # killed before its table was written
        return False
    if not results["run"].get("complete"):
        return False
    agreement = agreement_of(store)
    compared = agreement if agreement.labelled or agreement.ungraded else None
    report(console, results, as_json, compared, listed)
    said.print(f"{out} holds these logs already; nothing was graded", style="dim", markup=False,
               soft_wrap=True)  # fmt: skip
    return True


def _given(
    said: Console, logs: Sequence[Log], names: Sequence[str], data: Path | None
) -> list[Given]:
    """The benchmarks that were named; else those of the logs' tasks that lie in the data folder."""
    from reasonbench import benchmarks
    from reasonbench.benchmarks.load import DATA_VARIABLE
    from reasonbench.imports.bring import wanted
    from reasonbench.imports.matching import Given

    if names:
        named = [benchmarks.resolve(name) for name in names]
        return [Given(one, benchmarks.load(one, data)) for one in named]
    folder = data or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    found = []
    for name in wanted(logs):
        benchmark = benchmarks.get(name)
        if folder is not None and benchmark.local and (folder / benchmark.local).is_file():
            found.append(Given(benchmark, benchmarks.load(benchmark, folder)))
        else:
            said.print(
                f"note: the problems may be those of {name}: give --data DIR or --benchmark {name} "
                "to grade them as that benchmark.",
                style="yellow", markup=False, soft_wrap=True,
            )  # fmt: skip
    return found


def _workers(work: Import) -> int:
    return len(os.sched_getaffinity(0)) if "code" in work.kinds else SYMBOLIC


def _sha256(path: Path) -> str:
    """Of a file's bytes, or of the programs in a folder."""
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(path.glob("*/*.py")):
            if file.is_file():
                digest.update(f"{file.relative_to(path)}\n{_sha256(file)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
