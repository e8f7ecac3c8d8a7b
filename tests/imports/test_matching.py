"""Which problem a sample answers."""

from __future__ import annotations

import pytest

from reasonbench.benchmarks import Benchmark, Loaded
from reasonbench.imports.matching import Given, Known, own_problem
from reasonbench.imports.samples import Imported
from reasonbench.imports.tasks import benchmark_of, is_code
from reasonbench.types import Problem, Question
from reasonbench.verdicts import UNGRADABLE

FIRST = "Ann has two apples and buys three more at the market. How many?"
SECOND = "Ann has two apples and buys three more at the market. How many has she, then?"


def known(*problems: Problem) -> Known:
    return Known([Given(Benchmark("b", "b"), Loaded(problems, "file:b", None))])


def problem(name: str, text: str, gold: str = "5", kind: str = "math") -> Problem:
    return Problem(Question(name, "b", text, kind=kind), gold)  # type: ignore[arg-type]


def sample(question: str | None, *ids: str, **more: object) -> Imported:
    return Imported("log, line 1", "task", "0", ids=ids, question=question, **more)  # type: ignore[arg-type]


def test_the_same_text_whatever_its_spacing() -> None:
    found = known(problem("a/1", FIRST), problem("a/2", SECOND))
    match = found.find(sample(SECOND.replace(" ", "\n  ")))
    assert match is not None
    assert match.id == "a/2"


def test_inside_a_prompt_the_last_problem_is_asked() -> None:
    """Worked examples stand before the question."""
    found = known(problem("a/1", FIRST), problem("a/2", SECOND))
    for wanted, text in (("a/1", f"Q: {SECOND}\nA: 5\n\nQ: {FIRST}\nA:"),
                         ("a/2", f"Q: {FIRST}\nA: 5\n\nQ: {SECOND}\nA:")):  # fmt: skip
        match = found.find(sample(text))
        assert match is not None
        assert match.id == wanted


def test_a_short_problem_is_a_line_of_its_own() -> None:
    found = known(problem("a/1", "1 + 1?"), problem("a/2", SECOND))
    for text in (
        "1 + 1?",
        "Solve it.\n\n1 + 1?\n\nThink.",
        f"{SECOND}\nQuestion: 1 +  1?\nAnswer:",
    ):
        match = found.find(sample(text))
        assert match is not None
        assert match.id == "a/1"
    assert found.find(sample("What is 11 + 1 + 1?")) is None
    match = found.find(sample(f"Q: 1 + 1?\n2\n{SECOND}\nA:"))
    assert match is not None
    assert match.id == "a/2"


def test_a_worked_example_is_not_what_was_asked() -> None:
    """Its answer is not the log's target."""
    found = known(problem("a/1", FIRST, "\\dfrac{1}{2}"))
    asked = f"Q: {FIRST}\nA: 5\n\nQ: Something else?\nA:"
    assert found.find(sample(asked, target="7")) is None
    assert found.find(sample(asked, target="so $\\boxed{\\frac12}$")) is not None


def test_ids_count_where_the_question_does_not_contradict_them() -> None:
    found = known(problem("a/1", FIRST))
    assert found.find(sample(None, "a/1")) is not None
    assert found.find(sample(FIRST.replace("two", "2"), "a/1")) is not None
    assert found.find(sample("Something else entirely.", "a/1")) is None


def test_numbers_are_no_ids() -> None:
    found = known(problem("1", FIRST))
    assert found.find(sample(None, "1")) is None
    assert found.find(sample(None, "1", certain=True)) is not None


def test_letters_of_another_order_are_never_graded_by_ours() -> None:
    found = known(problem("a/1", FIRST, "A", "choice"))
    assert found.find(sample(FIRST, "a/1", certain=True)) is None


@pytest.mark.parametrize(
    ("target", "gold", "kind"),
    [
        ("so 5.\n#### 5", "5", "math"),
        ("thus $\\boxed{\\frac12}$.", "\\frac12", "math"),
        ("(C)", "C", "choice"),
        ("x", "x", "math"),
        ("42", "42", "math"),
    ],
)
def test_targets(target: str, gold: str, kind: str) -> None:
    made = own_problem(sample("?", target=target), "t")
    assert (made.gold, made.question.kind, made.benchmark) == (gold, kind, "t")
    assert UNGRADABLE not in made.hidden


@pytest.mark.parametrize("target", [None, "", "a\nb", "word " * 100])
def test_targets_that_decide_nothing(target: str | None) -> None:
    assert UNGRADABLE in own_problem(sample("?", target=target), "t").hidden


@pytest.mark.parametrize(
    ("task", "harness", "ours"),
    [
        ("gsm8k_cot", "lm-evaluation-harness", "gsm8k"),
        ("gsm8k_platinum", "lm-evaluation-harness", None),
        ("mgsm_en", "lm-evaluation-harness", None),
        ("minerva_math500", "lm-evaluation-harness", "math500"),
        ("hendrycks_math_algebra", "lm-evaluation-harness", "math"),
        ("humaneval_plus", "lm-evaluation-harness", "humaneval+"),
        ("mbpp", "lm-evaluation-harness", "mbpp-full"),
        ("inspect_evals/mbpp", "inspect_ai", "mbpp"),
        ("inspect_evals/aime2024", "inspect_ai", "aime24"),
        ("lighteval|aime25|0|0", "lighteval", "aime25"),
        ("lighteval|math_500|0", "lighteval", "math500"),
        ("lighteval|gpqa:diamond|0", "lighteval", None),
        ("HumanEval", "evalplus", "humaneval+"),
        ("Mbpp", "evalplus", "mbpp+"),
    ],
)
def test_names_of_tasks(task: str, harness: str, ours: str | None) -> None:
    assert benchmark_of(task, harness) == ours


def test_tasks_whose_answers_are_programs() -> None:
    assert is_code("extended|lcb:codegeneration|0")
    assert is_code("inspect_evals/humaneval")
    assert not is_code("gsm8k")
