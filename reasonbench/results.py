"""From stored samples to the rows of results.json: the one place where numbers become a table.

Nothing here runs a model. Rows are a function of the stored samples alone, so two equal runs have
equal rows (`COSTS` aside).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from reasonbench.behaviour.score import classes, passes_examples
from reasonbench.costs import COSTS, JudgedBy, Measured, Pricing, costs
from reasonbench.in_order import taken
from reasonbench.metrics import MetricResult, ProblemPool, evaluate, powers_of_two
from reasonbench.rewarding import stored_as
from reasonbench.rewards.base import aggregate
from reasonbench.runs.stored import Reading, StoredProblem, StoredSample, StoredSearch
from reasonbench.strategies import AnyStrategy, Search, options_of
from reasonbench.strategies.adaptive import Adaptive, Taken
from reasonbench.strategies.base import REWARD
from reasonbench.types import ModelInfo, Problem

__all__ = ["COSTS", "RELIABILITY", "JudgedBy", "Measured", "Pricing", "measure", "rows"]

RELIABILITY = ("pass^k", "g-pass@k")
"""Estimators of how often all, or at least half, of k samples are right; reported with `cot`."""

_DECIDED = ("correct", "incorrect")


def measure(
    stored: StoredProblem,
    strategy: AnyStrategy,
    tests: Sequence[StoredSample] = (),
    judging: JudgedBy | None = None,
    readings: Mapping[int, Reading] = MappingProxyType({}),
    search: StoredSearch | None = None,
    budget: int | None = None,
) -> Measured:
    """One stored problem as a strategy sees it: its first n samples, scored by its scorer.

    Args:
        tests: the completions of tests that the model wrote for the problem.
        judging: the run's reward.
        readings: what it read of each sample.
        search: how a search of the problem went; its samples are its solutions.
        budget: only the samples that fit into so many policy-equivalent tokens, in the order of
            their index; searches were stopped there themselves.
    """
    problem = stored.problem
    searching = isinstance(strategy, Search)
    samples = [s for s in stored.samples if searching or s.sample < strategy.n]
    rule = strategy if isinstance(strategy, Adaptive) else None
    if rule is not None:
        samples = [_as_drawn(s, vote) for s in samples if (vote := taken(s, rule)) is not None]
    scorer = strategy.scorer
    count = strategy.behaviour.completions if strategy.behaviour else 0
    written = [t for t in tests if t.finish is not None and t.sample < count]
    if budget is not None and not searching and samples:
        room = budget - sum(t.usage.decode_tokens for t in written) - _prompt(written)
        fitting = _fitting(samples, room, readings, judging)
        if not fitting:
            return _cut(problem, strategy, samples, room)
        samples = fitting
    score = partial(_score, strategy=strategy, judging=judging)
    scores = tuple(map(score, samples)) if scorer else None
    weights = None
    if scores is not None and strategy.metric == "wbon@k":
        weights = tuple(_weight(value, scorer) for value in scores)
    answers = _classes(samples, strategy)
    if strategy.public:
        kept = [passes_examples(sample) for sample in samples]
        answers = tuple(c if keep else -1 for c, keep in zip(answers, kept, strict=True))
        if scores is not None:
            scores = tuple(s if keep else None for s, keep in zip(scores, kept, strict=True))
    drawn = [s for s in samples if s.finish is not None]
    ended = [s for s in drawn if s.finish == "stop" and s.verdict in _DECIDED]
    measured = Measured(
        pool=ProblemPool(
            problem_id=problem.id,
            correct=tuple(
                s.verdict == "correct" if s.verdict in _DECIDED else None for s in samples
            ),
            classes=answers,
            scores=scores,
            weights=weights,
            power=strategy.power,
            cluster=problem.source,
            level=problem.level,
            subject=problem.subject,
        ),
        tokens=tuple(s.tokens if searching else s.usage.decode_tokens for s in drawn),
        prompt_tokens=_prompt(drawn),
        tests=tuple(t.usage.decode_tokens for t in written),
        tests_prompt_tokens=_prompt(written),
        samples=len(samples),
        truncated=sum(s.finish == "length" for s in drawn),
        no_answer=sum(s.answer is None for s in ended)
        + sum(s.finish is None and s.layer == "no answer" for s in samples),
        ungraded=sum(s.verdict not in _DECIDED for s in samples),
        unscored=sum(score(s) is None for s in drawn) if scorer else 0,
        completed=len(ended),
        completed_right=sum(s.verdict == "correct" for s in ended),
        read=tuple(readings[s.sample].step_tokens if s.sample in readings else 0 for s in drawn),
        head=max(
            (readings[s.sample].head_tokens for s in drawn if s.sample in readings), default=0
        ),
        search=search,
        judging=judging,
    )
    return measured if rule is None else _voted(measured, stored, samples, rule)


def _as_drawn(sample: StoredSample, vote: Taken) -> StoredSample:
    """The sample as a rule draws it: where it takes the beginning only, an aborted one."""
    if vote.tokens < sample.tokens or sample.finish == "aborted":
        sample = replace(sample, finish="aborted", verdict="incorrect", answer=None)
    return replace(sample, usage=replace(sample.usage, decode_tokens=vote.tokens))


def _voted(
    measured: Measured, stored: StoredProblem, samples: Sequence[StoredSample], rule: Adaptive
) -> Measured:
    """The samples that a rule drew, with the votes that it gives them."""
    votes = [vote for s in samples if (vote := taken(s, rule)) is not None]
    ended = [s for s in stored.samples if s.sample < rule.n and s.finish in ("stop", "length")]
    whole = rule.n * sum(s.usage.decode_tokens for s in ended) / len(ended) if ended else None
    weights = tuple(vote.weight for vote in votes)
    return replace(
        measured,
        pool=replace(
            measured.pool,
            classes=tuple(vote.answer_class for vote in votes),
            scores=weights if rule.scorer else None,
            weights=weights,
        ),
        unscored=sum(weight is None for weight in weights) if rule.scorer else 0,
        aborted=sum(s.finish == "aborted" for s in samples),
        whole=whole,
    )


def _fitting(
    samples: Sequence[StoredSample],
    budget: float,
    readings: Mapping[int, Reading],
    judging: JudgedBy | None,
) -> list[StoredSample]:
    """The first samples that fit into a budget together with their prompt."""
    share = judging.share if judging else 0.0
    drawn = [s for s in samples if s.finish is not None]
    used = _prompt(drawn) + share * max((r.head_tokens for r in readings.values()), default=0)
    found = []
    for sample in samples:
        read = readings.get(sample.sample, Reading()).step_tokens
        used += sample.usage.decode_tokens + share * read
        if used > budget:
            break
        found.append(sample)
    return found


def _cut(
    problem: Problem, strategy: AnyStrategy, samples: Sequence[StoredSample], budget: float
) -> Measured:
    """A problem whose budget ends inside the first sample: cut there, without an answer."""
    room = max(0, int(budget))
    prompt = min(room, _prompt([s for s in samples if s.finish is not None]))
    unknown = (None,) if strategy.scorer else None
    return Measured(
        pool=ProblemPool(
            problem_id=problem.id,
            correct=(False,),
            classes=(-1,),
            scores=unknown,
            weights=unknown if strategy.metric == "wbon@k" else None,
            cluster=problem.source,
            level=problem.level,
            subject=problem.subject,
        ),
        tokens=(room - prompt,),
        prompt_tokens=prompt,
        samples=1,
        truncated=1,
        no_answer=0,
        ungraded=0,
        unscored=0,
        completed=0,
        completed_right=0,
        read=(0,),
        cut=True,
    )


def _classes(samples: Sequence[StoredSample], strategy: AnyStrategy) -> tuple[int, ...]:
    if strategy.behaviour is not None:
        return classes(samples, strategy.behaviour)
    return tuple(-1 if s.answer_class is None else s.answer_class for s in samples)


def _prompt(drawn: Sequence[StoredSample]) -> int:
    """Length of the prompt that completions share."""
    return max((s.usage.prompt_tokens + s.usage.cached_tokens for s in drawn), default=0)


def _score(sample: StoredSample, strategy: AnyStrategy, judging: JudgedBy | None) -> float | None:
    scorer = strategy.scorer
    if scorer == "logprob":
        score = sample.mean_logprob
    elif scorer == "selfcert":
        score = sample.self_certainty
    elif scorer == REWARD:
        score = _judged(sample, strategy, judging)
    else:
        stored = sample.scores.get(scorer or "")
        score = None if stored is None else stored.whole
    return None if score is None or math.isnan(score) else score


def _judged(sample: StoredSample, strategy: AnyStrategy, judging: JudgedBy | None) -> float | None:
    """An outcome reward's score, or the aggregate of a process reward's."""
    stored = sample.scores.get(stored_as(judging.name, strategy)) if judging else None
    if stored is None:
        return None
    if stored.whole is not None:
        return stored.whole
    if strategy.aggregated == "last":  # the steps before may have none
        return stored.steps[-1] if stored.steps else None
    return aggregate(stored.steps, strategy.aggregated)


def _weight(score: float | None, scorer: str | None) -> float | None:
    """exp of a mean log-probability; any other score is its own weight.

    Rounding can carry a log-probability above 0 and a self-certainty below 0: both are cut there.
    """
    if score is None:
        return None
    if scorer == "logprob":
        return math.exp(min(score, 0.0))
    return max(score, 0.0) if math.isfinite(score) else None


def rows(
    benchmark: str,
    strategy: AnyStrategy,
    measured: Sequence[Measured],
    model: ModelInfo,
    pricing: Pricing,
    judging: JudgedBy | None = None,
    *,
    budget: int | None = None,
    weight_version: int = 0,
) -> Iterator[dict[str, Any]]:
    """The rows of one strategy on one benchmark (docs/runs.md lists the fields).

    Its estimator at every k that is a power of two, and at n: over all problems, by level and by
    subject. For `cot`: pass@1, and the reliability estimators at every k. For a search: what its
    selector chooses of all its solutions. With a budget a problem has as many samples as fit, and
    larger k are scored at those.

    A strategy whose samples have no score at all has rows without an accuracy: choosing among
    them would be chance.
    """
    pools = [m.pool for m in measured]
    searching = isinstance(strategy, Search)
    held = max((len(pool.correct) for pool in pools), default=0)
    if held == 0:
        return
    most = held if searching else min(strategy.n, held)
    ks = sorted({*powers_of_two(most), most})
    if isinstance(strategy, Adaptive):
        # every problem is scored at the samples that it drew, at most n
        found = evaluate(pools, [strategy.metric], [most])
        found = [replace(result, k=strategy.n, capped=0) for result in found]
    elif isinstance(strategy, Search):
        found = [
            replace(result, name=f"{strategy.name}@k", k=strategy.n)
            for result in evaluate(pools, [strategy.metric], [most])
        ]
    elif strategy.name == "cot":
        found = evaluate(pools, ["pass@k"], [1])
        found += evaluate(pools, RELIABILITY, ks[1:], by=()) if ks[1:] else []
    else:
        found = evaluate(pools, [strategy.metric], ks)
        if budget is not None and most < strategy.n:
            found += [_at(strategy.n, r, measured) for r in found if r.k == most]
    for result in found:
        members = _members(result, measured)
        blind = all(m.unscored == len(m.tokens) for m in members)
        if strategy.scorer and blind and not (searching and not any(m.tokens for m in members)):
            result = _unknown(result)
        yield {
            "benchmark": benchmark,
            "strategy": strategy.name,
            "metric": strategy.reported or result.name,
            "options": options_of(strategy),
            "selector": strategy.select if isinstance(strategy, Search) else strategy.name,
            "reward": judging.name if judging and strategy.scorer == REWARD else strategy.scorer,
            "n": strategy.n,
            "k": result.k,
            "level": result.level,
            "subject": result.subject,
            "weight_version": weight_version,
            **_estimate(result),
            **_shares(members),
            **costs(result.k, members, model, pricing, judging),
            **(_drawn(members) if isinstance(strategy, Adaptive) else {}),
        }


def _members(result: MetricResult, measured: Sequence[Measured]) -> list[Measured]:
    """The problems of a result's group."""
    return [
        m
        for m in measured
        if (result.level is None or m.pool.level == result.level)
        and (result.subject is None or m.pool.subject == result.subject)
    ]


