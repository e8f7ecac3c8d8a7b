"""Logs of other harnesses: recognised, read one sample at a time, and brought into a run.

    log = open_log(Path("samples_gsm8k_2025-01-01T00-00-00.jsonl"))
    for sample in log.samples(): ...

One module for each harness reads its files into `Imported`; `matching` finds the problem that a
sample answers; `bring` grades all of them into a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError, unknown
from reasonbench.imports import bounded, evalplus, inspect_log, lighteval, livecodebench, lm_eval
from reasonbench.imports.samples import Imported, Log, Origin, clean
from reasonbench.runs.rows import reading

__all__ = ["FORMATS", "Imported", "Log", "Origin", "open_log", "recognise"]

FORMATS: dict[str, Callable[[Path, str | None], Log]] = {
    "lm-eval": lm_eval.read,
    "inspect": inspect_log.read,
    "lighteval": lighteval.read,
    "evalplus": evalplus.read,
    "livecodebench": livecodebench.read,
}
"""What `--format` can say."""

_LINES = (".jsonl", ".jsonl.gz", ".ndjson")


def open_log(path: Path, form: str | None = None, metric: str | None = None) -> Log:
    """A log, recognised by its content where nobody says of which harness it is.

    Args:
        form: one of `FORMATS`.
        metric: whose verdict counts as the harness's own.

    Raises:
        UsageError: it is not there, is damaged, or is of no known format.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist.")
    form = form or recognise(path)
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if path.is_dir() and form != "evalplus":
        raise UsageError(f"{path} is a folder: name the files of {form} in it.")
    log = FORMATS[form](path, metric)
    return replace(log, origin=clean(log.origin))


def recognise(path: Path) -> str:
    """Of which harness a file is, by its first bytes, its columns or the fields of its first row.

    Raises:
        UsageError: of none that is known.
    """
    if path.is_dir():
        return "evalplus"
    with reading(path) as stream:
        magic = stream.read(4)
    if magic[:2] == b"PK":
        return "inspect"
    if magic == b"PAR1":
        return "lighteval"
    found = _of_row(_first(path))
    if found is None:
        raise UsageError(
            f"{path} is of no harness that is known here: name it with --format "
            f"({', '.join(FORMATS)}), or read it with `reasonbench score`."
        )
    return found


def _first(path: Path) -> Any:
    """The first line, element, or the beginning of an object."""
    opening = bounded.begins(path)
    if opening == "[":
        return next(bounded.elements(path), (0, None))[1]
    if opening == "{" and path.name.endswith(_LINES):
        return next(bounded.lines(path), (0, None))[1]
    if opening == "{":
        row: dict[str, Any] = {}
        for name, _, value in bounded.members(path, "eval", "samples"):
            if name in row or name == "samples" or len(row) > 8:
                break  # nothing that matters stands behind
            row[name] = value
        return row
    return None


def _of_row(row: Any) -> str | None:
    if isinstance(row, list):  # LiveCodeBench's custom outputs: its reader says what to do
        return "livecodebench"
    if not isinstance(row, dict):
        return None
    if lm_eval.recognises(row):
        return "lm-eval"
    if livecodebench.recognises(row) or "pred_list" in row or "detail" in row:
        return "livecodebench"
    if evalplus.recognises(row):
        return "evalplus"
    if {"eval", "plan"} & row.keys() and {"status", "version"} & row.keys():
        return "inspect"
    return "evalplus" if "eval" in row else None
