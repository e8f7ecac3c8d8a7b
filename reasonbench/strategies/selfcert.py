"""A vote by rank of self-certainty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from reasonbench.strategies.base import Candidate, Pooled
from reasonbench.strategies.select import borda


class SelfCertainty(Pooled):
    """Borda vote: of n answers the one ranked r by self-certainty votes (n − r + 1)^p.

    Self-certainty is mean_t KL(uniform ‖ p_t) over the whole vocabulary (Kang et al. 2025,
    arXiv 2502.18581, eq. 8, and its Borda voting). Engines that cannot see all of the vocabulary
    refuse. `bon:scorer=selfcert` and `wbon:scorer=selfcert` take the score itself.
    """

    name: ClassVar[str] = "selfcert"
    metric: ClassVar[str] = "borda@k"
    title: ClassVar[str] = "vote over n answers, weighted by their rank in self-certainty"
    source: ClassVar[str] = "Kang 2025"

    p: float = Field(0.5, ge=0, le=16)
    """Exponent of a rank's votes: 0 is the plain majority; larger trusts the surest more."""

    @property
    def scorer(self) -> str:
        return "selfcert"

    @property
    def power(self) -> float:
        return self.p

    def choose(self, candidates: Sequence[Candidate], seed: int) -> int | None:
        return borda(candidates, seed, self.p)
