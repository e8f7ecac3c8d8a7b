"""What the estimators take and give: frozen data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

NO_ANSWER = -1
"""The answer class of a sample that gave no answer: it abstains from votes."""


@dataclass(frozen=True)
class ProblemPool:
    """Everything the estimators need of one problem's n samples.

    The tuples have one entry per sample, in the order of the samples. `__post_init__` raises
    ValueError where their lengths differ or a weight is negative or infinite.
    """

    problem_id: str
    correct: tuple[bool | None, ...]
    """The verdict; None is ungraded and leaves the denominator."""
    classes: tuple[int, ...]
    """Answer class (a connected component of the equivalence); −1 has no answer and abstains."""
    scores: tuple[float | None, ...] | None = None
    """A scorer's value, higher is better; None or NaN is missing and ranks last."""
    weights: tuple[float | None, ...] | None = None
    """Voting weight ≥ 0 for `wbon`; None or NaN is missing and counts as 0."""
    power: float = 0.5
    """Exponent of `borda@k`: of k samples the one ranked r by its score votes (k − r + 1)^power."""
    cluster: str = ""
    """The source that variants of one problem share; the problem itself where empty."""
    level: str | None = None
    subject: str | None = None

    def __post_init__(self) -> None:
        if not self.cluster:
            object.__setattr__(self, "cluster", self.problem_id)
        n = len(self.correct)
        for name, column in (
            ("classes", self.classes),
            ("scores", self.scores),
            ("weights", self.weights),
        ):
            if column is not None and len(column) != n:
                raise ValueError(
                    f"problem {self.problem_id}: {len(column)} {name} for {n} verdicts"
                )
        for weight in self.weights or ():
            if weight is not None and (weight < 0 or weight == float("inf")):
                raise ValueError(
                    f"problem {self.problem_id}: voting weight {weight} is not a finite number ≥ 0"
                )

    @property
    def graded(self) -> int:
        """How many samples have a verdict."""
        return sum(verdict is not None for verdict in self.correct)


class Estimate(NamedTuple):
    """One problem's expected score at k."""

    value: float
    """In [0, 1]."""
    stderr: float
    """Monte-Carlo standard error over the subsets drawn; 0 where the value is exact."""


class Interval(NamedTuple):
    """A mean with its confidence interval."""

    mean: float
    low: float
    high: float
    kind: str
    """`cluster-t`, `wilson-effective`, `run-t`, or `one-cluster`/`one-run`: nothing is known."""
    confidence: float
    """The nominal coverage, such as 0.95."""
    clusters: int
    """Independent units: sources or problems, or runs for `run-t`."""
    stderr: float
    """Standard error of the mean; NaN where there is one unit."""


class Bounds(NamedTuple):
    """What a score could be if the ungraded samples had been graded."""

    low: float
    """Every ungraded sample wrong."""
    high: float
    """Every ungraded sample right."""


class PairedResult(NamedTuple):
    """Two runs compared on the same problems."""

    difference: float
    """Mean of a − b, in [−1, 1]."""
    interval: Interval
    """Of the difference."""
    p_value: float
    """Two-sided, sign flips of whole clusters."""
    exact: bool
    """Whether every sign pattern was counted (else a random sample of them)."""
    correlation: float | None
    """Pearson's, over problems; None where either side does not vary."""
    minimum_detectable: float
    """The true difference found with the asked power at this size; NaN with one cluster."""
    problems_needed: int | None
    """Problems to find `target` with the asked power; None where no number would do."""
    target: float
    """The difference that `problems_needed` is for: the one asked, else the observed one."""

    def significant(self, adjusted: float, alpha: float) -> bool:
        """Whether the corrected test and the uncorrected interval both exclude no difference.

        Args:
            adjusted: the p value, corrected for all that was compared at once.
            alpha: family-wise error rate.
        """
        return adjusted <= alpha and not self.interval.low <= 0 <= self.interval.high


class RankRange(NamedTuple):
    """The ranks that the data allow one model, 1 the best."""

    best: int
    worst: int


@dataclass(frozen=True)
class MetricResult:
    """A metric over a set of problems."""

    name: str
    """`pass@k`, `maj@k`, `bon@k`, `wbon@k`, `borda@k`, `pass^k`, `g-pass@k`."""
    k: int
    value: float
    """Mean over problems with a graded sample, in [0, 1]; NaN where there is none."""
    interval: tuple[float, float]
    """The problem interval, within [0, 1]."""
    interval_kind: str
    """See `Interval.kind`."""
    problems: int
    """Problems in the mean."""
    mc_stderr: float
    """Monte-Carlo standard error of `value`; 0 where exact."""
    low: float
    """`value` if every ungraded sample were wrong."""
    high: float
    """`value` if every ungraded sample were right."""
    level: str | None = None
    """Of these problems only; None is all."""
    subject: str | None = None
    dropped: int = 0
    """Problems without any graded sample: not in the mean, but in `low` and `high`."""
    capped: int = 0
    """Problems with fewer than k graded samples: scored at the k they have."""
    confidence: float = field(default=0.95)
