"""Right or wrong, by the benchmark's own grader: the score in the table is the reward."""

from __future__ import annotations

from typing import ClassVar

from reasonbench.trainers.rules.base import Options
from reasonbench.types import Completion, Problem, Prompt, Verdict


class Accuracy(Options):
    """1 for a correct response, 0 for another (R1-Zero); `wrong=-1` is DAPO's ±1.

    A truncated response and one without an answer are wrong. What could not be graded has no
    accuracy.
    """

    name: ClassVar[str] = "accuracy"
    title: ClassVar[str] = "the benchmark's own grader, programs included"
    source: ClassVar[str] = "DeepSeek-R1, section 2.2.2; DAPO, equation 7"

    right: float = 1.0
    """Reward of a correct response."""
    wrong: float = 0.0
    """Reward of an incorrect one: 0, or -1 as in DAPO."""

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        if verdict is None or verdict.verdict == "ungraded":
            return None
        return self.right if verdict.verdict == "correct" else self.wrong
