"""Outputs of LiveCodeBench's runner and of its custom evaluator, code generation only.

Written against commit 28fef95 of July 2025 (`lcb_runner/benchmarks/code_generation.py`,
`lcb_runner/runner/main.py`, `custom_evaluator.py`, `lcb_runner/utils/path_utils.py`): a JSON array
with an object for each problem, `question_id` and `code_list` (the extracted programs), and, where
the runner wrote it, `output_list` (the responses), `question_content`, `difficulty`, `platform`,
`contest_date`; in `…_eval_all.json` also `graded_list`, `pass@1` and `metadata`. The runner's
folders and names hold the model, n and the temperature:
`output/MODEL/Scenario.codegeneration_N_T….json`. Neither tokens nor the ends of responses are
recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.imports import bounded
from reasonbench.imports.samples import Imported, Log, Origin, named

HARNESS = "LiveCodeBench"

_NAME = re.compile(
    r"(?:Scenario\.)?(?P<scenario>[a-z]+)_(?P<n>\d{1,6})_(?P<temperature>\d+(?:\.\d+)?)(?:_|\.json)"
)


def recognises(row: Mapping[str, Any]) -> bool:
    """Whether a row is a problem with its programs."""
    return "question_id" in row and ("code_list" in row or "output_list" in row)


def read(path: Path, metric: str | None = None) -> Log:
    """A file of outputs.

    Args:
        metric: nothing to choose from: there is one verdict.

    Raises:
        UsageError: it is no array of problems.
    """
    first = next(bounded.elements(path), None)
    if first is None:
        raise UsageError(f"{path} holds no outputs.")
    where, row = f"{path}, line {first[0]}", first[1]
    if isinstance(row, dict) and "detail" in row:
        raise UsageError(f"{path} holds metrics only: import the …_eval_all.json beside it.")
    if isinstance(row, list):
        raise UsageError(f"{where}: lists without ids; `reasonbench score {path} --benchmark "
                         "livecodebench:…` reads them in the benchmark's order.")  # fmt: skip
    _check(row, where)
    match = _NAME.match(path.name)
    settings: dict[str, Any] = {}
    model = None
    if match:
        settings = {"n": int(match["n"]), "temperature": float(match["temperature"])}
        model = path.absolute().parent.name
    programs = row.get("output_list") in (None, row.get("code_list"))
    return Log(path, Origin(HARNESS, model=model, settings=settings),
               lambda: _samples(path, programs))  # fmt: skip


def _check(row: Any, where: str) -> None:
    if not isinstance(row, dict) or not recognises(row):
        if isinstance(row, dict) and "pred_list" in row:
            raise UsageError(f"{where}: only outputs of code generation can be imported.")
        raise UsageError(f"{where}: no output of {HARNESS} (it needs question_id and code_list).")


def _samples(path: Path, programs: bool) -> Iterator[Imported]:
    field = "code_list" if programs else "output_list"
    for line, row in bounded.elements(path):
        where = f"{path}, line {line}"
        _check(row, where)
        written, graded = row.get(field), row.get("graded_list")
        if not isinstance(written, list):
            raise UsageError(f"{where}: {field} is no list.")
        if isinstance(graded, list) and len(graded) != len(written):
            raise UsageError(f"{where}: graded_list has {len(graded)} verdicts for {len(written)} "
                             "programs.")  # fmt: skip
        key, content = named(row["question_id"]), row.get("question_content")
        for sample, text in enumerate(written):
            if not isinstance(text, str | None):
                raise UsageError(f"{where}: element {sample} of {field} is no text.")
            verdict = graded[sample] if isinstance(graded, list) else None
            label = verdict if isinstance(verdict, bool) else None
            yield Imported(
                where=where,
                task="livecodebench",
                problem_id=key,
                ids=(key,),
                certain=True,
                question=content if isinstance(content, str) else None,
                text=text,
                failure=None if text is not None else "the log holds no program",
                program=programs,
                label=label,
                scores={} if label is None else {"graded": float(label)},
            )
