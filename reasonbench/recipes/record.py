"""What is kept of a chain's stages: how each ended, what it used, what its model scores."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reasonbench.recipes.read import Stage
from reasonbench.runs import atomic_write

SCHEMA = 1
RESULTS, TABLE = "recipe.json", "recipe.md"
"""The summary of a chain, for programs and for people."""

_EVERY = 5.0
"""Seconds between two notes of the time that a stage has taken: a kill loses no more of it."""


@dataclass(frozen=True, slots=True)
class Record:
    """A finished stage.

    Attributes:
        name, kind: of the stage; the base's kind is "model".
        fingerprint: of all that decides what it makes; a stage of another one must be made anew.
        seconds: wall-clock, all sessions together, without the evaluation.
        generated, trained: tokens; None where nobody counts.
        figures: what else is known of it.
        rows: what its model scores (`measured.rows`).
        evaluation: fingerprint of the evaluation's settings; "" where there was none.
        evaluation_seconds: wall-clock seconds of the evaluation.
    """

    name: str
    kind: str
    fingerprint: str
    seconds: float = 0.0
    generated: int | None = None
    trained: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    evaluation: str = ""
    evaluation_seconds: float = 0.0


class Records:
    """The records of a chain, one file each.

    Args:
        folder: of the records; made when the first is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> Record | None:
        """The record of a stage; None where it is not finished."""
        path = self._folder / f"{name}.json"
        if not path.is_file():
            return None
        return Record(**json.loads(path.read_text(encoding="utf-8")))

    def keep(self, record: Record) -> None:
        """Write a record; it is whole or not there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(record), ensure_ascii=False, indent=1)
        atomic_write(self._folder / f"{record.name}.json", text + "\n")

    def clock(self, name: str) -> Clock:
        """Measures the wall-clock time of something over all its sessions."""
        return Clock(self._folder / f"{name}.seconds")


class Clock:
    """Wall-clock seconds of a `with` block, those of earlier, killed sessions included."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = float(path.read_text()) if path.is_file() else 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="clock", daemon=True)
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """So far."""
        return self._before + time.monotonic() - self._begun

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._begun = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        atomic_write(self._path, f"{self.seconds:.2f}\n")

    def _tick(self) -> None:
        while not self._ended.wait(_EVERY):
            atomic_write(self._path, f"{self.seconds:.2f}\n")


def fingerprint(stage: Stage, known: Mapping[str, str]) -> str:
    """Of what a stage makes: its settings as written, and what they refer to.

    Args:
        known: fingerprints of the stages before, and what base and inputs are.
    """
    parts = {name: known[name] for name in stage.needs()}
    return digest([stage.kind, stage.settings, parts])


def digest(value: Any) -> str:
    """Sixteen hex digits that equal values share."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_results(
    out: Path, recipe: str, model: str, records: Sequence[Record], total: int
) -> dict[str, Any]:
    """Writes the summary of the stages so far; returns what recipe.json holds.

    Args:
        total: how many stages the chain has.
    """
    results = {
        "schema": SCHEMA,
        "recipe": recipe,
        "model": model,
        "complete": sum(record.kind != "model" for record in records) == total,
        "stages": [asdict(record) for record in records],
    }
    atomic_write(out / RESULTS, json.dumps(results, ensure_ascii=False, indent=1) + "\n")
    lines = [COLUMNS, ["---"] * 3 + ["---:"] * (len(COLUMNS) - 3)]
    lines += [line for record in records for line in cells(record)]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    atomic_write(out / TABLE, f"# {recipe} from {model}\n\n{text}")
    return results


COLUMNS = [
    "Stage",
    "Kind",
    "Evaluation",
    "Accuracy (%)",
    "95% interval",
    "Length",
    "Generated",
    "Trained",
    "Seconds",
]
"""Of the summary: accuracy is that of the row's strategy (pass@1 for cot), length the mean tokens
of a completion, the last three what the stage used, its evaluation left out."""


def cells(record: Record) -> list[list[str]]:
    """A record as lines of the summary: one for each evaluation, at least one."""
    used = [
        "" if record.generated is None else f"{record.generated:,}",
        "" if record.trained is None else f"{record.trained:,}",
        "" if record.kind == "model" else f"{record.seconds:,.0f}",
    ]
    found = []
    for row in record.rows:
        low, high = row["interval"]
        found.append(
            [
                f"{row['benchmark']} {row['strategy']}",
                _percent(row["accuracy"]),
                "" if low is None else f"[{_percent(low)}, {_percent(high)}]",
                "" if row["length"] is None else f"{row['length']:.0f}",
            ]
        )
    first = [record.name, record.kind]
    lines = found or [["", "", "", ""]]
    return [
        [*(first if i == 0 else ["", ""]), *line, *(used if i == 0 else ["", "", ""])]
        for i, line in enumerate(lines)
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
