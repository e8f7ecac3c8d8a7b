"""What a viewer shows: runs, their problems, and where samples come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reasonbench.errors import UsageError
from reasonbench.reports.shown import shown
from reasonbench.runs import RunStore
from reasonbench.runs.folder import RESULTS
from reasonbench.runs.run import read_results
from reasonbench.runs.tables import is_headline, model_label, strategy_label

MOST_SOURCES = 4_000
"""More pools and weight versions than this are refused: nobody could choose among them."""


class Source(NamedTuple):
    """Samples of one run that were drawn alike by the same weights."""

    run: int
    """Index into `Book.runs`."""
    pool: str
    weight_version: int


class ProblemKey(NamedTuple):
    """Which problem."""

    benchmark: str
    problem_id: str


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run.

    Attributes:
        folder: of the run.
        name: the folder's name, with a number behind it where two are called alike.
        pools: what is stored of how each pool is drawn.
        results: what results.json holds; None where there is none yet.
    """

    folder: Path
    name: str
    pools: Mapping[str, Mapping[str, Any]]
    results: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Book:
    """The runs of a viewer.

    Attributes:
        runs: in the order they were given.
        sources: pools of tests are left out: they are nobody's samples.
        benchmarks: of each source.
        problems: of all runs; a problem that several have stands once, and its place is its number.
    """

    runs: tuple[RunInfo, ...]
    sources: tuple[Source, ...]
    benchmarks: tuple[frozenset[str], ...]
    problems: tuple[ProblemKey, ...]

    @contextmanager
    def stores(self) -> Iterator[tuple[RunStore, ...]]:
        """The database of every run, opened for reading."""
        with ExitStack() as stack:
            yield tuple(stack.enter_context(RunStore.open(run.folder)) for run in self.runs)

    def ends_known(self, source: Source, benchmark: str) -> bool:
        """Whether it is known which samples a limit cut; logs of other harnesses may not say it."""
        results = self.runs[source.run].results or {}
        task = results.get("protocol", {}).get("benchmarks", {}).get(benchmark, {})
        ends: object = task.get("pools", {}).get(source.pool, {}).get("ends")
        return ends != "unknown"

    def drawn_for(self, benchmark: str) -> Iterator[tuple[int, Source]]:
        """The sources with samples of a benchmark, with their index."""
        for place, source in enumerate(self.sources):
            if benchmark in self.benchmarks[place]:
                yield place, source


def open_book(folders: Sequence[Path]) -> Book:
    """The runs in these folders.

    Raises:
        UsageError: one is no run, one is given twice, none has samples, or there is more in them
            than can be shown.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("a run is given twice.")
    runs: list[RunInfo] = []
    sources: dict[Source, set[str]] = {}
    problems: dict[ProblemKey, None] = {}
    for number, folder in enumerate(folders):
        with RunStore.open(folder) as store:
            pools = store.pools()
            names = [run.name for run in runs]
            runs.append(RunInfo(folder, _name(folder, names), pools, _results(folder)))
            for benchmark, pool, version in store.series():
                if pools.get(pool, {}).get("role") != "tests":
                    sources.setdefault(Source(number, pool, version), set()).add(benchmark)
            for problem in store.problems():
                problems[ProblemKey(problem.benchmark, problem.id)] = None
    if not sources:
        raise UsageError(f"{', '.join(map(str, folders))} has no samples to show yet.")
    if len(sources) > MOST_SOURCES:
        raise UsageError(
            f"{len(sources):,} pools and weight versions are more than a viewer shows "
            f"({MOST_SOURCES:,})."
        )
    benchmarks = tuple(frozenset(found) for found in sources.values())
    return Book(tuple(runs), tuple(sources), benchmarks, tuple(problems))


def header(book: Book, *, chunks: int) -> dict[str, Any]:
    """What the page holds besides the problems, as JSON has it.

    Args:
        chunks: how many files hold the list of problems.
    """
    return {
        "chunks": chunks,
        "problems": len(book.problems),
        "runs": [_run(run) for run in book.runs],
        "sources": [
            _source(book.runs[source.run], source, book.benchmarks[place])
            for place, source in enumerate(book.sources)
        ],
    }


def _run(run: RunInfo) -> dict[str, Any]:
    results = run.results or {}
    about = results.get("run", {})
    return {
        "name": shown(run.name),
        "model": shown(model_label(results.get("model", {}))),
        "created": about.get("created"),
        "complete": about.get("complete"),
        "rows": [_row(row) for row in results.get("rows", ()) if is_headline(row)],
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the run's table: what results.json says, and nothing computed anew."""
    at = "@≤" if row.get("samples_used") is not None else "@"
    return {
        "benchmark": shown(row["benchmark"]),
        "strategy": shown(strategy_label(row)),
        "metric": str(row["metric"]).replace("@k", f"{at}{row['k']}"),
        **{name: row.get(name) for name in _COPIED},
    }


_COPIED = (
    "step", "weight_version", "accuracy", "interval", "problems", "truncated", "no_answer",
    "ungraded", "decode_tokens",
)  # fmt: skip


_READ = {"benchmark", "strategy", "options", "metric", "n", "k", "level", "subject", *_COPIED[1:]}


def _source(run: RunInfo, source: Source, benchmarks: frozenset[str]) -> dict[str, Any]:
    results = run.results or {}
    tasks = results.get("protocol", {}).get("benchmarks", {})
    strategies: dict[str, list[str]] = {}
    for benchmark in sorted(benchmarks):
        named = tasks.get(benchmark, {}).get("strategies", {})
        strategies[shown(benchmark)] = [
            shown(name) for name, pool in named.items() if pool == source.pool
        ]
    spec = run.pools.get(source.pool, {})
    steps = {
        one.get("weight_version"): one.get("step")
        for one in results.get("run", {}).get("evaluations", ())
    }
    return {
        "run": source.run,
        "pool": shown(source.pool),
        "version": source.weight_version,
        "step": steps.get(source.weight_version),
        "strategies": strategies,
        "search": spec.get("search"),
        "reward": spec.get("reward"),
    }


def _name(folder: Path, taken: Sequence[str]) -> str:
    name = folder.resolve().name
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name} ({number})"
    return found


def _results(folder: Path) -> Mapping[str, Any] | None:
    """results.json, which a run that goes on may not have yet.

    Raises:
        UsageError: it cannot be read, or somebody else wrote it.
    """
    if not (folder / RESULTS).exists():
        return None
    results = read_results(folder)
    rows = results.get("rows")
    if not isinstance(rows, list) or not all(
        isinstance(r, dict) and r.keys() >= _READ for r in rows
    ):
        raise UsageError(
            f"{folder / RESULTS} does not hold a run's results: write it again with "
            f"`reasonbench score {folder} --regrade`."
        )
    return results
