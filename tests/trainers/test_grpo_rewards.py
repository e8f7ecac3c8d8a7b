"""What a roll-out is worth that could not be graded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from reasonbench.rewards.base import RewardInfo, Scored
from reasonbench.trainers.rl_rewards import ModelReward
from reasonbench.types import ModelInfo, Question
from tests.trainers.test_grpo_parts import judge_one, problem

UNGRADABLE = "four"
"""A gold answer that the grader of integers refuses."""


@pytest.mark.parametrize("rules", [["accuracy:1"], ["cosine:1,max=4096"]])
def test_a_rule_that_counts_and_needs_a_verdict_makes_ungraded_no_number(rules: list[str]) -> None:
    worth = judge_one(problem(gold=UNGRADABLE), "\\boxed{4}", rules, None)
    assert math.isnan(worth.reward)
    assert worth.correct is None


def test_rules_that_need_no_verdict_count_though_nothing_is_graded() -> None:
    worth = judge_one(problem(gold=UNGRADABLE), "\\boxed{4}", ["boxed:1"], None)
    assert worth.reward == 1.0


def test_a_rule_that_does_not_apply_to_a_problem_is_not_missed() -> None:
    only = problem(gold=UNGRADABLE, rules=["boxed"])
    worth = judge_one(only, "\\boxed{4}", ["boxed:1", "cosine:1,max=4096"], None)
    assert worth.reward == 1.0


class _Unsure:
    """A process reward whose last step has no score."""

    info = RewardInfo("unsure", "process", "none", ModelInfo("unsure", "none", "0"))

    async def score(self, question: Question, steps: Sequence[str]) -> Scored:
        return Scored((*(0.5 for _ in steps[1:]), math.nan), None)

    def forget(self, question: Question) -> None: ...

    async def aclose(self) -> None: ...


def test_a_step_without_a_score_is_no_component() -> None:
    worth = judge_one(problem(), "\\boxed{4}", ["accuracy:1"], ModelReward(_Unsure(), 0.5))
    assert math.isnan(worth.reward)
    assert worth.rewards == {"accuracy": 1.0}  # the mean over a step's roll-outs stays a number
    logged = judge_one(problem(), "\\boxed{4}", ["accuracy:1"], ModelReward(_Unsure(), 0.0))
    assert logged.reward == 1.0