def _at(k: int, result: MetricResult, measured: Sequence[Measured]) -> MetricResult:
    """The result at a k that no problem's budget reaches: at the samples that there are."""
    capped = sum(0 < m.pool.graded < k for m in _members(result, measured))
    return replace(result, k=k, capped=capped)


def _drawn(measured: Sequence[Measured]) -> dict[str, float | None]:
    """How much of n samples a rule used.

    The share of its completions that it aborted, how many it used for a problem, and their share
    of the tokens of all n.
    """
    some = [m for m in measured if m.samples]
    used = sum(m.samples for m in some)
    whole = math.fsum(m.whole or 0.0 for m in some)
    return {
        "aborted": sum(m.aborted for m in some) / used if used else None,
        "samples_used": used / len(some) if some else None,
        "token_share": sum(sum(m.tokens) for m in some) / whole if whole else None,
    }


def _estimate(result: MetricResult) -> dict[str, Any]:
    """What an estimator says; NaN is null."""
    return {
        "accuracy": _known(result.value),
        "interval": [_known(bound) for bound in result.interval],
        "confidence": result.confidence,
        "interval_kind": result.interval_kind,
        "mc_stderr": _known(result.mc_stderr),
        "bounds": [_known(result.low), _known(result.high)],
        "problems": result.problems,
        "problems_dropped": result.dropped,
        "problems_capped": result.capped,
    }


def _unknown(result: MetricResult) -> MetricResult:
    return replace(
        result,
        value=math.nan,
        interval=(math.nan, math.nan),
        interval_kind="no-score",
        mc_stderr=math.nan,
        low=math.nan,
        high=math.nan,
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _shares(measured: Sequence[Measured]) -> dict[str, float | None]:
    """Shares of all samples, and the accuracy of those that ended by themselves."""
    samples = sum(m.samples for m in measured)
    completed = sum(m.completed for m in measured)

    def of(count: int, whole: int) -> float | None:
        return count / whole if whole else None

    return {
        "truncated": of(sum(m.truncated for m in measured), samples),
        "no_answer": of(sum(m.no_answer for m in measured), samples),
        "ungraded": of(sum(m.ungraded for m in measured), samples),
        "unscored": of(sum(m.unscored for m in measured), sum(len(m.tokens) for m in measured)),
        "completed_accuracy": of(sum(m.completed_right for m in measured), completed),
    }
