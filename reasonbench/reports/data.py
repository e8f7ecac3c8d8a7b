"""What a report shows: frozen data, made by `reasonbench.reports.leaderboard.read_report`.

    read_report(runs: Sequence[Path], *, references: bool = False) -> Report

Accuracies and shares are 0–1. What is unknown is None, never NaN. Tokens, FLOPs, seconds and
dollars are means per problem unless they say otherwise. Names of runs are those of `RunStack.run`.
Model names, problem ids, levels and notes come from outside: whoever draws them escapes them.
`reasonbench.reports.exports.write_exports(report, folder)` writes the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from reasonbench.frontier import Status
from reasonbench.metrics import RankRange
from reasonbench.reports.chart_data import (
    Accuracy,
    Calibration,
    CalibrationBin,
    CapCurve,
    CapPoint,
    ComputeBoard,
    ComputePoint,
    Curve,
    CurvePoint,
    LengthBin,
    Lengths,
    LengthSummary,
    SolveRate,
    SolveRates,
)

__all__ = [
    "Accuracy",
    "Calibration",
    "CalibrationBin",
    "CapCurve",
    "CapPoint",
    "ComputeBoard",
    "ComputePoint",
    "Curve",
    "CurvePoint",
    "Entry",
    "GroupAccuracy",
    "LengthBin",
    "LengthSummary",
    "Lengths",
    "Mixed",
    "Protocol",
    "RankRange",
    "Ranking",
    "Reference",
    "Report",
    "RunStack",
    "SolveRate",
    "SolveRates",
    "Status",
]


class Mixed(NamedTuple):
    """How many responses switch between languages (reasonbench.text.Mixture.mixed)."""

    share: float
    counted: int
    """Responses looked at."""
    of: int
    """Responses there are: where it is more than `counted`, the share is of a sample of them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the leaderboard: a run's model with a strategy on a benchmark.

    Attributes:
        id: unique in the report ("e7"): for anchors and rankings.
        run, model, benchmark: labels; the model with its adapter and quantisation.
        strategy: as it is spelled on the command line ("wbon@16:agg=min").
        name: the strategy's name alone ("wbon").
        metric: with its k filled in ("pass@1", "maj@64", "asc@≤40").
        ceiling: it takes the gold answer to choose so (oracle): nobody can run it; never ranked.
        selector, reward: what chooses, and what scores; None where nothing does.
        n, k: samples drawn, and samples that the metric is for.
        weight_version, step: which weights; the step is None but in training runs.
        accuracy: None where nothing is graded or nothing scored.
        bounds: (low, high) with every ungraded sample wrong, or right; None as the accuracy.
        mc_stderr: Monte-Carlo error of the accuracy; 0 where it is exact.
        rank: the ranks that the data allow among the entries of its `Ranking`; None where it is
            not ranked.
        ranking: index into `Report.rankings`, None where it is in none.
        problems: in the mean; `dropped` are left out for want of a verdict; `capped` have fewer
            than k graded samples.
        truncated, no_answer, ungraded: shares of the samples; the first two count as wrong. None
            without samples.
        unscored: share of the completions without the score that the strategy needs.
        completed_accuracy: of the samples that ended by themselves.
        mixed: responses that mix languages; None where no text is stored.
        decode_tokens, prompt_tokens, reward_tokens, policy_tokens: per problem, charged for k
            samples; every shared prefix once.
        tokens_mean, tokens_p50, tokens_p95: of one completion.
        flops, seconds, dollars: per problem.
        complete: the run has everything that was planned.
    """

    id: str
    run: str
    model: str
    benchmark: str
    strategy: str
    name: str
    metric: str
    ceiling: bool
    selector: str | None
    reward: str | None
    n: int
    k: int
    weight_version: int
    step: int | None
    accuracy: Accuracy | None
    bounds: tuple[float, float] | None
    mc_stderr: float | None
    rank: RankRange | None
    ranking: int | None
    problems: int
    dropped: int
    capped: int
    truncated: float | None
    no_answer: float | None
    ungraded: float | None
    unscored: float | None
    completed_accuracy: float | None
    mixed: Mixed | None
    decode_tokens: float | None
    prompt_tokens: float | None
    reward_tokens: float | None
    policy_tokens: float | None
    tokens_mean: float | None
    tokens_p50: float | None
    tokens_p95: float | None
    flops: float | None
    seconds: float | None
    dollars: float | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Ranking:
    """Entries that were compared with each other: one benchmark, the same problems.

    All pairs are tested on paired problems, corrected by Holm's method
    (reasonbench.metrics.rank_ranges). Entries whose ranges overlap are tied.

    Attributes:
        entries: ids, the best accuracy first.
        problems: how many problems they were compared on.
        note: what a reader must know (problems left out, why nothing is ranked); empty for
            nothing.
    """

    benchmark: str
    entries: tuple[str, ...]
    problems: int
    note: str


@dataclass(frozen=True, slots=True)
class GroupAccuracy:
    """The accuracy of an entry on one level, or on one subject.

    Attributes:
        entry: the `Entry.id`.
        by: "level" or "subject".
        group: its name.
    """

    entry: str
    by: Literal["level", "subject"]
    group: str
    accuracy: Accuracy | None
    problems: int
    truncated: float | None
    no_answer: float | None
    ungraded: float | None


@dataclass(frozen=True, slots=True)
class Protocol:
    """How one run asked one benchmark.

    Attributes:
        name: of the protocol ("builtin", "deepseek-r1"); None where none is known.
        source, revision: of the problems.
        problems: how many.
        strategies: as spelled, each with its pool.
        pools: the settings of each pool (temperature, top_p, max_tokens, prompt …).
        reward, budget: the reward model's name; the token budget.
        deviations: from the named protocol, sentences.
        notes: what strategies did besides sampling.
    """

    run: str
    benchmark: str
    name: str | None
    source: str | None
    revision: str | None
    problems: int
    strategies: Mapping[str, str]
    pools: Mapping[str, Mapping[str, Any]]
    reward: str | None
    budget: int | None
    deviations: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunStack:
    """One run and all that produced it.

    Attributes:
        run: its name in this report.
        created, written: ISO times; of the run, and of its table.
        complete: whether everything planned is there.
        model, reward, stack, usage, config: as results.json and config.toml have them: the model's
            size, precision and engine; the reward's; versions and hardware; tokens and seconds of
            the whole run; the resolved configuration.
        samples: how many have a verdict.
    """

    run: str
    created: str | None
    written: str | None
    seed: int | None
    complete: bool
    model: Mapping[str, Any]
    reward: Mapping[str, Any] | None
    stack: Mapping[str, Any]
    usage: Mapping[str, Any]
    config: Mapping[str, Any]
    samples: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A published figure, NOT measured here: always marked so.

    Attributes:
        benchmark: by our name.
        metric: "pass@1", "cons@64", "beam", … as the source calls it.
        value: 0–1.
        source: paper, with the place in it.
        url: of the paper; None where there is none.
        note: what else must be known to read it; empty for nothing.
        measured: whether the report has entries of this benchmark (else there is nothing to lay it
            beside).
    """

    model: str
    benchmark: str
    metric: str
    value: float
    source: str
    url: str | None
    note: str
    measured: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that `reasonbench report` shows.

    Attributes:
        benchmarks: in the order in which they first occur.
        entries: of each benchmark, the best accuracy first.
        references: empty unless asked for.
        notes: what a reader must know before anything else.
    """

    runs: tuple[RunStack, ...]
    benchmarks: tuple[str, ...]
    entries: tuple[Entry, ...]
    rankings: tuple[Ranking, ...]
    compute: tuple[ComputeBoard, ...]
    curves: tuple[Curve, ...]
    groups: tuple[GroupAccuracy, ...]
    caps: tuple[CapCurve, ...]
    lengths: tuple[Lengths, ...]
    solve_rates: tuple[SolveRates, ...]
    calibrations: tuple[Calibration, ...]
    protocols: tuple[Protocol, ...]
    references: tuple[Reference, ...]
    notes: tuple[str, ...]
