from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest

from reasonbench.grading.graders import Graders
from reasonbench.trainers.rules import Options, Weighted, judge, judge_fully, make_rules
from reasonbench.types import Completion, Problem, Prompt, Verdict
from tests.trainers.rules.cases import adding, completion, judged, problem, value

RIGHT = "<think>2 + 2</think><answer>4</answer>"
WRONG = "<think>2 + 2</think><answer>5</answer>"


def test_the_reward_is_the_weighted_sum_and_each_component_stands_alone() -> None:
    found = judged(["accuracy:2", "format:0.5", "reflection:0"], RIGHT + " wait")
    assert found.components == {"accuracy": 1.0, "format": 0.0, "reflection": 1.0}
    assert found.reward == 2.0
    found = judged(["accuracy:2", "format:0.5", "reflection:0"], RIGHT)
    assert found.reward == 2.5


def test_a_weight_of_zero_is_logged_only() -> None:
    found = judged(["format:1"], RIGHT)
    assert (found.reward, found.components) == (1.0, {"format": 1.0, "accuracy": 1.0})


@pytest.mark.parametrize(("text", "reward"), [(RIGHT, 1.0), (WRONG, -1.0), ("hm", -1.0)])
def test_accuracy_of_plus_and_minus_one(text: str, reward: float) -> None:
    assert value("accuracy:1,wrong=-1", text) == reward


def test_a_truncated_response_is_wrong() -> None:
    assert value("accuracy", completion(RIGHT, finish="length")) == 0.0


def test_maths_that_needs_algebra_is_graded_by_the_graders() -> None:
    asked = problem(gold="x^2 + 2x + 1")
    assert value("accuracy", r"\boxed{(x+1)^2}", asked=asked) == 1.0
    assert value("accuracy", r"\boxed{(x+2)^2}", asked=asked) == 0.0


def test_programs_are_run() -> None:
    good = "```python\ndef add(a, b):\n    return a + b\n```"
    bad = "```python\ndef add(a, b):\n    return a - b\n```"
    assert value("accuracy", good, asked=adding()) == 1.0
    assert value("accuracy", bad, asked=adding()) == 0.0


def test_expressions_need_no_gold() -> None:
    asked = problem(gold=None, kind="expression", data={"numbers": (2, 3), "target": 6})
    assert value("accuracy", r"\boxed{2*3}", asked=asked) == 1.0


def test_without_gold_there_is_no_accuracy() -> None:
    found = judged(["accuracy:1", "format:1"], RIGHT, asked=problem(gold=None))
    assert (found.components, found.verdict, found.correct) == ({"format": 1.0}, None, None)


def test_an_ungraded_response_is_not_wrong() -> None:
    asked = problem(gold="four", kind="integer")  # a gold that is no integer
    found = judged(["accuracy:1", "cosine:1,max=100"], RIGHT, asked=asked)
    assert found.verdict is not None
    assert found.verdict.verdict == "ungraded"
    assert (found.reward, found.components, found.correct) == (0.0, {}, None)


def test_problems_may_name_their_rules() -> None:
    found = judged(["accuracy:1", "format:1"], RIGHT, asked=problem(hidden={"rules": ["format"]}))
    assert found.components == {"format": 1.0}


def test_judge_gives_reward_and_components() -> None:
    async def run() -> tuple[float, dict[str, float]]:
        rules = make_rules(["accuracy:1"], Graders())
        return await judge(rules, problem(), Prompt((), ""), completion(RIGHT))

    assert asyncio.run(run()) == (1.0, {"accuracy": 1.0})


class Shout(Options):
    """A rule of somebody else's."""

    name: ClassVar[str] = "shout"
    title: ClassVar[str] = "capitals"
    source: ClassVar[str] = "none"

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        return 3.0 if verdict is not None and completion.text.isupper() else None


def test_rules_of_others_see_the_verdict() -> None:
    async def run() -> dict[str, float]:
        rules = [Weighted(Shout(), 1.0, Graders())]
        found = await judge_fully(rules, problem(), Prompt((), ""), completion("FOUR"))
        return found.components

    assert asyncio.run(run()) == {"shout": 3.0}
