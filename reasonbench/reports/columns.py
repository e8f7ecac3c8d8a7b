"""Samples as columns of numbers: a few bytes each, whatever they say."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from reasonbench.metrics.ballot import Floats
from reasonbench.results import Measured
from reasonbench.runs.stored import StoredSample

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Drawn:
    """N samples of P problems.

    Attributes:
        problem: [N] number of its problem, from 0.
        tokens: [N] of the completion; 0 where there is none.
        right, graded: [N] the verdict.
        stopped, cut: [N] it ended by itself, or by the token limit; a failed request did neither.
    """

    problem: Numbers
    tokens: Numbers
    right: Flags
    graded: Flags
    stopped: Flags
    cut: Flags


@dataclass(frozen=True, eq=False)
class Scored:
    """S graded samples with the score that a strategy chooses by.

    Attributes:
        strategy: as it is spelled.
        scorer: name of the reward, or of what else scores.
        scores: [S] finite.
        right: [S] whether it is correct.
        problem: [S] number of its problem.
        unscored: graded samples without a finite score.
    """

    strategy: str
    scorer: str
    scores: Floats
    right: Flags
    problem: Numbers
    unscored: int


@dataclass
class DrawnColumns:
    """A `Drawn` that grows."""

    problem: array[int] = field(default_factory=lambda: array("i"))
    tokens: array[int] = field(default_factory=lambda: array("i"))
    right: array[int] = field(default_factory=lambda: array("b"))
    graded: array[int] = field(default_factory=lambda: array("b"))
    stopped: array[int] = field(default_factory=lambda: array("b"))
    cut: array[int] = field(default_factory=lambda: array("b"))

    def add(self, number: int, samples: Sequence[StoredSample]) -> None:
        """Append the samples of the problem of that number."""
        self.problem.extend([number] * len(samples))
        self.tokens.extend([s.tokens for s in samples])
        self.right.extend([s.verdict == "correct" for s in samples])
        self.graded.extend([s.verdict in ("correct", "incorrect") for s in samples])
        self.stopped.extend([s.finish == "stop" for s in samples])
        self.cut.extend([s.finish == "length" for s in samples])

    def whole(self) -> Drawn:
        """What there is."""
        flags = (self.right, self.graded, self.stopped, self.cut)
        return Drawn(_numbers(self.problem), _numbers(self.tokens), *map(_flags, flags))


@dataclass
class ScoredColumns:
    """A `Scored` that grows."""

    strategy: str
    scorer: str
    scores: array[float] = field(default_factory=lambda: array("d"))
    right: array[int] = field(default_factory=lambda: array("b"))
    problem: array[int] = field(default_factory=lambda: array("i"))
    unscored: int = 0

    def add(self, number: int, measured: Measured) -> None:
        """Append the graded samples of the problem of that number."""
        pool = measured.pool
        for score, verdict in zip(pool.scores or (), pool.correct, strict=True):
            if verdict is None:
                continue
            if score is None or not math.isfinite(score):
                self.unscored += 1
            else:
                self.scores.append(score)
                self.right.append(verdict)
                self.problem.append(number)

    def whole(self) -> Scored:
        """What there is."""
        return Scored(
            self.strategy,
            self.scorer,
            np.array(self.scores, dtype=np.float64),
            _flags(self.right),
            _numbers(self.problem),
            self.unscored,
        )


def _numbers(column: array[int]) -> Numbers:
    return np.array(column, dtype=np.int32)


def _flags(column: array[int]) -> Flags:
    return np.array(column, dtype=np.bool_)
