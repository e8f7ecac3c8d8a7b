"""Rewards by length, in tokens."""

from __future__ import annotations

import math
from typing import ClassVar, Self

from pydantic import Field, model_validator

from reasonbench.trainers.rules.base import Options
from reasonbench.types import Completion, Problem, Prompt, Verdict


def overlong(length: int, most: int, cache: int) -> float:
    """DAPO's soft penalty, in [−1, 0] (Yu et al. 2025, equation 13).

    0 up to `most − cache` tokens, then linear to −1 at `most`, and −1 beyond. Without a cache it is
    0 up to `most`.
    """
    if length <= most - cache:
        return 0.0
    return -1.0 if length > most else (most - cache - length) / cache


def cosine(length: int, most: int, at_zero: float, at_most: float) -> float:
    """From `at_zero` at length 0 to `at_most` at `most` tokens along half a cosine.

    Yeo et al. 2025, section 4.2. Their CosFn(t, T, η_min, η_max) is η_max at t = 0; the values at
    length 0 and at the limit are meant as they are named here, as in the authors' code.
    """
    return at_most + (at_zero - at_most) * (1 + math.cos(math.pi * length / most)) / 2


def tokens(completion: Completion) -> int | None:
    """Number of tokens; None where the text came without them."""
    return len(completion.token_ids) if completion.token_ids or not completion.text else None


class Overlong(Options):
    """0 up to `max − cache` tokens, then linear to −1 at `max`."""

    name: ClassVar[str] = "overlong"
    title: ClassVar[str] = "soft penalty of the last tokens before the limit"
    source: ClassVar[str] = "DAPO (Yu et al. 2025), equation 13"
    graded: ClassVar[bool] = False

    max: int = Field(ge=1)
    """Most tokens of a completion (DAPO: 20480)."""
    cache: int = Field(ge=0)
    """Tokens before the limit over which the penalty grows (DAPO: 4096)."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.cache > self.max:
            raise ValueError(f"cache={self.cache} is more than max={self.max}")
        return self

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        length = tokens(completion)
        return None if length is None else overlong(length, self.max, self.cache)


class Cosine(Options):
    """Short correct responses above long ones, and long wrong ones above short ones.

    It stands in the place of accuracy, so give accuracy weight 0 beside it. Values are those of the
    paper.
    """

    name: ClassVar[str] = "cosine"
    title: ClassVar[str] = "correctness scaled by length along a cosine"
    source: ClassVar[str] = "Yeo et al. 2025 (2502.03373), section 4.2"

    max: int = Field(ge=1)
    """Most tokens of a completion; one that reaches it gets `exceed`."""
    right_short: float = 2.0
    """Of a correct response of no length."""
    right_long: float = 1.0
    """Of a correct response at the limit."""
    wrong_short: float = -10.0
    """Of a wrong response of no length."""
    wrong_long: float = 0.0
    """Of a wrong response at the limit."""
    exceed: float = -10.0
    """Of a response that the limit cut."""

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        length = tokens(completion)
        if length is None or verdict is None or verdict.verdict == "ungraded":
            return None
        if completion.finish == "length" or length >= self.max:
            return self.exceed
        if verdict.verdict == "correct":
            return cosine(length, self.max, self.right_short, self.right_long)
        return cosine(length, self.max, self.wrong_short, self.wrong_long)
