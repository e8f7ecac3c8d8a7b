"""What a call is answered with, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reasonbench.grading.extract import visible
from reasonbench.text.thinking import CLOSED, thinking
from reasonbench.types import Usage


@dataclass(frozen=True, slots=True)
class Shown:
    """One candidate, as clients see it.

    Attributes:
        text: the whole response, thinking included.
        answer: extracted from it, or None.
        answer_class: equal answers have equal numbers; −1 without an answer.
        score, weight: what the strategy chose by; None where it chose by neither.
        tokens: that it has; None where nobody counted them.
        finish: "stop", "length" or "aborted".
    """

    text: str
    answer: str | None
    answer_class: int
    score: float | None
    weight: float | None
    tokens: int | None
    finish: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a strategy answers.

    Attributes:
        content: without thinking and what ended it.
        reasoning: the thinking, or None.
        finish: "stop" or "length".
        answer_tokens: of the chosen candidate; None where nobody counted them.
        prompt_tokens: of the policy, every prefix that requests share once.
        usage: what was computed.
        policy_tokens: policy-equivalent tokens.
        candidates: in the order of their index.
        chosen: which of them it is; None where it is an unfinished path.
        seconds: wall-clock.
        uncounted: tokens of a completion are unknown, and not in any sum.
    """

    content: str
    reasoning: str | None
    finish: str
    answer_tokens: int | None
    prompt_tokens: int
    usage: Usage
    policy_tokens: float
    candidates: tuple[Shown, ...]
    chosen: int | None
    seconds: float
    uncounted: bool = False


def cut(text: str, stop: Sequence[str]) -> str:
    """The text before the first of the client's stop strings, which OpenAI's answers leave out."""
    found = [at for s in stop if (at := text.find(s)) >= 0]
    return text[: min(found)] if found else text


def parted(text: str, *, thinking_open: bool = False) -> tuple[str, str | None]:
    """A response as what it says and what it thinks; None where it has no thinking."""
    if not thinking_open and "<think>" not in text and CLOSED not in text:
        return text, None
    reasoning = thinking(text, thinking_open=thinking_open)
    return visible(text, thinking_open=thinking_open).lstrip("\n"), reasoning


def shown(candidates: Sequence[Shown], chosen: int | None) -> list[dict[str, Any]]:
    """Candidates as JSON."""
    return [
        {
            "index": index,
            "chosen": index == chosen,
            "text": one.text,
            "answer": one.answer,
            "answer_class": one.answer_class,
            "score": one.score,
            "weight": one.weight,
            "tokens": one.tokens,
            "finish_reason": one.finish,
        }
        for index, one in enumerate(candidates)
    ]


def usage_json(answer: Answer) -> dict[str, Any]:
    """OpenAI's fields, and what the strategy took beside them; what is unknown is null."""
    used = answer.usage
    known = not answer.uncounted
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": used.decode_tokens if known else None,
        "total_tokens": answer.prompt_tokens + used.decode_tokens if known else None,
        "answer_tokens": answer.answer_tokens,
        "reward_tokens": used.reward_tokens,
        "reward_cached_tokens": used.reward_cached_tokens,
        "cached_tokens": used.cached_tokens,
        "policy_tokens": answer.policy_tokens if known else None,
        "requests": used.requests,
        "seconds": round(answer.seconds, 6),
    }
