"""What a log of another harness holds, in one form for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from reasonbench.runs.codec import storable
from reasonbench.types import Finish

LONGEST_NAME = 200
"""Characters of an id or a task's name; a longer one ends in a digest of the whole."""


@dataclass(frozen=True, slots=True)
class Imported:
    """One sample of a log.

    Attributes:
        where: file and line or entry, for messages.
        task: as the harness names it.
        problem_id: as the harness names it, unique within the task.
        ids: names that the problem's source gives it ("HumanEval/0"); not the position of a row.
        certain: the ids are the source's own, so nothing else need agree.
        question: the problem's text; with the harness's instruction around it, if the log has it
            only so. None where the log does not hold it.
        target: the reference answer; None where there is none.
        options: of a multiple choice, in the order that the model saw; () where unknown.
        document: the row of the dataset, where the log holds it.
        text: the response, or the program; None where there is nothing to grade.
        failure: why there is nothing to grade.
        program: `text` is a program that was extracted already.
        continues: the program goes on from the problem's prompt.
        finish: None where the log does not say how the response ended.
        prompt_tokens, decode_tokens: None where the log does not hold them.
        label: the harness's own verdict; None where it has none that is right or wrong.
        scores: every number that the harness gives the sample, by name.
        again: which sample of the problem (of this log) `scores` belong to, where the line only
            repeats it under another filter; None for a sample of its own.
    """

    where: str
    task: str
    problem_id: str
    ids: tuple[str, ...] = ()
    certain: bool = False
    question: str | None = None
    target: str | None = None
    options: tuple[str, ...] = ()
    document: Mapping[str, Any] | None = None
    text: str | None = None
    failure: str | None = None
    program: bool = False
    continues: bool = False
    finish: Finish | None = None
    prompt_tokens: int | None = None
    decode_tokens: int | None = None
    label: bool | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    again: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a log came from, as far as it says.

    Attributes:
        harness: its name, as tables show it.
        version: of the harness; "" where the log does not say.
        model: None where the log does not say.
        revision, dtype, parameters: of the model.
        settings: how was sampled ("temperature", "top_p", "max_tokens", "n", "few_shot", …).
        notes: what the reader must know of the log ("it was cancelled").
    """

    harness: str
    version: str = ""
    model: str | None = None
    revision: str | None = None
    dtype: str | None = None
    parameters: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """A log that can be read as often as wanted, one sample at a time.

    Attributes:
        path: the file or folder.
        origin: where it came from.
        samples: reads it from its beginning.
    """

    path: Path
    origin: Origin
    samples: Callable[[], Iterator[Imported]]


def named(value: object) -> str:
    """An id or a name that any store and table can hold."""
    text = storable(str(value))
    if len(text) <= LONGEST_NAME:
        return text
    digest = blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{text[: LONGEST_NAME - 17]}…{digest}"


def clean(origin: Origin) -> Origin:
    """What a log says of itself, as a table can show it: short, finite, no lone surrogates."""

    def short(text: str | None) -> str | None:
        return named(text) if text else None

    settings: dict[str, Any] = {}
    for name, value in origin.settings.items():
        if isinstance(value, str):
            settings[name] = named(value)
        elif isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            settings[name] = value
        elif texts(value):
            settings[name] = [named(each) for each in value[:10]]
    return replace(
        origin,
        version=short(origin.version) or "",
        model=short(origin.model),
        revision=short(origin.revision),
        dtype=short(origin.dtype),
        settings=settings,
        notes=tuple(map(storable, origin.notes)),
    )


def number(value: object) -> float | None:
    """A score as a number: booleans are 0 and 1; None where it is none, or NaN."""
    if isinstance(value, bool | int | float):
        try:
            found = float(value)
        except OverflowError:
            return None
        return found if found == found else None
    return None


def verdict(value: float | None) -> bool | None:
    """A score as a verdict: 1 is right, 0 is wrong, anything else is neither."""
    return {1.0: True, 0.0: False}.get(value) if value is not None else None


def count(value: object) -> int | None:
    """A number of tokens; None where it is no number above 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def texts(value: object) -> tuple[str, ...]:
    """A list of texts; () where it is anything else."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return ()
