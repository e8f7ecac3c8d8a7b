r"""MATH (Hendrycks et al. 2021): the 5,000 test problems, and the 500 of Lightman et al. 2023.

`math500` means `math500/test.jsonl` (byte for byte OpenAI's file) or HuggingFaceH4/MATH-500; its
ids are the upstream `unique_id` ("test/precalculus/807.json").
`math-train` means the 7,500 of the train split, to train on; its ids are the rows' positions.
`math` means `math/test.jsonl` (ToRA's copy) or DigitalLearningGmbH/MATH-lighteval, split test. Its
copies share no ids, so they are hashes of the text. The answer is the last \boxed{} of the
solution: 90 of the solutions hold several. The percent sign stands inside some boxes, outside
others and nowhere in a third part, so 44 and 44% are the same answer, as in the authors' grader.
"""

from __future__ import annotations

from dataclasses import replace

from reasonbench.benchmarks.base import Benchmark, Row, Source
from reasonbench.benchmarks.gold import last_boxed
from reasonbench.benchmarks.ids import text_id
from reasonbench.benchmarks.rows import lookup
from reasonbench.prompts.wording import BOXED
from reasonbench.types import Problem, Question

_CONVENTIONS = {"grading": {"percent": True}}


def math500(row: Row, index: int) -> Problem:
    """A row with problem, answer, subject, level (1 to 5) and unique_id."""
    where = f"math500, row {index + 1}"
    text = str(lookup(row, "problem", where))
    return Problem(
        Question(str(lookup(row, "unique_id", where)), "math500", text, BOXED),
        gold=str(lookup(row, "answer", where)),
        level=str(lookup(row, "level", where)),
        subject=str(lookup(row, "subject", where)),
        hidden=_CONVENTIONS,
    )


def math(row: Row, index: int) -> Problem:
    """A row with problem, solution, type and level ("Level 3")."""
    where = f"math, row {index + 1}"
    text = str(lookup(row, "problem", where))
    return Problem(
        Question(text_id("math", text), "math", text, BOXED),
        gold=last_boxed(str(lookup(row, "solution", where)), where),
        level=str(lookup(row, "level", where)).removeprefix("Level "),
        subject=str(lookup(row, "type", where)),
        hidden=_CONVENTIONS,
    )


def math_train(row: Row, index: int) -> Problem:
    """A row of the train split, in the form of the test split's."""
    problem = math(row, index)
    question = replace(problem.question, id=f"train-{index}", benchmark="math-train")
    return replace(problem, question=question)


BENCHMARKS = (
    Benchmark(
        name="math500",
        title="MATH-500: 500 problems of the MATH test split, levels 1 to 5",
        to_problem=math500,
        source=Source("HuggingFaceH4/MATH-500"),
        local="math500/test.jsonl",
        max_tokens=32_768,
        citation="Lightman et al. 2023, Let's Verify Step by Step",
        licence="MIT",
        tags=("maths",),
    ),
    Benchmark(
        name="math",
        title="MATH: the 5,000 test problems, levels 1 to 5",
        to_problem=math,
        source=Source("DigitalLearningGmbH/MATH-lighteval"),
        local="math/test.jsonl",
        max_tokens=32_768,
        citation="Hendrycks et al. 2021, Measuring Mathematical Problem Solving",
        licence="MIT",
        tags=("maths",),
    ),
    Benchmark(
        name="math-train",
        title="MATH: the 7,500 training problems, levels 1 to 5",
        to_problem=math_train,
        source=Source("DigitalLearningGmbH/MATH-lighteval", split="train"),
        local="math/train.jsonl",
        max_tokens=4096,
        citation="Hendrycks et al. 2021, Measuring Mathematical Problem Solving",
        licence="MIT",
        tags=("maths", "train"),
    ),
)
