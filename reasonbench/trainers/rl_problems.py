"""The problems of reinforcement learning: an endless stream, the same for the same seed.

A built-in family gives its training problems, which are never those of its test split. A benchmark
or a file is gone through again and again, in an order of its own each time.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import Any

from reasonbench import benchmarks
from reasonbench.benchmarks.base import Row
from reasonbench.benchmarks.own import describe
from reasonbench.benchmarks.rows import read_rows
from reasonbench.errors import UsageError
from reasonbench.prompts.wording import BOXED
from reasonbench.trainers.reward_problems import FAMILIES, training_problems
from reasonbench.trainers.rules.base import RULES
from reasonbench.types import Problem, Question

_KINDS = ("math", "integer", "choice", "expression")
_BUILTIN = "builtin-"
_LOOKED_AT = 10_000
"""Problems of an endless family that are looked at for one of a wanted level."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where problems come from.

    Attributes:
        name: a benchmark's, or a file's.
        problems: of a finite source; None for a built-in family.
    """

    name: str
    problems: tuple[Problem, ...] | None = None


def open_sources(names: Sequence[str], files: Sequence[str], levels: Sequence[str]) -> list[Source]:
    """The sources that a configuration names, only problems of the levels in finite ones.

    Problems of a file are named after it; where a benchmark or a file before it has that name,
    another is found, so that no two problems are taken for one another.

    Raises:
        UsageError: an unknown benchmark, a file that cannot be read, or one without any problem.
    """
    found: list[Source] = []
    for name in names:
        if name.removeprefix(_BUILTIN) in FAMILIES and name.startswith(_BUILTIN):
            found.append(Source(name))
        else:
            problems = benchmarks.load(benchmarks.resolve(name)).problems
            found.append(Source(name, _of_levels(problems, levels, name)))
    for name in files:
        path = Path(name)
        own = _unused(path, {*benchmarks.names(), *(source.name for source in found)})
        if path.suffix.lower() == ".toml":
            problems = benchmarks.load(benchmarks.resolve(name)).problems
        else:
            problems = tuple(_renamed(problem, own) for problem in read_problems(path))
        found.append(Source(own, _of_levels(problems, levels, name)))
    return found


def _unused(path: Path, taken: Collection[str]) -> str:
    """A name for the problems of a file that nothing else has."""
    names = (f"{path.stem}{f'-{number}' if number > 1 else ''}" for number in count(1))
    return next(name for name in names if name not in taken)


def _renamed(problem: Problem, name: str) -> Problem:
    if problem.benchmark == name:
        return problem
    return replace(problem, question=replace(problem.question, benchmark=name))


def _of_levels(
    problems: Sequence[Problem], levels: Sequence[str], name: str
) -> tuple[Problem, ...]:
    kept = tuple(p for p in problems if not levels or p.level in levels)
    if not kept:
        raise UsageError(f"{name} has no problem of level {', '.join(levels)}")
    return kept


def read_problems(path: Path) -> tuple[Problem, ...]:
    """Problems of a file of rows (JSONL, CSV, Parquet …).

    A row has `question` (or `prompt`) and `answer`; `kind` is math where it is not given,
    expression rows have `numbers` and `target`. `rules` lists what judges it; a row without an
    answer can only be judged by rewards that need none.

    Raises:
        UsageError: the file or a row of it cannot be read.
    """
    if not path.is_file():
        raise UsageError(f"there is no file of problems {path}")
    problems = tuple(_problem(path, index, row) for index, row in enumerate(read_rows(path)) if row)
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise UsageError(f"{path}: two problems have id {problem.id!r}")
        seen.add(problem.id)
    return problems


def _problem(path: Path, index: int, row: Row) -> Problem:
    text = row.get("question", row.get("prompt"))
    kind = row.get("kind") or "math"
    where = f"{path}, row {index + 1}"
    if kind not in _KINDS:
        raise UsageError(f"{where}: kind is one of {', '.join(_KINDS)}, not {kind!r}")
    if kind != "expression" and not isinstance(text, str):
        raise UsageError(f"{where} has no text `question`")
    wanted = row.get(RULES)
    if wanted is not None and not (
        isinstance(wanted, list) and all(isinstance(name, str) for name in wanted)
    ):
        raise UsageError(f"{where}: `rules` is a list of names")
    if kind != "expression" and row.get("answer") is None:
        question = Question(str(row.get("id") or index + 1), path.stem, str(text), BOXED)
        problem = Problem(question, None, row.get("level"), row.get("subject"))
    else:
        given = frozenset(k for k in ("id", "level", "subject") if row.get(k) is not None)
        asked = {**row, "question": text} if text is not None else row
        problem = _reader(path, str(kind), given)(asked, index)
    if wanted is None:
        return problem
    return replace(problem, hidden={**problem.hidden, RULES: wanted})


@cache
def _reader(path: Path, kind: str, given: frozenset[str]) -> Any:
    """What reads the rows of one kind with these optional fields."""
    values = {
        "name": path.stem,
        "source": {"file": str(path.resolve())},
        "columns": {name: name for name in given},
        "grader": {"kind": kind},
    }
    return describe(values, path).to_problem


def stream(sources: Sequence[Source], seed: int, levels: Sequence[str] = ()) -> Iterator[Problem]:
    """Endless problems. Where all sources are finite each is drawn by its size, else evenly.

    Args:
        seed: two streams of the same sources and seed are equal.
        levels: only problems of these.

    Raises:
        UsageError: a built-in family has no such level.
    """
    weights = [1.0 for _ in sources]
    if all(source.problems is not None for source in sources):
        weights = [float(len(source.problems or ())) for source in sources]
    if len(sources) > 1 and all(source.problems is not None for source in sources):
        # one shuffled whole, so that an epoch holds every problem once
        whole = tuple(p for source in sources for p in source.problems or ())
        yield from _shuffled(Source("all", whole), seed)
    rng = random.Random(f"{seed}/sources")
    streams = [_one(source, seed, levels) for source in sources]
    while True:
        yield next(rng.choices(streams, weights)[0])


def _one(source: Source, seed: int, levels: Sequence[str]) -> Iterator[Problem]:
    if source.problems is not None:
        yield from _shuffled(source, seed)
    missed = 0
    for problem in training_problems(seed, {source.name.removeprefix(_BUILTIN): 1.0}):
        missed += 1
        if not levels or problem.level in levels:
            missed = 0
            yield problem
        if missed > _LOOKED_AT:
            raise UsageError(f"{source.name} has no problem of level {', '.join(levels)}")


def _shuffled(source: Source, seed: int) -> Iterator[Problem]:
    epoch = 0
    while True:
        order = list(source.problems or ())
        random.Random(f"{seed}/{source.name}/{epoch}").shuffle(order)
        yield from order
        epoch += 1


class Cursor:
    """A place in the stream that can be stored: how many problems were taken.

    Attributes:
        position: of the next problem.
    """

    def __init__(self, problems: Iterator[Problem], position: int = 0) -> None:
        self._problems = problems
        self.position = 0
        self.skip(position)

    def skip(self, count: int) -> None:
        """Pass over problems that an earlier process took."""
        for _ in islice(self._problems, count):
            self.position += 1

    def take(self, count: int) -> list[tuple[int, Problem]]:
        """The next problems, each with its position, which no other problem of the run has."""
        taken = list(enumerate(islice(self._problems, count), start=self.position))
        self.position += len(taken)
        return taken
