"""Countdown: reach the target with + - * /, every number used exactly once.

`countdown` means the 256 problems with 3 numbers of d1's test set (`countdown/
countdown_cd3_test.jsonl`: input "30,100,93", output "23"), which are not on the hub.
`countdown-3to4` means rows 327,680 to 328,703 of Jiayi-Pan/Countdown-Tasks-3to4, split train
(target, nums): the 1,024 that TinyZero tests on; `countdown-3to4-train` means the rows before them,
which it trains on. A local copy is Parquet or JSONL of the whole
split, in its order. Ids are the row's position. There is no gold answer: the expression is checked.
"""

from __future__ import annotations

from collections.abc import Sequence

from reasonbench.benchmarks.base import Benchmark, Row, Source
from reasonbench.benchmarks.rows import lookup
from reasonbench.errors import UsageError
from reasonbench.prompts.wording import BOXED_EXPRESSION
from reasonbench.types import Problem, Question

TINYZERO_TEST = range(327_680, 327_680 + 1024)


def expression_problem(
    benchmark: str, problem_id: str, numbers: Sequence[int], target: int
) -> Problem:
    """A problem that asks for an expression over `numbers` that equals `target`."""
    listed = ", ".join(map(str, numbers))
    text = (
        f"Use the numbers {listed} and the operations + - * / to make {target}. "
        "Use each number exactly once."
    )
    question = Question(
        problem_id,
        benchmark,
        text,
        BOXED_EXPRESSION,
        kind="expression",
        data={"numbers": tuple(numbers), "target": target},
    )
    return Problem(question, gold=None)


def countdown(row: Row, index: int) -> Problem:
    """A row with `input` ("30,100,93") and `output` ("23")."""
    where = f"countdown, row {index + 1}"
    listed, target = str(lookup(row, "input", where)), str(lookup(row, "output", where))
    try:
        numbers = [int(number) for number in listed.split(",")]
        return expression_problem("countdown", f"cd3-{index}", numbers, int(target))
    except ValueError:
        raise UsageError(f"{where}: {listed!r} and {target!r} are not integers.") from None


def countdown_3to4(row: Row, index: int) -> Problem | None:
    """A row with `nums` (3 or 4 integers) and `target`; None outside TinyZero's test rows."""
    if index not in TINYZERO_TEST:
        return None
    where = f"countdown-3to4, row {index + 1}"
    numbers = [int(number) for number in lookup(row, "nums", where)]
    target = int(lookup(row, "target", where))
    problem = expression_problem("countdown-3to4", str(index), numbers, target)
    return Problem(problem.question, gold=None, subject=f"{len(numbers)} numbers")


def countdown_3to4_train(row: Row, index: int) -> Problem | None:
    """The same among the rows that TinyZero trains on; None elsewhere."""
    if index >= TINYZERO_TEST.start:
        return None
    where = f"countdown-3to4-train, row {index + 1}"
    numbers = [int(number) for number in lookup(row, "nums", where)]
    target = int(lookup(row, "target", where))
    problem = expression_problem("countdown-3to4-train", str(index), numbers, target)
    return Problem(problem.question, gold=None, subject=f"{len(numbers)} numbers")


BENCHMARKS = (
    Benchmark(
        name="countdown",
        title="Countdown with 3 numbers, d1's test set",
        to_problem=countdown,
        local="countdown/countdown_cd3_test.jsonl",
        max_tokens=2048,
        citation="Zhao et al. 2025, d1: Scaling Reasoning in Diffusion LLMs",
        licence="Apache-2.0",
        tags=("puzzle",),
        note="The hub's set is countdown-3to4.",
    ),
    Benchmark(
        name="countdown-3to4",
        title="Countdown with 3 or 4 numbers, TinyZero's test rows",
        to_problem=countdown_3to4,
        source=Source("Jiayi-Pan/Countdown-Tasks-3to4", split="train"),
        local="countdown/countdown_3to4.parquet",
        max_tokens=1024,
        citation="Pan et al. 2025, TinyZero",
        licence="as the hub's dataset card states",
        tags=("puzzle",),
    ),
    Benchmark(
        name="countdown-3to4-train",
        title="Countdown with 3 or 4 numbers, TinyZero's 327,680 training rows",
        to_problem=countdown_3to4_train,
        source=Source("Jiayi-Pan/Countdown-Tasks-3to4", split="train"),
        local="countdown/countdown_3to4.parquet",
        max_tokens=1024,
        citation="Pan et al. 2025, TinyZero",
        licence="as the hub's dataset card states",
        tags=("puzzle", "train"),
    ),
)
