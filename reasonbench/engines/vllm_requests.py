"""From our sampling parameters to vLLM's, and from vLLM's result to text and log-probabilities."""

from __future__ import annotations

import copy
import dataclasses
from functools import lru_cache
from typing import Any, NamedTuple

from reasonbench.engines.columns import CERTAINTY, CONFIDENCE, KEY, RAW
from reasonbench.engines.ending import Ending
from reasonbench.types import Finish, SamplingParams, Usage


class Scores(NamedTuple):
    """What the log-probability columns of a request say; see `Completion` for each."""

    mean_logprob: float | None = None
    logprobs: tuple[float, ...] | None = None
    confidences: tuple[float, ...] | None = None
    self_certainty: float | None = None


def request_params(params: SamplingParams, *, streamed: bool = False) -> Any:
    """vLLM's `SamplingParams` for one request.

    Args:
        streamed: results come as tokens do, each with what is new; otherwise one at the end.
    """
    request = copy.copy(_template(dataclasses.replace(params, seed=0), streamed))
    request.seed = params.seed
    return request


@lru_cache(maxsize=64)
def _template(params: SamplingParams, streamed: bool) -> Any:
    """What requests that differ in nothing but their seed have in common; never changed."""
    from vllm import SamplingParams as VllmParams
    from vllm.sampling_params import RequestOutputKind

    wanted: dict[str, Any] = {}
    if params.logprobs == "processed":
        wanted["processed"] = True
    if params.self_certainty:
        wanted["certainty"] = True
    if params.top_logprobs:
        wanted["top"] = params.top_logprobs
    return VllmParams(
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        min_p=params.min_p,
        max_tokens=params.max_tokens,
        stop=list(params.stop),
        seed=0,
        logprobs=_last_column(params),
        flat_logprobs=True,
        # without stop strings the text is decoded once, at the end, by us
        detokenize=bool(params.stop),
        include_stop_str_in_output=True,
        skip_special_tokens=True,
        output_kind=RequestOutputKind.DELTA if streamed else RequestOutputKind.FINAL_ONLY,
        extra_args={KEY: wanted} if wanted else None,
        skip_clone=True,
    )


@lru_cache(maxsize=1)
def score_params() -> Any:
    """vLLM's parameters of a request that only reads: log-probabilities of its prompt's tokens.

    vLLM computes them without reading the prefix cache, which holds no log-probabilities.
    """
    from vllm import SamplingParams as VllmParams
    from vllm.sampling_params import RequestOutputKind

    return VllmParams(
        temperature=0.0,
        max_tokens=1,
        prompt_logprobs=0,
        flat_logprobs=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _last_column(params: SamplingParams) -> int | None:
    """The last column that the request reads, which vLLM takes as `logprobs`."""
    if params.top_logprobs:
        return CONFIDENCE
    if params.self_certainty:
        return CERTAINTY
    if params.logprobs == "processed":
        return RAW
    return None if params.logprobs is None else 0


class Collected:
    """What a request has given so far, its results put together.

    Attributes:
        tokens: all that were generated.
        numbers: of the log-probability columns, `width` a token.
        text: as vLLM decoded it; empty where it was not asked to.
        cached: prompt tokens read from the prefix cache.
        finish_reason, stop_reason: vLLM's, once the request is finished.
    """

    def __init__(self, params: SamplingParams) -> None:
        last = _last_column(params)
        self.params = params
        self.width = 0 if last is None else last + 1
        self.tokens: list[int] = []
        self.numbers: list[float] = []
        self.text = ""
        self.cached = 0
        self.finish_reason: str | None = None
        self.stop_reason: str | None = None

    def add(self, result: Any) -> None:
        """One result: of the whole request, or what is new since the last one."""
        output = result.outputs[0]
        self.tokens += output.token_ids
        if self.width and output.logprobs is not None:
            self.numbers += output.logprobs.logprobs[: len(output.token_ids) * self.width]
        self.text += output.text
        self.cached = result.num_cached_tokens or self.cached
        self.finish_reason = output.finish_reason
        self.stop_reason = output.stop_reason if isinstance(output.stop_reason, str) else None

    def confidence(self, index: int) -> float | None:
        """Of a token, where the request asked for it."""
        if not self.params.top_logprobs or not self.numbers:
            return None
        return -self.numbers[index * self.width + CONFIDENCE]

    def scores(self, tokens: int) -> Scores:
        """What the columns of the first tokens say."""
        width, params = self.width, self.params
        if not width or not self.numbers or tokens == 0:
            return Scores()
        numbers = self.numbers[: tokens * width]
        raw = numbers[RAW::width] if params.logprobs == "processed" else numbers[::width]
        certainty = sum(numbers[CERTAINTY::width]) / tokens if params.self_certainty else None
        confidences = tuple(-x for x in numbers[CONFIDENCE::width]) if params.top_logprobs else None
        return Scores(
            mean_logprob=sum(raw) / tokens if params.logprobs else None,
            logprobs=tuple(numbers[::width]) if params.logprobs else None,
            confidences=confidences,
            self_certainty=certainty,
        )


FINISH: dict[str | None, Finish] = {"stop": "stop", "length": "length", "abort": "aborted"}


def ends_anyway(end: Ending, found: Collected) -> bool:
    """Whether the completion ends by itself with the token at which it would be ended.

    A pattern goes before a limit, and everything goes before a watch.
    """
    if end.at != len(found.tokens) or found.finish_reason == "abort":
        return False
    return found.finish_reason == "stop" or end.finish == "aborted"


def needs_scores(params: SamplingParams) -> bool:
    """Whether the request reads columns that only our own sampler fills."""
    return bool(params.self_certainty or params.top_logprobs or params.logprobs == "processed")


def unfinished(llm: Any) -> Usage:
    """What the requests that are running have used by now, those not yet read through left out.

    Args:
        llm: vLLM's `AsyncLLM`, whose results say it only at a request's end.
    """
    used = Usage()
    for state in llm.output_processor.request_states.values():
        if state.detokenizer is not None and not state.is_prefilling:
            cached = state.num_cached_tokens
            decoded = state.detokenizer.num_output_tokens()
            used += Usage(state.prompt_len - cached, cached, decoded, requests=1)
    return used
