"""The file of step labels that reward models are trained on: made by the policy and the grader."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from reasonbench.benchmarks import limit, load, resolve
from reasonbench.engines import Engine, EngineConfig, open_engine
from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.policy import Policy
from reasonbench.prompts import messages
from reasonbench.runs.rows import read_rows
from reasonbench.steps import Boundary, read
from reasonbench.trainers.config import _Strict
from reasonbench.trainers.first_error import first_errors
from reasonbench.trainers.labels import Solution, math_shepherd
from reasonbench.trainers.reward_problems import FAMILIES, training_problems
from reasonbench.trainers.step_rows import is_steps, read_steps
from reasonbench.types import Completion, Problem, SamplingParams
from reasonbench.verdicts import grade

_AT_ONCE = 256
"""Problems in progress: enough that the engine's queue does not run dry between their rounds."""


class LabelsConfig(_Strict):
    """How labels are made."""

    problems: int = Field(default=4000, ge=1)
    """How many training problems."""
    families: dict[str, float] = Field(default_factory=lambda: {"arithmetic": 1.0})
    """Shares of the built-in families among them, where no benchmark is named."""
    benchmark: str | None = None
    """Where the problems come from: the name of a benchmark, or a file of one's own. Those that are
    evaluated on are no training problems: `builtin-arithmetic-train` and the like are."""
    prompt_field: str = "problem"
    """Field of the problem in a file of one's own."""
    answer_field: str = "answer"
    """Field of the gold answer in it."""
    method: Literal["every-step", "first-error"] = "every-step"
    """`every-step`: completions from the end of every step (Math-Shepherd); `first-error`: a binary
    search for the first step from which nothing comes out right (OmegaPRM)."""
    solutions: int = Field(default=4, ge=1)
    """Solutions sampled for each problem."""
    n: int = Field(default=8, ge=1)
    """Completions from the end of each step, or of each that the search tries."""
    keep: int = Field(default=16, ge=0)
    """Roll-outs of a problem that are kept as solutions of their own, drawn at random."""
    policy: str = "builtin"
    """The model that samples and rolls out."""
    engine: str = "auto"
    """The engine it runs in."""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Options of the engine."""
    max_tokens: int = Field(default=512, ge=1)
    """The most tokens of a solution."""
    step: str = r"\n\n"
    """What ends a step; several are written with | between them."""
    seed: int = 0
    """Of the problems and of sampling."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A problem with its labelled solutions: one line of the file."""

    id: str
    benchmark: str
    question: str
    instruction: str
    solutions: tuple[Solution, ...]
    rollouts: int = 0
    """Completions that were sampled to label the steps; the solutions themselves are not among
    them."""
    tokens: int = 0
    """That were generated for the problem, solutions and roll-outs."""


@dataclass(frozen=True, slots=True)
class LabelRow:
    """How far the labelling is.

    Attributes:
        problems, total: labelled so far, to label.
        solutions, steps: sampled solutions and their steps so far (roll-outs not counted).
        tokens, requests: what the engine has generated in this call.
        seconds: wall-clock seconds of this call.
    """

    problems: int
    total: int
    solutions: int
    steps: int
    tokens: int
    requests: int
    seconds: float


def read_labels(path: Path) -> Iterator[Labelled]:
    """The problems of a file of labels that was made here, or of rows of labelled steps.

    Raises:
        UsageError: the file is missing, or a line is neither (with its number).
    """
    if not path.is_file():
        raise UsageError(f"there is no file of labels {path}")
    for number, row in read_rows(path):
        try:
            if is_steps(row):
                question, solution = read_steps(row)
                yield Labelled(f"line {number}", path.name, question, "", (solution,))
                continue
            fields = dict(row)
            solutions = tuple(_solution(values) for values in fields.pop("solutions"))
            yield Labelled(**fields, solutions=solutions)
        except (ValueError, KeyError, TypeError) as error:
            what = f" ({error})" if is_steps(row) else ""
            raise UsageError(f"{path}, line {number}: not a line of step labels{what}") from error


def _solution(values: dict[str, Any]) -> Solution:
    labels = values.get("labels")
    return Solution(
        tuple(values["steps"]),
        tuple(values["right"]),
        tuple(values["tried"]),
        values["correct"],
        values["rolled_out"],
        None if labels is None else tuple(labels),
    )


def make_labels(
    config: LabelsConfig, out: Path, on_row: Callable[[LabelRow], None] = lambda row: None
) -> Path:
    """Writes the file of labels; goes on where an earlier call with the same settings stopped.

    Raises:
        UsageError: settings that cannot be met, or a file of other settings.
    """
    if config.benchmark is None and (unknown := sorted(set(config.families) - set(FAMILIES))):
        raise UsageError(f"families: there is no {unknown[0]!r}; known are {', '.join(FAMILIES)}")
    settings = out.with_name(f"{out.stem}.settings.json")
    mine = json.dumps(config.model_dump(), indent=1, sort_keys=True) + "\n"
    if out.exists():
        if not settings.exists() or not _same(settings, config):
            raise UsageError(f"{out} holds labels made with other settings: choose another folder")
        _cut_half_line(out)
    settings.write_text(mine, encoding="utf-8")
    asyncio.run(_make(config, out, on_row))
    return out


