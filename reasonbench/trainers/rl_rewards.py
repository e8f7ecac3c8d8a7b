"""What a roll-out is worth: rules and, beside them, a reward model."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.rewards.base import Aggregate, Reward, RewardError, aggregate
from reasonbench.steps import Boundary, split
from reasonbench.trainers.rules import Weighted, is_ungraded, judge_fully
from reasonbench.trainers.rules.base import RULES
from reasonbench.types import Completion, Problem, Prompt

MODEL = "model"
"""The name of the reward model among the components, and among the rewards of a problem."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What a roll-out is worth.

    Attributes:
        reward: the weighted sum; NaN where a part that counts could not be judged (the grader or
            the reward model failed), which is not the same as wrong.
        rewards: every component that applies, unweighted, by name.
        correct: whether the answer is right; None where it was not graded.
    """

    reward: float
    rewards: Mapping[str, float]
    correct: bool | None


@dataclass(frozen=True, slots=True)
class ModelReward:
    """A reward model as a component.

    Attributes:
        reward: the model.
        weight: 0 = logged only.
        how: how the steps of a process reward become one number.
    """

    reward: Reward
    weight: float
    how: Aggregate = "last"


class Judge:
    """Judges roll-outs as they arrive. May be called from many coroutines at once."""

    def __init__(
        self, rules: Sequence[Weighted], graders: Graders, model: ModelReward | None = None
    ) -> None:
        """Args: rules, as `make_rules` makes them; graders: theirs; model."""
        self.rules, self.model = tuple(rules), model
        self._programs = asyncio.Semaphore(graders.in_flight("code"))

    async def __call__(self, problem: Problem, prompt: Prompt, completion: Completion) -> Worth:
        """The worth of one completion.

        A problem that names its rewards (`hidden["rules"]`) is judged by these alone.
        """
        if problem.question.kind == "code":
            async with self._programs:
                judged = await judge_fully(self.rules, problem, prompt, completion)
        else:
            judged = await judge_fully(self.rules, problem, prompt, completion)
        rewards, total = dict(judged.components), judged.reward
        if is_ungraded(self.rules, problem, judged):
            total = math.nan
        if self.model is not None and _applies(MODEL, problem):
            value = await self._modelled(self.model, problem, completion)
            if value is not None:
                rewards[MODEL] = value
            if self.model.weight:
                total += self.model.weight * (math.nan if value is None else value)
        return Worth(total, rewards, judged.correct)

    async def _modelled(
        self, model: ModelReward, problem: Problem, completion: Completion
    ) -> float | None:
        """The reward model's score; None where it gives none."""
        steps = split(completion.text, Boundary()) or (completion.text,)
        try:
            scored = await model.reward.score(problem.question, steps)
        except RewardError:
            return None
        whole = scored.whole
        value = aggregate(scored.steps, model.how) if whole is None else whole
        return value if value is not None and math.isfinite(value) else None

    def forget(self, problem: Problem) -> None:
        """Nothing more will be judged of this problem."""
        if self.model is not None:
            self.model.reward.forget(problem.question)

    def check(self, problems: Sequence[Problem], others: Mapping[str, float]) -> None:
        """Whether every problem is rewarded by something.

        Args:
            problems: of the training.
            others: weights of rewards beside the rules, by name.

        Raises:
            UsageError: a problem names a reward that is not there, or none with a weight applies.
        """
        weights = {weighted.rule.name: weighted.weight for weighted in self.rules} | dict(others)
        for problem in problems:
            named = problem.hidden.get(RULES)
            for name in named or ():
                if name not in weights:
                    raise UsageError(
                        f"{problem.benchmark}: problem {problem.id!r} is rewarded by {name!r}, "
                        f"which is not among the rewards ({', '.join(sorted(weights))})"
                    )
            if not any(weights[name] for name in (weights if named is None else named)):
                raise UsageError(
                    f"{problem.benchmark}: problem {problem.id!r} is rewarded by nothing that "
                    "has a weight"
                )


def _applies(name: str, problem: Problem) -> bool:
    named = problem.hidden.get(RULES)
    return named is None or name in named
