"""Penalty of repeated n-grams."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from reasonbench.trainers.rules.base import Options
from reasonbench.types import Completion, Problem, Prompt, Verdict


def repeated(ids: Sequence[int], n: int) -> float:
    """Share of the n-grams that have come before in the same sequence, 0 to under 1.

    1 − distinct n-grams / n-grams; 0 for a sequence shorter than n. Time and memory grow with
    length × n.
    """
    count = len(ids) - n + 1
    if count <= 0:
        return 0.0
    packed = array("q", ids).tobytes()
    width, step = 8 * n, 8
    distinct = {packed[at : at + width] for at in range(0, count * step, step)}
    return 1 - len(distinct) / count


class Repetition(Options):
    """Minus the share of repeated n-grams, in (−1, 0].

    The sparse form of the paper's penalty: one value for the response, as in its authors' code and
    in TRL, not one for each repeated token. N-grams are of tokens; of characters where a text came
    without tokens.
    """

    name: ClassVar[str] = "repetition"
    title: ClassVar[str] = "penalty of repeated n-grams of tokens"
    source: ClassVar[str] = "Yeo et al. 2025 (2502.03373), appendix C.2"
    graded: ClassVar[bool] = False

    n: int = Field(40, ge=1, le=1_024)
    """Tokens of an n-gram (the paper: 40)."""

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        ids: Sequence[int] = completion.token_ids or [ord(c) for c in completion.text]
        return -repeated(ids, self.n) or 0.0
