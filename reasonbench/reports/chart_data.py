"""What charts of a report are drawn from: frozen data (see reasonbench.reports.data)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from reasonbench.frontier import Status


class Accuracy(NamedTuple):
    """An accuracy with its 95 % problem interval."""

    value: float
    low: float
    high: float
    kind: str
    """How the interval was computed: `cluster-t`, `wilson-effective`, `one-cluster`, …"""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A strategy at one k.

    Attributes:
        k: samples; of a search its n.
        mc_stderr: Monte-Carlo error of the accuracy.
        policy_tokens: what k samples take, per problem.
    """

    k: int
    accuracy: Accuracy
    mc_stderr: float
    policy_tokens: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Accuracy over k, log₂.

    Attributes:
        series: strategy with its options, without its size ("wbon:agg=min").
        metric: "pass@k", "maj@k", "wbon@k", "bon@k", "beam@k", …
        kind: "answer" (what one would get), "ceiling" (pass@k: needs the gold answer to choose),
            or "reliability" (pass^k, g-pass@k: how often all, or half, of k are right).
        points: by k; there may be only one.
    """

    run: str
    model: str
    benchmark: str
    series: str
    metric: str
    kind: Literal["answer", "ceiling", "reliability"]
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class ComputePoint:
    """A strategy at one size on the plane of accuracy and compute.

    Attributes:
        series, label: the strategy without its size ("maj"), and with it ("maj@16").
        tokens: policy-equivalent, per problem: for a log axis.
        pareto: nobody costs no more and scores no less.
        status: see reasonbench.frontier.Status; None where differences were not tested.
        against: label of the point that it was compared with; None for no comparison.
        difference: its accuracy − the other's, with the uncorrected interval.
        p_adjusted: corrected for all comparisons of the board.
        truncated: share of the samples that the token limit cut.
    """

    run: str
    series: str
    label: str
    size: int
    tokens: float
    accuracy: Accuracy
    pareto: bool
    ceiling: bool
    status: Status | None
    against: str | None
    difference: Accuracy | None
    p_adjusted: float | None
    truncated: float | None


@dataclass(frozen=True, slots=True)
class ComputeBoard:
    """Runs of one model on the same problems of one benchmark, by what they cost.

    Attributes:
        problems: that all points were measured on.
        tested: whether the points have a `status` (large runs are drawn without paired tests).
        notes: what a reader must know.
    """

    model: str
    benchmark: str
    runs: tuple[str, ...]
    problems: int
    points: tuple[ComputePoint, ...]
    tested: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CapPoint:
    """pass@1, had no completion been allowed more than `cap` tokens.

    Attributes:
        cap: tokens.
        accuracy: a completion that is longer counts as wrong, as one that the limit cut.
        cut: share of the completions that the cap ends.
    """

    cap: int
    accuracy: Accuracy
    cut: float


@dataclass(frozen=True, slots=True)
class CapCurve:
    """Accuracy against a token cap, from the stored completions of one pool.

    Attributes:
        pool: samples drawn alike; `strategies` draw from it.
        samples: how many there are.
        points: by cap, the last one at the longest completion.
    """

    run: str
    model: str
    benchmark: str
    pool: str
    strategies: tuple[str, ...]
    samples: int
    points: tuple[CapPoint, ...]


class LengthBin(NamedTuple):
    """Completions of `low` ≤ tokens < `high`, by how they ended."""

    low: int
    high: int
    right: int
    wrong: int
    """Ended by itself, and incorrect."""
    truncated: int
    """Cut by the token limit, whatever the verdict."""
    ungraded: int


class LengthSummary(NamedTuple):
    """Lengths of the completions of one kind, in tokens."""

    samples: int
    mean: float
    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the completions of one pool are.

    Attributes:
        bins: adjoining, of growing width (log axis).
        right, wrong, truncated: None where there is none of the kind.
        ends_known: False where a log does not say what a limit cut: that stands among the others.
    """

    run: str
    model: str
    benchmark: str
    pool: str
    strategies: tuple[str, ...]
    bins: tuple[LengthBin, ...]
    right: LengthSummary | None
    wrong: LengthSummary | None
    truncated: LengthSummary | None
    ends_known: bool = True


class SolveRate(NamedTuple):
    """One problem in one pool."""

    problem_id: str
    level: str | None
    subject: str | None
    right: int
    graded: int
    """The rate is right / graded; unknown where it is 0."""
    samples: int
    truncated: int | None
    """None where nobody knows how the samples ended."""


@dataclass(frozen=True, slots=True)
class SolveRates:
    """How often each problem is solved by the samples of one pool, in the order of the problems."""

    run: str
    model: str
    benchmark: str
    pool: str
    strategies: tuple[str, ...]
    problems: tuple[SolveRate, ...]


class CalibrationBin(NamedTuple):
    """Samples with a score in [low, high] (the next bin begins above `high`)."""

    low: float
    high: float
    mean: float
    """Their mean score."""
    right: Accuracy
    """Share that is correct, its interval clustered by the problems' sources."""
    samples: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a score says about being right.

    Attributes:
        scorer: name of the reward, or "logprob", "selfcert", …
        strategy: the strategy that chooses by it; says how scores of steps became one.
        bins: equal shares of the samples, by score.
        ece: expected calibration error over the bins: mean |share right − mean score|; None where
            scores are no probabilities (outside of 0–1).
        auc: the chance that a right sample scores above a wrong one; 0.5 knows nothing; None where
            all are right or all wrong.
        scored, unscored: graded samples with and without a score.
    """

    run: str
    model: str
    benchmark: str
    scorer: str
    strategy: str
    bins: tuple[CalibrationBin, ...]
    ece: float | None
    auc: float | None
    scored: int
    unscored: int
