"""Rows of labelled steps as they come (PRM800K, Math-Shepherd), read as they stand.

`prompt, completions, labels` or `prompt, steps, labels`: one label a step, true or false, 1 or 0, a
share from 0 to 1, "+" or "-", "good" or "bad", or null where nobody says. `ratings` in place of
`labels` are those of PRM800K (Lightman et al. 2023): 1, 0 (neutral, which says nothing) and -1.

A step is given a blank line behind it where it ends without a line break: rewards are read where
steps end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasonbench.runs.rows import kind
from reasonbench.steps import DELIMITER
from reasonbench.trainers.labels import Solution

_WORDS: dict[Any, float] = {"+": 1.0, "-": 0.0, "good": 1.0, "bad": 0.0}
_STEPS = ("completions", "steps")
_LABELS = ("labels", "ratings")


def is_steps(values: Mapping[str, Any]) -> bool:
    """Whether a row is meant as one of labelled steps, however malformed."""
    return any(name in values for name in (*_STEPS, *_LABELS))


def read_steps(values: Mapping[str, Any]) -> tuple[str, Solution]:
    """The question of a row, and its solution with the labels of its steps.

    Raises:
        ValueError: it is malformed; the message says how.
    """
    question = values.get("prompt")
    if isinstance(question, list) and len(question) == 1 and isinstance(question[0], dict):
        question = question[0].get("content")
    if not isinstance(question, str) or not question:
        raise ValueError("`prompt` is no text (nor a conversation of one message)")
    steps, labels = (_one(values, names) for names in (_STEPS, _LABELS))
    ratings = "ratings" in values
    if not steps:
        raise ValueError("it has no steps")
    if len(steps) != len(labels):
        raise ValueError(f"it has {len(steps)} steps and {len(labels)} labels")
    for step in steps:
        if not isinstance(step, str) or not step.strip():
            what = "empty" if isinstance(step, str) else kind(step)
            raise ValueError(f"a step is {what}")
    found = tuple((_rating if ratings else _label)(label) for label in labels)
    if all(label is None for label in found):
        raise ValueError("no step has a label")
    texts = [s if s.endswith("\n") else s + DELIMITER for s in steps[:-1]]
    last = found[-1]
    correct = None if last is None else last > 0.5
    none = (0,) * len(steps)
    return question, Solution((*texts, steps[-1]), none, none, correct, False, found)


def _one(values: Mapping[str, Any], names: tuple[str, str]) -> list[Any]:
    given = [name for name in names if name in values]
    if len(given) != 1:
        said = "both `{}` and `{}`" if given else "neither `{}` nor `{}`"
        raise ValueError(f"it has {said.format(*names)}")
    value = values[given[0]]
    if not isinstance(value, list):
        raise ValueError(f"`{given[0]}` is {kind(value)}, not a list")
    return value


def _label(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    if isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    hint = " (labels of 1, 0 and -1 are `ratings`)" if value == -1 else ""
    raise ValueError(f'a label is {value!r}, not true or false, "+" or "-", or from 0 to 1{hint}')


def _rating(value: Any) -> float | None:
    if isinstance(value, bool) or value not in (1, 0, -1, None):
        raise ValueError(f"a rating is {value!r}, not 1, 0 or -1")
    return None if not value else float(value > 0)
