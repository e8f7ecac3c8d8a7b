"""What a training writes beside its model: the log while it runs, `training.json` in the end."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from reasonbench.runs.files import atomic_write
from reasonbench.trainers.sft import LogRow

LOG = "log.jsonl"
"""The log rows of a run, one a line; a resumed run goes on with them."""

SUMMARY = "training.json"

Row = TypeVar("Row", bound=LogRow)


def append(out: Path, row: LogRow) -> None:
    """Adds a row to the log."""
    with (out / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(plain(asdict(row))) + "\n")


def log_until(out: Path, step: int, kind: type[Row]) -> list[Row]:
    """The rows up to an update; later ones are dropped from the file, and half a line is."""
    path, rows = out / LOG, list[Row]()
    if step and path.is_file():
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            row = kind(**json.loads(line))
            if row.step <= step:
                rows.append(row)
    atomic_write(path, "".join(json.dumps(plain(asdict(row))) + "\n" for row in rows))
    return rows


def write_summary(out: Path, summary: Mapping[str, Any]) -> None:
    """Writes `training.json`, whole or not at all."""
    atomic_write(out / SUMMARY, json.dumps(plain(summary), indent=1, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """The same with null for numbers that JSON has no word for: NaN and the infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
