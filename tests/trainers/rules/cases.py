"""Problems, prompts and completions for tests of rules."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from reasonbench.grading.graders import Graders
from reasonbench.trainers.rules import Judged, judge_fully, make_rules
from reasonbench.types import Completion, Finish, Problem, Prompt, Question


def problem(text: str = "What is 2 + 2?", gold: str | None = "4", **fields: Any) -> Problem:
    hidden = fields.pop("hidden", {})
    return Problem(Question("p", "sums", text, **fields), gold, hidden=hidden)


def adding() -> Problem:
    """A programming problem with one hidden test."""
    tests = {"form": "calls", "cases": [{"args": "(1, 2)", "expected": "3"}]}
    data = {"form": "function", "entry": "add", "prefix": "", "prelude": "", "examples": []}
    return problem("Write add(a, b).", None, kind="code", data=data, hidden={"tests": tests})


def completion(text: str, length: int | None = None, finish: Finish = "stop") -> Completion:
    """A completion of `length` distinct tokens, one a character where it is not given."""
    return Completion(tuple(range(len(text) if length is None else length)), text, finish)


def judged(
    rules: Sequence[str],
    response: Completion | str,
    asked: Problem | None = None,
    prompt: str = "What is 2 + 2?",
    thinking_open: bool = False,
) -> Judged:
    """What the rules say of one response."""

    async def judge() -> Judged:
        graders = Graders()
        try:
            made = make_rules(rules, graders)
            written = completion(response) if isinstance(response, str) else response
            return await judge_fully(
                made, asked or problem(), Prompt((), prompt, thinking_open), written
            )
        finally:
            await graders.aclose()

    return asyncio.run(judge())


def value(rule: str, response: Completion | str, **case: Any) -> float | None:
    """The value of one rule; None where it does not apply."""
    return judged([rule], response, **case).components.get(rule.partition(":")[0])
