"""A problem with all that grades it as plain values: in checkpoints, and as JSON in the data of
other trainers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.types import Problem, Question


def as_plain(problem: Problem) -> dict[str, Any]:
    """The problem as nested plain values: gold answer and hidden tests included."""
    question = problem.question
    return {
        "id": question.id,
        "benchmark": question.benchmark,
        "text": question.text,
        "instruction": question.instruction,
        "kind": question.kind,
        "data": dict(question.data),
        "gold": problem.gold,
        "level": problem.level,
        "subject": problem.subject,
        "source": problem.source,
        "hidden": dict(problem.hidden),
    }


def problem_json(problem: Problem) -> str:
    """The problem as JSON."""
    return json.dumps(as_plain(problem), ensure_ascii=False)


def read_problem(text: str | Mapping[str, Any]) -> Problem:
    """The problem that `as_plain` or `problem_json` wrote; from JSON, tuples come back as lists.

    Raises:
        UsageError: it is not of that form.
    """
    try:
        value = json.loads(text) if isinstance(text, str) else text
        question = Question(
            id=value["id"],
            benchmark=value["benchmark"],
            text=value["text"],
            instruction=value.get("instruction") or "",
            kind=value["kind"],
            data=value.get("data") or {},
        )
        return Problem(
            question,
            value.get("gold"),
            value.get("level"),
            value.get("subject"),
            value.get("source") or "",
            value.get("hidden") or {},
        )
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"a `problem` is not as `reasonbench export --format` writes it ({error!r})."
        ) from None
