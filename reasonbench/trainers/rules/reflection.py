"""How often a response stops to look back: R1-Zero's "aha moments", counted."""

from __future__ import annotations

from typing import ClassVar

from reasonbench.text.reflection import reflections
from reasonbench.trainers.rules.base import Options
from reasonbench.types import Completion, Problem, Prompt, Verdict


class Reflection(Options):
    """How many reflection words ("wait", "let me check", …) a response has.

    Made to be logged: rewarded, it teaches the words and not what they stand for.
    """

    name: ClassVar[str] = "reflection"
    title: ClassVar[str] = "number of reflection words, for the log"
    source: ClassVar[str] = "DeepSeek-R1, section 2.2.4"
    graded: ClassVar[bool] = False
    weight: ClassVar[float] = 0.0

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        return float(reflections(completion.text))
