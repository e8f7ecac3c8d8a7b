"""Problems as training rows of TRL and verl."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError, unknown
from reasonbench.prompts import Style, messages
from reasonbench.runs.export import write_jsonl
from reasonbench.runs.files import replacing
from reasonbench.trainers.problem_json import problem_json
from reasonbench.types import Problem

_BATCH = 1_024


def trl_row(problem: Problem, index: int, style: Style = "step") -> dict[str, Any]:
    """`prompt` (messages), `problem` (JSON, for `export_rewards.reward_funcs`), `id`."""
    return {
        "prompt": _turns(problem, style),
        "problem": problem_json(problem),
        "id": problem.id,
    }


def verl_row(problem: Problem, index: int, style: Style = "step") -> dict[str, Any]:
    """The columns that verl's data sets have; `extra_info.problem` is for `compute_score`."""
    return {
        "data_source": problem.benchmark,
        "prompt": _turns(problem, style),
        "ability": "code" if problem.question.kind == "code" else "math",
        "reward_model": {"style": "rule", "ground_truth": problem.gold or ""},
        "extra_info": {"index": index, "id": problem.id, "problem": problem_json(problem)},
    }


FORMATS: Mapping[str, Callable[[Problem, int, Style], dict[str, Any]]] = {
    "trl": trl_row,
    "verl": verl_row,
}


def write_rows(path: Path, problems: Iterable[Problem], form: str, style: Style = "step") -> int:
    """Write problems as training rows to .jsonl, .jsonl.gz or .parquet; how many.

    Args:
        form: a key of `FORMATS`.
        style: how the question is asked.

    Raises:
        UsageError: no such format or ending, or the file cannot be written; an older one stays.
    """
    if form not in FORMATS:
        raise unknown("format of training rows", form, FORMATS)
    make = FORMATS[form]
    rows = (make(problem, index, style) for index, problem in enumerate(problems))
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        return write_jsonl(path, rows)
    if name.endswith(".parquet"):
        return _write_parquet(path, rows)
    raise UsageError(
        f"cannot export training rows to {path.name}: they go to .jsonl, .jsonl.gz or .parquet."
    )


def _turns(problem: Problem, style: Style) -> list[dict[str, str]]:
    return [turn._asdict() for turn in messages(problem.question, style)]


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    batch = list(islice(rows, _BATCH))
    if not batch:
        raise UsageError("there are no problems to export.")
    schema = pa.Table.from_pylist(batch[:1]).schema
    count = 0
    with replacing(path) as partial, pq.ParquetWriter(partial, schema) as writer:
        while batch:
            writer.write_table(pa.Table.from_pylist(batch, schema))
            count += len(batch)
            batch = list(islice(rows, _BATCH))
    return count
