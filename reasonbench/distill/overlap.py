"""Whether what is distilled stands in the benchmarks that will be reported: a warning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reasonbench import benchmarks
from reasonbench.trainers.contamination import Contamination, Index, record_text
from reasonbench.trainers.contamination import Overlap as Found
from reasonbench.types import Problem


class Overlap:
    """Collects overlaps of training rows with benchmarks (reasonbench.trainers.contamination)."""

    def __init__(self, index: Index | None) -> None:
        self._index = index
        self._found: list[Found] = []
        self._rows = 0

    def look(self, problem: Problem) -> None:
        """A problem has rows."""
        self._look(problem.question.text, f"{problem.benchmark}/{problem.id}")

    def look_at_record(self, record: Mapping[str, Any]) -> None:
        """A row of general data is taken."""
        self._look(record_text(record), str(record.get("id")))

    def found(self) -> dict[str, Any] | None:
        """For the summary, with the warnings in words; None where nothing was compared."""
        if self._index is None:
            return None
        found = Contamination(
            self._rows, self._index.problems, self._index.words, tuple(self._found)
        )
        return {**found.record(), "warnings": list(found.warnings())}

    def _look(self, text: str, name: str) -> None:
        if self._index is not None:
            self._found += self._index.overlaps(text, self._rows, name)
            self._rows += 1


def load_against(names: Sequence[str], data: Path | None) -> Overlap:
    """What compares with these benchmarks; with none it does nothing.

    Raises:
        UsageError: an unknown benchmark, or its data is not there.
    """
    if not names:
        return Overlap(None)
    loaded = [benchmarks.load(benchmarks.resolve(name), data) for name in names]
    return Overlap(Index(problem for one in loaded for problem in one.problems))
