"""A file of problems from several sources, each judged by rewards of its own.

R1's last stage mixes prompts that rules can judge with others that only a reward model can
(DeepSeek-R1, section 2.3.4); `reasonbench train grpo --set data=FILE` reads what is written here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reasonbench import benchmarks
from reasonbench.errors import UsageError, unknown
from reasonbench.runs import atomic_write
from reasonbench.trainers.rl_problems import read_problems
from reasonbench.types import Problem

GRADED = ("accuracy",)
"""Rules that need the problem's answer."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ProblemSource(_Part):
    """Where some of the problems come from, and what judges them."""

    benchmark: str | None = None
    """A benchmark by name; or give `file`."""
    file: str | None = None
    """A file of problems, as `reasonbench train grpo --data` reads it."""
    rules: list[str] = Field(default_factory=list)
    """Names of the rewards that judge these problems ("accuracy", "model"); a file's own rows may
    name theirs, which go before. All of them where none is named."""
    limit: int | None = Field(None, ge=1)
    """The most problems of it."""


class ProblemsConfig(_Part):
    """Which problems are mixed."""

    sources: list[ProblemSource] = Field(min_length=1)
    """Where they come from."""
    seed: int = 0
    """Of their order."""


Model = TypeVar("Model", bound=BaseModel)


def checked(kind: type[Model], settings: Mapping[str, Any]) -> Model:
    """Settings of a kind.

    Raises:
        UsageError: a key that does not exist, or a value out of range.
    """
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise unknown("setting", key, kind.model_fields) from error
        raise UsageError(f"setting {key}: {first['msg']}") from error


def write(config: ProblemsConfig, out: Path) -> int:
    """Writes the problems as JSONL in a random order; how many.

    Problems that no rule grades are written without their answer, as prompts.

    Raises:
        UsageError: a source that cannot be read, or a problem of a kind that a file cannot hold.
    """
    rows = [row for source in config.sources for row in _rows(source)]
    random.Random(config.seed).shuffle(rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return len(rows)


def _rows(source: ProblemSource) -> list[dict[str, Any]]:
    if (source.benchmark is None) == (source.file is None):
        raise UsageError("a source of problems is a benchmark or a file, one of the two")
    problems: tuple[Problem, ...] | list[Problem]
    if source.file is not None:
        problems = read_problems(Path(source.file))
    else:
        problems = list(benchmarks.load(benchmarks.resolve(str(source.benchmark))).problems)
    return [_row(problem, source.rules) for problem in problems[: source.limit]]


def _row(problem: Problem, rules: list[str]) -> dict[str, Any]:
    question = problem.question
    named = list(problem.hidden.get("rules") or rules)
    row: dict[str, Any] = {
        "id": f"{question.benchmark}/{question.id}",
        "question": question.text,
        "level": problem.level,
        "subject": problem.subject,
        **({"rules": named} if named else {}),
    }
    if named and not any(rule in GRADED for rule in named):
        return row
    if question.kind not in ("math", "integer", "choice", "expression"):
        raise UsageError(
            f"{question.benchmark}: a problem of kind {question.kind} cannot stand in a file of "
            "problems: give the benchmark to grpo, or judge it by other rewards than accuracy"
        )
    row["kind"] = question.kind
    if question.kind == "expression":
        return row | {
            "numbers": list(question.data["numbers"]),
            "target": question.data["target"],
        }
    return row | {"answer": problem.gold}
