"""What goes through a distillation: a response with its problem, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reasonbench.types import Finish, Message, Problem, VerdictKind


@dataclass(frozen=True, slots=True)
class Asked:
    """How the teacher was asked.

    Attributes:
        messages: the conversation.
        plain: the text, where no chat template was used; None where one was.
    """

    messages: tuple[Message, ...]
    plain: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """One response on its way to a row.

    Attributes:
        id: unique in the distillation; stays the same when it is made again.
        problem: with its gold answer, so that the response can be graded again.
        response: the assistant's whole turn, thinking and its tags included.
        verdict: None where it is not graded yet.
        answer: as the grader extracted it.
        layer: of the grader, that decided.
        finish: None where only an answer was recorded.
        tokens: of the teacher's tokenizer; those of a trace's steps for a journey.
        asked: how the teacher was asked; None where no prompt is stored.
        source: the row's provenance.
    """

    id: str
    problem: Problem
    response: str
    verdict: VerdictKind | None
    answer: str | None
    layer: str
    finish: Finish | None
    tokens: int
    asked: Asked | None = None
    source: Mapping[str, Any] = field(default_factory=dict)


class Judged(NamedTuple):
    """A draft after a filter: kept, or rejected for a reason."""

    draft: Draft
    reason: str | None = None
    """None: kept."""
    detail: str = ""
    """What a person wants to know besides."""
