"""What an answer cost: tokens, FLOPs, seconds and dollars per problem.

Every prefix that requests share is counted once, so that costs depend on what was asked for, and
not on what a cache happened to hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from reasonbench.metrics import ProblemPool, flops
from reasonbench.runs.stored import StoredSearch
from reasonbench.types import ModelInfo

COSTS = (
    "decode_tokens",
    "prompt_tokens",
    "cached_tokens",
    "reward_tokens",
    "policy_tokens",
    "flops",
    "seconds",
    "dollars",
    "tokens_mean",
    "tokens_p50",
    "tokens_p95",
)
"""Columns that say what an answer cost, not how good it was."""


class TokenPrices(NamedTuple):
    """What tokens of a served model cost, in US dollars each.

    Attributes:
        prompt: of a prompt; every request pays for its whole prompt, whatever is cached.
        decoded: that was generated.
    """

    prompt: float
    decoded: float


@dataclass(frozen=True, slots=True)
class Pricing:
    """What a second of generation, or a token, costs.

    Attributes:
        seconds_per_token: wall-clock seconds of generation for each decoded token of the run;
            None where no model ran.
        usd_per_second: None where no price is known.
        tokens: None where tokens have no price.
    """

    seconds_per_token: float | None = None
    usd_per_second: float | None = None
    tokens: TokenPrices | None = None


@dataclass(frozen=True, slots=True)
class JudgedBy:
    """The reward of a run.

    Attributes:
        name: what its scores are stored under.
        model: what is known of it.
        share: its active parameters / the policy's.
        described: as results.json shows it.
    """

    name: str
    model: ModelInfo | None
    share: float
    described: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """One problem's samples, ready for the estimators and the cost columns.

    Attributes:
        pool: verdicts, answer classes, scores and weights.
        tokens: decoded tokens of each completion.
        prompt_tokens: length of the prompt.
        tests: decoded tokens of each completion of tests that choose among the programs.
        tests_prompt_tokens: length of the prompt of these.
        samples: how many there are, failed requests included.
        truncated, no_answer, ungraded: how many were cut by a limit, ended without an answer,
            have no verdict.
        unscored: how many completions have no score, where the strategy needs one.
        read: what the strategy's reward read of each completion.
        head: what it read before them, once.
        search: what a search cost; None for draws.
        judging: the reward that scores it.
        aborted: how many completions a rule ended before their end.
        whole: tokens of all n completions, where a rule drew only some: those that are there, and
            as many again on average for each that is not.
        completed, completed_right: how many ended by themselves and have a verdict, and the right
            ones of these.
        cut: its budget ended inside the first sample, maybe before its first token.
    """

    pool: ProblemPool
    tokens: tuple[int, ...]
    prompt_tokens: int
    samples: int
    truncated: int
    no_answer: int
    ungraded: int
    unscored: int
    completed: int
    completed_right: int
    tests: tuple[int, ...] = ()
    tests_prompt_tokens: int = 0
    read: tuple[int, ...] = ()
    head: int = 0
    search: StoredSearch | None = None
    judging: JudgedBy | None = None
    aborted: int = 0
    whole: float | None = None
    cut: bool = False


class _Spent(NamedTuple):
    """One problem's tokens.

    Attributes:
        prompt, decode: of the policy.
        completions: into how many continuations of the prompt the decoded tokens fall.
        cached: prompt tokens that a cache saves.
        sent: prompt tokens of all requests together.
        head, read: what the reward reads before the first step, and of all steps.
        judged: how many solutions that is.
    """

    prompt: float
    decode: float
    completions: int
    cached: float
    sent: float
    head: float = 0.0
    read: float = 0.0
    judged: int = 1


def costs(
    k: int,
    measured: Sequence[Measured],
    model: ModelInfo,
    pricing: Pricing,
    judging: JudgedBy | None,
) -> dict[str, float | None]:
    """Means per problem of what k samples, or a search, cost.

    Tests that choose among the samples are charged whole, at every k.
    """
    drawn = [m for m in measured if _has_tokens(m)]
    if not drawn or any(_is_uncounted(m) for m in measured):
        return dict.fromkeys(COSTS)
    spent = [s for m in drawn for s in _spent(k, m)]
    count = len(drawn)
    decode = math.fsum(s.decode for s in spent) / count
    prompt = math.fsum(s.prompt for s in spent) / count
    read = math.fsum(s.head + s.read for s in spent) / count
    share = judging.share if judging else 0.0
    work = _flops(spent, model, judging)
    lengths = sorted(t for m in drawn for t in m.tokens)
    seconds = dollars = None
    if pricing.seconds_per_token is not None:
        seconds = (decode + share * read) * pricing.seconds_per_token
        if pricing.usd_per_second is not None:
            dollars = seconds * pricing.usd_per_second
    # how many of a reward's tokens it read, and how many it wrote, is not stored
    billed = judging is not None and judging.model is not None and judging.model.engine == "openai"
    if pricing.tokens is not None and not (billed and read):
        sent = math.fsum(s.sent for s in spent) / count
        dollars = sent * pricing.tokens.prompt + decode * pricing.tokens.decoded
    return {
        "decode_tokens": decode,
        "prompt_tokens": prompt,
        "cached_tokens": math.fsum(s.cached for s in spent) / count,
        "reward_tokens": read,
        "policy_tokens": decode + prompt + share * read,
        "flops": None if work is None else work / count,
        "seconds": seconds,
        "dollars": dollars,
        "tokens_mean": sum(lengths) / len(lengths) if lengths else None,
        "tokens_p50": _quantile(lengths, 0.5) if lengths else None,
        "tokens_p95": _quantile(lengths, 0.95) if lengths else None,
    }


def policy_tokens(k: int, m: Measured) -> float | None:
    """Policy-equivalent tokens of one problem at k samples, or of its search.

    None where nothing is known to have been drawn, as with recorded answers.
    """
    if not _has_tokens(m):
        return None
    share = m.judging.share if m.judging else 0.0
    return math.fsum(s.prompt + s.decode + share * (s.head + s.read) for s in _spent(k, m))


def _has_tokens(m: Measured) -> bool:
    return bool(m.search or any(m.tokens) or (m.truncated and m.prompt_tokens))


def _is_uncounted(m: Measured) -> bool:
    """Whether tokens of a completion are unknown: none is written without a token."""
    return m.search is None and not m.cut and not all(m.tokens)


def _spent(k: int, m: Measured) -> list[_Spent]:
    if m.search is not None:
        return [_of_search(m, m.search)]
    size = len(m.tokens)
    charged = min(k, m.samples)
    found = [
        _Spent(
            m.prompt_tokens,
            charged * sum(m.tokens) / size,
            charged,
            (charged - 1) * m.prompt_tokens,
            charged * m.prompt_tokens,
            m.head,
            charged * sum(m.read) / size,
            charged,
        )
    ]
    if m.tests:
        cached = (len(m.tests) - 1) * m.tests_prompt_tokens
        sent = len(m.tests) * m.tests_prompt_tokens
        found.append(_Spent(m.tests_prompt_tokens, sum(m.tests), len(m.tests), cached, sent))
    return found


def _of_search(m: Measured, search: StoredSearch) -> _Spent:
    """A tree: as many continuations as its tokens make paths of the solutions' mean length.

    An engine that sees the end of a step late has decoded more than the tree holds. How much
    depends on its timing; the whole is what the tree took.
    """
    decode = min(search.usage.decode_tokens, search.written)
    mean = sum(m.tokens) / len(m.tokens) if any(m.tokens) else decode
    paths = max(1, round(decode / mean)) if mean else 1
    return _Spent(
        search.written - decode,
        decode,
        paths,
        search.usage.cached_tokens,
        search.usage.prompt_tokens + search.usage.cached_tokens,
        0.0,
        search.judged,
        paths,
    )


def _flops(spent: Sequence[_Spent], model: ModelInfo, judging: JudgedBy | None) -> float | None:
    """Of the policy and, where it read anything, of the reward; None where a size is unknown."""
    policy = _forward(model, [(s.prompt, s.decode, s.completions) for s in spent])
    read = [(s.head, s.read, max(1, s.judged)) for s in spent if s.head + s.read]
    if policy is None or not read or judging is None or judging.share == 0:
        return policy
    reward = _forward(judging.model, read) if judging.model else None
    return None if reward is None else policy + reward


def _forward(model: ModelInfo, passes: Sequence[tuple[float, float, int]]) -> float | None:
    if not (model.active_parameters and model.layers and model.hidden_size):
        return None
    return math.fsum(
        flops(
            model.active_parameters,
            prompt,
            decode,
            layers=model.layers,
            hidden=model.hidden_size,
            completions=completions,
        )
        for prompt, decode, completions in passes
    )


def _quantile(ordered: Sequence[int], q: float) -> float:
    """Linear interpolation between order statistics."""
    at = q * (len(ordered) - 1)
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))
