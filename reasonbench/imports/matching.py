"""Which problem a sample of a log answers: one of a benchmark's, or one made of the log itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from reasonbench.benchmarks import Benchmark, Loaded
from reasonbench.errors import UsageError
from reasonbench.grading.choice import LETTERS
from reasonbench.imports.samples import Imported, named
from reasonbench.imports.tasks import is_code
from reasonbench.recorded_problems import reference
from reasonbench.types import Problem, Question
from reasonbench.verdicts import UNGRADABLE

LONGEST_ANSWER = 200
"""Characters of a target that is an answer, not a text."""

_HEAD = 32
"""Characters by which a problem is looked for inside a longer text."""
_SEARCHED = 200_000
"""Last characters of a question that are searched."""
_SHARED = 0.7
"""Share of a problem's words that the log's question must have where only the ids agree."""
_LETTER = re.compile(r"\(?([A-Za-z])\)?\.?")
_WORD = re.compile(r"\w+")
_SPELLING = re.compile(r"[\s${},]|\\[dt](?=frac)|\\(?=frac)|\\(?:left|right|[!,;:])")


class Given(NamedTuple):
    """A benchmark that samples are matched with."""

    benchmark: Benchmark
    loaded: Loaded


class Known:
    """The problems of benchmarks, found by their text or their id."""

    def __init__(self, given: Sequence[Given]) -> None:
        self._texts: dict[str, Problem] = {}
        self._heads: dict[str, list[str]] = {}
        self._ids: dict[str, list[Problem]] = {}
        for one in given:
            for problem in one.loaded.problems:
                if problem.question.kind == "choice":
                    continue  # the log's options may stand in another order
                text = _normal(problem.question.text)
                self._texts.setdefault(text, problem)
                if len(text) >= _HEAD:
                    self._heads.setdefault(text[:_HEAD], []).append(text)
                self._ids.setdefault(problem.id, []).append(problem)

    def find(self, sample: Imported) -> Problem | None:
        """The problem that a sample answers.

        By its text, or by the last problem whose text stands inside the question that the model was
        asked, if its answer is the log's target; else by an id of the source that is no mere number
        (of programs: by any), if the question does not contradict it.
        """
        text = _normal(sample.question[-_SEARCHED:]) if sample.question else ""
        if text:
            found = self._texts.get(text)
            if found is None:
                found = self._inside(text, sample.question or "")
                if found is not None and not _same_gold(found, sample.target):
                    found = None  # a worked example, not what was asked
            if found is not None:
                return found
        for name in sample.ids:
            for problem in self._ids.get(name, ()):
                code = problem.question.kind == "code"
                if sample.certain or ((code or not name.isdigit()) and _agree(problem, sample)):
                    return problem
        return None

    def _inside(self, text: str, question: str) -> Problem | None:
        """The problem that ends last in a question; a short one must be a line of its own."""
        best: tuple[int, int] = (0, 0)
        found = None
        for at in range(len(text) - _HEAD + 1):
            for known in self._heads.get(text[at : at + _HEAD], ()):
                end = at + len(known)
                if (end, len(known)) > best and text.startswith(known, at):
                    best, found = (end, len(known)), self._texts[known]
        end = len(text)
        for line in reversed(question[-_SEARCHED:].splitlines()):
            if end <= best[0]:
                break
            said = _normal(line)
            for part in (said, said.partition(": ")[2]):  # "Question: 1 + 1?"
                if part and part in self._texts:
                    return self._texts[part]
            end -= len(said) + bool(said)
        return found


def own_problem(sample: Imported, name: str) -> Problem:
    """A problem of what the log says: its target, or the tests of its document.

    Where neither can decide, `hidden` says why none of its answers can be graded.

    Args:
        name: of the benchmark.
    """
    question = Question(sample.problem_id, name, sample.question or "")
    tested = _with_tests(sample, name)
    if tested is not None:
        return tested
    if sample.program or is_code(sample.task):
        why = "programs are graded by a benchmark's tests, and none was given that has this problem"
        return _ungradable(question, why, sample.target)
    target = (sample.target or "").strip()
    if not target:
        return _ungradable(question, "the log gives no single reference answer", None)
    gold, how = reference(target)
    letter = _LETTER.fullmatch(gold)
    if len(sample.options) > len(LETTERS) and (letter is not None or gold in sample.options):
        why = f"a choice among more than {len(LETTERS)} options"
        return _ungradable(question, why, sample.target)
    if letter is not None and (sample.options or letter[1].isupper()):
        data = {"options": sample.options} if sample.options else {}
        question = replace(question, kind="choice", data=data)
        return Problem(question, letter[1].upper())
    if len(gold) > LONGEST_ANSWER or (how is None and "\n" in gold):
        return _ungradable(question, "the log's target is a text, not an answer", sample.target)
    return Problem(question, gold)


def _with_tests(sample: Imported, name: str) -> Problem | None:
    """The problem of a row of HumanEval or MBPP that the log repeats, with its tests."""
    document: Mapping[str, Any] | None = sample.document
    if document is None or "task_id" not in document:
        return None
    try:
        if document.keys() >= {"prompt", "entry_point", "test", "canonical_solution"}:
            from reasonbench.benchmarks.humaneval import humaneval

            problem: Problem | None = humaneval(document, 0)
        elif document.keys() >= {"code", "test_list"}:
            from reasonbench.benchmarks.mbpp import mbpp

            problem = mbpp(name, range(1, 1_000_000), document, 0)
        else:
            return None
    except UsageError:
        return None
    if problem is None:
        return None
    question = replace(problem.question, benchmark=name, id=named(problem.id))
    return replace(problem, question=question)


def _ungradable(question: Question, why: str, target: str | None) -> Problem:
    return Problem(question, target, hidden={UNGRADABLE: why})


def _agree(problem: Problem, sample: Imported) -> bool:
    """Whether a question may be the problem's: it names the function, or shares its words."""
    text = sample.question or ""
    if problem.question.kind == "code":
        document = sample.document or {}
        shown = [text, *(v for v in document.values() if isinstance(v, str))]
        tests = document.get("test_list")
        shown += (
            [each for each in tests if isinstance(each, str)] if isinstance(tests, list) else []
        )
        entry = str(problem.question.data.get("entry", "")).rpartition(".")[2]
        return bool(entry) and any(entry in each for each in shown)
    if not text:
        return True
    words = set(_WORD.findall(problem.question.text))
    shared = words & set(_WORD.findall(text))
    return len(shared) >= _SHARED * len(words)


def _same_gold(problem: Problem, target: str | None) -> bool:
    """Whether a target is the problem's answer, as far as spelling shows; True without either."""
    if problem.gold is None or not target:
        return True
    ours, theirs = (_SPELLING.sub("", gold).lstrip("0") for gold in
                    (problem.gold, reference(target.strip())[0]))  # fmt: skip
    return ours == theirs


def _normal(text: str) -> str:
    return " ".join(text.split())
