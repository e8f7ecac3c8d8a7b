"""One verdict for one completion, whatever happens in the grader."""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.types import Completion, Problem, Verdict

_log = logging.getLogger(__name__)

UNGRADABLE = "ungradable"
"""Key of `Problem.hidden`: why none of the problem's answers can be graded (a log of another
harness may name neither an answer nor tests)."""


async def grade(graders: Graders, problem: Problem, completion: Completion) -> Verdict:
    """The verdict on a whole response: at once where that is cheap, else from a worker.

    A grader that fails on it makes it ungraded (layer "failed"): one strange answer must not cost
    the run, nor count as wrong.

    Raises:
        UsageError: the problem itself cannot be graded.
    """
    if UNGRADABLE in problem.hidden:
        return Verdict("ungraded", None, UNGRADABLE, problem.hidden[UNGRADABLE])
    try:
        at_once = graders.grade_quick(
            problem,
            completion.text,
            thinking_open=completion.thinking_open,
            finish=completion.finish,
        )
    except UsageError:
        raise
    except Exception as error:
        return _failed(problem, error)
    if at_once is not None:
        return at_once
    return await _guarded(
        problem,
        graders.grade(
            problem,
            completion.text,
            thinking_open=completion.thinking_open,
            finish=completion.finish,
        ),
    )


async def grade_answer(graders: Graders, problem: Problem, answer: str | None) -> Verdict:
    """The verdict on an extracted answer; see `grade`."""
    if UNGRADABLE in problem.hidden:
        return Verdict("ungraded", None, UNGRADABLE, problem.hidden[UNGRADABLE])
    return await _guarded(problem, graders.grade_answer(problem, answer))


async def _guarded(problem: Problem, verdict: Awaitable[Verdict]) -> Verdict:
    try:
        return await verdict
    except UsageError:
        raise
    except Exception as error:
        return _failed(problem, error)


def _failed(problem: Problem, error: Exception) -> Verdict:
    _log.debug("grading an answer to %s failed", problem.id, exc_info=error)
    return Verdict("ungraded", None, "failed", f"{type(error).__name__}: {error}"[:200])
