"""What a reward by rule is, and how several make one reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from reasonbench.grading.graders import Graders
from reasonbench.types import Completion, Problem, Prompt, Verdict
from reasonbench.verdicts import grade

RULES = "rules"
"""`Problem.hidden` names here the rules that its responses are rewarded by; all where it does
not. So prompts of one training set can be rewarded differently."""


class Rule(Protocol):
    """One component of the reward."""

    @property
    def name(self) -> str:
        """As it is spelled and logged."""

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        """The reward of one response.

        Args:
            problem: with its gold answer.
            prompt: what the engine was given.
            completion: what it wrote; its `thinking_open` is set where the prompt's is.
            verdict: the benchmark's grader on it; None where the problem has nothing to grade by.

        Returns:
            None where the rule does not apply to this response.
        """


class Options(BaseModel):
    """A rule of ours: its fields are its options, as they are spelled."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    title: ClassVar[str]
    """One line about it."""
    source: ClassVar[str]
    """Paper and section."""
    weight: ClassVar[float] = 1.0
    """Where none is given."""
    graded: ClassVar[bool] = True
    """Whether it looks at the verdict."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """A rule in a reward.

    Attributes:
        rule: see `Rule`.
        weight: 0 is logged only.
        graders: what gives the verdict that rules see, the same for all.
    """

    rule: Rule
    weight: float
    graders: Graders


class Judged(NamedTuple):
    """What rules say of one response.

    Attributes:
        reward: Σ weight × component, over the rules that apply.
        components: the value of each rule that applies, unweighted, by name.
        verdict: of the benchmark's grader; None where the problem has nothing to grade by.
    """

    reward: float
    components: dict[str, float]
    verdict: Verdict | None

    @property
    def correct(self) -> bool | None:
        """None where nothing was graded."""
        if self.verdict is None or self.verdict.verdict == "ungraded":
            return None
        return self.verdict.verdict == "correct"


async def judge(
    rules: Sequence[Weighted], problem: Problem, prompt: Prompt, completion: Completion
) -> tuple[float, dict[str, float]]:
    """The reward of one response, and each component by itself (see `judge_fully`)."""
    reward, components, _ = await judge_fully(rules, problem, prompt, completion)
    return reward, components


async def judge_fully(
    rules: Sequence[Weighted], problem: Problem, prompt: Prompt, completion: Completion
) -> Judged:
    """The reward of one response, its components and the verdict.

    A problem that names its rules (`hidden["rules"]`) is judged by these only. The response is
    graded once, whatever the number of rules, and not at all where none of them looks at the
    verdict. Rules that need one do not apply where a grader fails.

    Raises:
        UsageError: the problem's tests or gold cannot be used.
    """
    if prompt.thinking_open and not completion.thinking_open:
        completion = replace(completion, thinking_open=True)
    chosen = problem.hidden.get(RULES)
    applied = [one for one in rules if chosen is None or one.rule.name in chosen]
    verdict = None
    if any(getattr(one.rule, "graded", True) for one in applied) and gradable(problem):
        verdict = await grade(applied[0].graders, problem, completion)
    total = 0.0
    components: dict[str, float] = {}
    for weighted in applied:
        name = weighted.rule.name
        value = await weighted.rule(problem, prompt, completion, verdict)
        if value is not None:
            components[name] = value
            total += weighted.weight * value
    return Judged(total, components, verdict)


def is_ungraded(rules: Sequence[Weighted], problem: Problem, judged: Judged) -> bool:
    """Whether the grader failed and a rule that counts has given nothing for it.

    The reward is then no number: what was not judged is not worth what a wrong answer is worth.

    Args:
        rules: with which `judge_fully` made `judged`.
    """
    if judged.verdict is None or judged.verdict.verdict != "ungraded":
        return False
    chosen = problem.hidden.get(RULES)
    return any(
        one.weight
        and getattr(one.rule, "graded", True)
        and (chosen is None or one.rule.name in chosen)
        and one.rule.name not in judged.components
        for one in rules
    )


def gradable(problem: Problem) -> bool:
    """Whether the problem has what its grader needs."""
    match problem.question.kind:
        case "expression":
            return "target" in problem.question.data
        case "code":
            return bool(problem.hidden.get("tests"))
    return problem.gold is not None
