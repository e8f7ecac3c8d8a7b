"""Importing in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reasonbench import benchmarks
from reasonbench.imports import open_log
from reasonbench.imports.bring import Brought, Import
from reasonbench.imports.matching import Given
from reasonbench.open_run import open_run
from reasonbench.runs import RunStore
from reasonbench.runs.stored import StoredSample


class Made(NamedTuple):
    """A run that was imported."""

    folder: Path
    brought: Brought

    @property
    def results(self) -> Mapping[str, Any]:
        return self.brought.results

    def samples(self, benchmark: str) -> dict[tuple[str, int], StoredSample]:
        """By problem and sample."""
        with RunStore.open(self.folder) as store:
            return {
                (stored.problem.id, sample.sample): sample
                for series in store.series()
                if series.benchmark == benchmark
                for stored in store.samples(*series, text=True)
                for sample in stored.samples
            }

    def accuracy(self, strategy: str = "cot") -> float | None:
        """Of `cot` its pass@1; of others at their largest k."""
        rows = self.results["rows"]
        found = [r for r in rows if r["strategy"] == strategy and r["level"] is None]
        value: float | None = found[0 if strategy == "cot" else -1]["accuracy"]
        return value


def bring(
    folder: Path,
    *files: Path,
    form: str | None = None,
    metric: str | None = None,
    data: Path | None = None,
    names: Sequence[str] = (),
) -> Made:
    """Import files into a new run below `folder`; `names` are benchmarks of the data folder."""
    given = []
    for name in names:
        benchmark = benchmarks.get(name)
        given.append(Given(benchmark, benchmarks.load(benchmark, data)))
    work = Import(
        [open_log(file, form, metric) for file in files], given, metric=metric, required=True
    )
    run = folder / "run"
    with open_run(run, {"import": [file.name for file in files]}, disposable=True) as store:
        work.survey()
        return Made(run, asyncio.run(work.bring(store)))
