"""Language consistency: the share of the thinking's words that are in the question's language."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

from pydantic import field_validator

from reasonbench.text import Language as Target
from reasonbench.text import language, language_of, measure, thinking
from reasonbench.trainers.rules.base import Options
from reasonbench.types import Completion, Problem, Prompt, Verdict


class Language(Options):
    """Words of the target language over all words of the thinking, 0–1.

    Formulas, code, LaTeX and Latin terms are left out, and so are words quoted from the question
    (reasonbench.text.mixture). Languages are told apart by script: English is anything in Latin
    letters. A response without thinking is measured whole; one without words has no value.
    """

    name: ClassVar[str] = "language"
    title: ClassVar[str] = "share of the thinking's words that are in the question's language"
    source: ClassVar[str] = "DeepSeek-R1, section 2.3.2"
    graded: ClassVar[bool] = False
    weight: ClassVar[float] = 0.1

    target: str | None = None
    """Language ("en", "chinese", "ko") of the thinking; the question's where it is not given."""

    @field_validator("target")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        return None if value is None else language(value).name

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        asked = problem.question.text
        target = (
            language(self.target) if self.target else _asked_in(asked) or _asked_in(prompt.text)
        )
        if target is None:
            return None
        opened = completion.thinking_open
        share = measure(thinking(completion.text, thinking_open=opened), target, asked).share
        return share if share is not None else measure(completion.text, target, asked).share


@lru_cache(maxsize=1_024)
def _asked_in(text: str) -> Target | None:
    """The language of a question; the samples of a problem share it."""
    return language_of(text)
