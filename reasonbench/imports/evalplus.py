"""Programs of EvalPlus: samples, results, and folders of programs.

Written against version 0.3.1 and the commits after it (26d6d00, `evalplus/data/utils.py`
`load_solutions`, `evalplus/evaluate.py`, `evalplus/codegen.py`):

- `MODEL_BACKEND_temp_T.jsonl`: `task_id` and `solution` (a whole program) or `completion` (which
  goes on from the prompt); gzip too;
- `…_eval_results.json` and `….eval_results.json`: `{"eval": {task_id: [{"solution", "base_status",
  "plus_status", …}]}}`, with EvalPlus's verdicts;
- a folder with a folder for each task, `HumanEval_0/0.py`, `eval_results.json` in it or not;
- `….raw.jsonl` and folders whose names end in `.raw`: the responses that the programs were taken
  from (of a model that completes, the prompt and its completion).

None of them holds tokens or says how a response ended.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.imports import bounded
from reasonbench.imports.samples import Imported, Log, Origin, named
from reasonbench.runs.rows import reading

HARNESS = "evalplus"

LONGEST_PROGRAM = 4 << 20
"""Bytes of a file in a folder of programs."""

_NAME = re.compile(
    r"(?P<model>.+?)_(?P<backend>[a-z]+)_temp_(?P<temperature>\d+(?:\.\d+)?)(?=\W|$)"
)
_RESULTS = re.compile(r"[._]eval_results\.json$")
_RAW = re.compile(r"\.raw(?:\.jsonl)?(?:\.gz)?$")


def recognises(row: Mapping[str, Any]) -> bool:
    """Whether a row is a sample of this harness."""
    return "task_id" in row and ("solution" in row or "completion" in row)


def read(path: Path, metric: str | None = None) -> Log:
    """A file of samples or results, or a folder of programs.

    Args:
        metric: "base" for the verdict of the base tests alone; that of all tests by default.

    Raises:
        UsageError: nothing readable is there.
    """
    match = _NAME.match(path.name)
    settings: dict[str, Any] = {}
    if match:
        settings = {"temperature": float(match["temperature"]), "backend": match["backend"]}
    model = match["model"].replace("--", "/") if match else None
    notes: tuple[str, ...] = ()
    samples: Callable[[], Iterator[Imported]]
    if path.is_dir():
        beside, samples = path / "eval_results.json", partial(_folder, path)
        if beside.is_file():
            notes = (f"its verdicts are in {beside.name}: import that file to compare them",)
    elif is_results(path):
        samples = partial(_results, path, metric)
    else:
        samples = partial(_lines, path)
    if _RAW.search(path.name):
        programs, samples = samples, lambda: _responses(programs())
    return Log(path, Origin(HARNESS, model=model, settings=settings, notes=notes), samples)


def is_results(path: Path) -> bool:
    """Whether a file holds EvalPlus's results, by its name."""
    return _RESULTS.search(path.name) is not None or path.name == "eval_results.json"


def task_of(task_id: str) -> str:
    """The set of problems that an id belongs to: "HumanEval/0" is of HumanEval."""
    return named(task_id.partition("/")[0] or HARNESS)


def _lines(path: Path) -> Iterator[Imported]:
    for line, row in bounded.lines(path):
        where = f"{path}, line {line}"
        if not isinstance(row, dict) or not recognises(row):
            raise UsageError(f"{where}: no sample of {HARNESS} (it needs task_id and solution or "
                             "completion).")  # fmt: skip
        whole = "solution" in row
        text = row["solution" if whole else "completion"]
        if not isinstance(text, str | None):
            raise UsageError(f"{where}: its program is no text.")
        yield _sample(where, row["task_id"], text, continues=not whole)


def _responses(programs: Iterator[Imported]) -> Iterator[Imported]:
    """What stands for a program is the whole response: our extraction finds the program in it."""
    for sample in programs:
        yield replace(sample, program=sample.continues)


def _results(path: Path, metric: str | None) -> Iterator[Imported]:
    for name, line, found in bounded.members(path, "eval"):
        if name != "eval":
            continue
        where = f"{path}, line {line}"
        task, samples = found if isinstance(found, tuple) else (None, None)
        if not isinstance(task, str) or not isinstance(samples, list):
            raise UsageError(f"{where}: no results of a task (results of EvalPlus before 0.2 hold "
                             "no programs).")  # fmt: skip
        for sample in samples:
            if not isinstance(sample, dict) or not isinstance(sample.get("solution"), str):
                raise UsageError(f"{where}: a result of {named(task)} has no solution.")
            base, plus = sample.get("base_status"), sample.get("plus_status")
            passed = {
                name: float(status == "pass")
                for name, status in (("base", base), ("plus", plus))
                if isinstance(status, str)
            }
            label = None
            if metric == "base" and "base" in passed:
                label = passed["base"] == 1
            elif passed:
                label = all(passed.values())
            # the base tests alone refuse for certain, and accept nothing
            if metric != "base" and "plus" not in passed and label:
                label = None
            yield _sample(where, task, sample["solution"], label=label, scores=passed)


def _folder(path: Path) -> Iterator[Imported]:
    """Programs in the order of their numbers, folder by folder."""
    with os.scandir(path) as entries:
        folders = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    found = False
    for folder in folders:
        # a link could name any file of this machine
        found_here = (path / folder).glob("*.py")
        files = [file for file in found_here if file.is_file() and not file.is_symlink()]
        for file in sorted(files, key=_number):
            found = True
            yield _sample(str(file), folder.replace("_", "/", 1), _program(file))
    if not found:
        raise UsageError(f"{path} holds no programs of the form TASK/0.py.")


def _sample(where: str, task_id: object, text: str | None, **more: Any) -> Imported:
    name = named(task_id)
    return Imported(
        where=where,
        task=task_of(name),
        problem_id=name,
        ids=(name,),
        certain=True,
        text=text,
        failure=None if text is not None else "the log holds no program",
        program=True,
        **more,
    )


def _number(file: Path) -> tuple[int, str]:
    """2.py comes before 10.py."""
    return (int(file.stem) if file.stem.isdecimal() and len(file.stem) < 10 else -1, file.name)


def _program(file: Path) -> str:
    with reading(file) as stream:
        raw = stream.read(LONGEST_PROGRAM + 1)
    if len(raw) > LONGEST_PROGRAM:
        raise UsageError(f"{file} is larger than {LONGEST_PROGRAM >> 20} MB.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text: {error.reason}.") from None
