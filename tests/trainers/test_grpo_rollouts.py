"""How a batch of roll-outs comes together when requests fail or groups are left out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from reasonbench.engines.base import EngineError
from reasonbench.grading.graders import Graders
from reasonbench.trainers.grpo_config import parse_grpo
from reasonbench.trainers.rl_metrics import of_rollouts
from reasonbench.trainers.rl_problems import Cursor
from reasonbench.trainers.rl_rewards import Judge
from reasonbench.trainers.rollouts import Rollouts, Sampler
from reasonbench.trainers.rules import make_rules
from reasonbench.types import (
    Completion,
    ModelInfo,
    Problem,
    Prompt,
    Question,
    RequestKey,
    SamplingParams,
    Usage,
)

Answers = Callable[[int, int], str | None]


class Scripted:
    """An engine that writes what it is told for a problem and a sample; None is refused."""

    info = ModelInfo("scripted", "none", "0", active_parameters=1000, layers=2, hidden_size=8)
    in_flight = 64

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    def render(self, messages: Sequence[Any], **given: Any) -> Prompt:
        return Prompt((1, 2), "ask")

    async def sample(self, prompt: Prompt, params: SamplingParams, key: RequestKey) -> Completion:
        group, sample = key.path
        text = self.answers(group, sample)
        if text is None:
            raise EngineError(f"problem {group} is too long")
        usage = Usage(decode_tokens=3, requests=1)
        return Completion((5, 6, 7), text, "stop", token_logprobs=(-1.0,) * 3, usage=usage)


def batch(answers: Answers, *, problems: int, filtered: bool = False) -> Rollouts:
    """A batch of groups of two roll-outs; every answer is 4."""
    config = parse_grpo({"data": ["rows.jsonl"], "problems": problems, "group": 2, "refills": 3})

    async def run() -> Rollouts:
        graders = Graders()
        judge = Judge(make_rules(["accuracy:1"], graders), graders)
        asked = (
            Problem(Question(f"p{n}", "made", "What is 2 + 2?", kind="integer"), "4")
            for n in itertools.count()
        )
        engine: Any = Scripted(answers)
        made = await Sampler(config, engine, Cursor(asked), judge, filtered).batch(0)
        await graders.aclose()
        return made

    return asyncio.run(run())


def places(made: Rollouts) -> list[int]:
    """The problems of a batch's groups."""
    return [group[0].group for group in made.groups]


def test_a_refused_prompt_is_replaced_though_it_is_alone_in_its_round() -> None:
    made = batch(lambda group, _: None if group in (1, 2) else "\\boxed{4}", problems=2)
    assert places(made) == [0, 3]
    assert (made.sampled, made.failed) == (2, 2)


def test_a_batch_of_which_everything_is_refused_says_why() -> None:
    with pytest.raises(EngineError, match="problem 0 is too long"):
        batch(lambda _, __: None, problems=2)


def test_what_a_failed_group_has_cost_is_counted() -> None:
    made = batch(lambda group, i: None if (group, i) == (0, 1) else "\\boxed{4}", problems=1)
    assert places(made) == [1]
    assert made.usage.requests == 3
    assert made.usage.decode_tokens == 9
    alone = batch(lambda _, __: "\\boxed{4}", problems=1)
    assert alone.flops < made.flops < 2 * alone.flops


def test_accuracy_is_known_of_groups_that_are_left_out() -> None:
    right, wrong = "\\boxed{4}", "\\boxed{5}"
    every = batch(lambda g, i: right if g < 3 or i else wrong, problems=1, filtered=True)
    assert places(every) == [3]
    assert (of_rollouts(every)["accuracy"], of_rollouts(every)["accuracy_all"]) == (0.5, 7 / 8)


def test_a_batch_without_a_group_has_cost_what_was_written() -> None:
    made = batch(lambda _, __: "\\boxed{4}", problems=1, filtered=True)
    assert made.groups == ()
    assert made.flops > 0
    assert of_rollouts(made)["accuracy_all"] == 1.0