def _same(settings: Path, config: LabelsConfig) -> bool:
    """Whether a file of settings means this; what it leaves out has its default."""
    try:
        return LabelsConfig.model_validate_json(settings.read_text(encoding="utf-8")) == config
    except ValidationError:
        return False


def _problems(config: LabelsConfig) -> list[Problem]:
    """The problems to label, in their order.

    Raises:
        UsageError: there is no such benchmark or file.
    """
    if config.benchmark is None:
        return list(islice(training_problems(config.seed, config.families), config.problems))
    fields = {"prompt_field": config.prompt_field, "answer_field": config.answer_field}
    return list(limit(load(resolve(config.benchmark, **fields)).problems, config.problems))


def _cut_half_line(path: Path) -> None:
    """A kill may have left the beginning of a line."""
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        path.write_bytes(data[: data.rfind(b"\n") + 1])


async def _make(config: LabelsConfig, out: Path, on_row: Callable[[LabelRow], None]) -> None:
    done = sum(1 for _ in out.open("rb")) if out.exists() else 0
    problems = _problems(config)
    total = len(problems)
    if done >= total:
        return
    engine = await open_engine(
        EngineConfig(model=config.policy, engine=config.engine, engine_args=config.engine_args)
    )
    graders = Graders()
    started = time.perf_counter()
    solutions = steps = tokens = requests = 0
    try:
        with out.open("a", encoding="utf-8") as file:
            async for problem, policy, found in _labelled(config, engine, graders, problems[done:]):
                row = _row(config, problem, policy, found)
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
                done += 1
                sampled = [s for s in found if not s.rolled_out]
                solutions += len(sampled)
                steps += sum(len(s.steps) for s in sampled)
                tokens += policy.meter.usage.decode_tokens
                requests += policy.meter.usage.requests
                seconds = time.perf_counter() - started
                on_row(LabelRow(done, total, solutions, steps, tokens, requests, seconds))
    finally:
        await graders.aclose()
        await engine.aclose()


def _row(
    config: LabelsConfig, problem: Problem, policy: Policy, found: list[Solution]
) -> dict[str, Any]:
    """One line: what was sampled, and some of the roll-outs, no text twice."""
    sampled = [s for s in found if not s.rolled_out]
    seen = {s.steps for s in sampled}
    rolled = {s.steps: s for s in found if s.rolled_out and s.steps not in seen}
    rng = random.Random(f"{config.seed} {problem.id}")
    kept = rng.sample(list(rolled.values()), min(config.keep, len(rolled)))
    asked = problem.question
    labelled = Labelled(
        problem.id,
        problem.benchmark,
        asked.text,
        asked.instruction,
        (*sampled, *kept),
        len(policy.rolled_out),
        policy.meter.usage.decode_tokens,
    )
    row = asdict(labelled)
    for solution in row["solutions"]:
        if solution["labels"] is None:
            del solution["labels"]
    return row


async def _labelled(
    config: LabelsConfig, engine: Engine, graders: Graders, problems: list[Problem]
) -> AsyncIterator[tuple[Problem, Policy, list[Solution]]]:
    """The problems in their order, `_AT_ONCE` of them in progress.

    One with a long solution takes many rounds; those behind it wait for it when they are done.
    """
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(problem: Problem) -> tuple[Problem, Policy, list[Solution]]:
        async with places:
            return await label(problem)

    async def label(problem: Problem) -> tuple[Problem, Policy, list[Solution]]:
        async def right(completion: Completion) -> bool:
            return (await grade(graders, problem, completion)).verdict == "correct"

        policy = Policy(
            engine,
            problem.question,
            engine.render(messages(problem.question)),
            SamplingParams(logprobs=None),
            seed=config.seed,
            boundary=Boundary(read(config.step)),
            max_tokens=config.max_tokens,
        )
        make = math_shepherd if config.method == "every-step" else first_errors
        found = await make(policy, right, solutions=config.solutions, n=config.n)
        return problem, policy, found

    waiting: list[asyncio.Task[tuple[Problem, Policy, list[Solution]]]] = []
    rest = iter(problems)
    try:
        while True:
            while len(waiting) < 4 * _AT_ONCE and (problem := next(rest, None)) is not None:
                waiting.append(asyncio.create_task(one(problem)))
            if not waiting:
                return
            yield await waiting.pop(0)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
