"""The body of a call: read, checked, and refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, cast

from reasonbench.server.errors import ApiError
from reasonbench.types import Message

Grader = Literal["math", "integer", "choice"]
GRADERS: tuple[Grader, ...] = ("math", "integer", "choice")
"""How answers to questions without a benchmark are read and compared."""

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_IGNORED = frozenset(
    {
        "user", "metadata", "store", "service_tier", "parallel_tool_calls", "safety_identifier",
        "prompt_cache_key",
    }
)  # fmt: skip
"""Fields of OpenAI's that change no answer."""

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "audio": (),
    "prediction": (),
    "reasoning_effort": (),
    "verbosity": (),
    "web_search_options": (),
}
"""Fields of OpenAI's that are not served, with the values that ask for nothing."""

_INSTEAD = {
    "n": "the number of samples stands in the model's name (maj@8), and `candidates` shows them",
    "reasoning_effort": "the strategy is the effort: ask for another model (maj@16)",
}
_OWN = (
    "model", "messages", "stream", "stream_options", "temperature", "top_p", "top_k", "min_p",
    "max_tokens", "max_completion_tokens", "seed", "stop", "budget", "candidates", "grader",
    "thinking",
)  # fmt: skip
_MESSAGE = ("role", "content", "reasoning_content", "reasoning")
"""What a message may hold. Chat templates leave the thinking of earlier turns out, and so do we."""

_MOST = 2**53


@dataclass(frozen=True, slots=True)
class Ask:
    """One call, checked. None is what the client did not say.

    Attributes:
        model: the strategy, as the client spelled it.
        messages: the conversation; the last one is the user's.
        stream: answer in chunks.
        include_usage: end the stream with a chunk that holds the usage.
        temperature, top_p, top_k, min_p, max_tokens, stop: see `SamplingParams`.
        seed: of the run that this call is.
        budget: policy-equivalent tokens that the call may use.
        candidates: show what the answer was chosen from.
        grader: how answers are read and compared.
        thinking: as the chat template takes it.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    budget: int | None = None
    candidates: bool = False
    grader: Grader | None = None
    thinking: bool | None = None


def read(body: bytes) -> Ask:
    """The call that a body makes.

    Raises:
        ApiError: 400, with what is wrong with it.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(
            400, f"the body is no JSON: {_one_line(error)}.", code="invalid_json"
        ) from None
    if not isinstance(found, dict):
        raise ApiError(400, "the body must be a JSON object.", code="invalid_json")
    given = {name: value for name, value in found.items() if value is not None}
    _known(given)
    fields = _Fields(given)
    model = given.get("model")
    if not isinstance(model, str) or not model:
        raise _wrong("model", "must name a strategy, as maj@8")
    stream = fields.flag("stream") or False
    include_usage = _include_usage(given.get("stream_options", {}), stream=stream)
    grader = given.get("grader")
    if grader is not None and grader not in GRADERS:
        raise _wrong("grader", f"must be one of {', '.join(GRADERS)}")
    limits = [fields.integer(name, 1) for name in ("max_completion_tokens", "max_tokens")]
    return Ask(
        model=model,
        messages=_messages(given.get("messages")),
        stream=stream,
        include_usage=include_usage,
        temperature=fields.number("temperature", 0, 2),
        top_p=fields.number("top_p", 0, 1, above=True),
        top_k=fields.integer("top_k", 0),
        min_p=fields.number("min_p", 0, 1),
        max_tokens=next((limit for limit in limits if limit is not None), None),
        stop=_stop(given.get("stop", [])),
        seed=fields.integer("seed", -_MOST),
        budget=fields.integer("budget", 1),
        candidates=fields.flag("candidates") or False,
        grader=grader,
        thinking=fields.flag("thinking"),
    )


def _include_usage(options: Any, *, stream: bool) -> bool:
    """What `stream_options` say."""
    if not isinstance(options, dict):
        raise _wrong("stream_options", 'must be an object, as {"include_usage": true}')
    options = {name: value for name, value in options.items() if value is not None}
    if options and not stream:
        raise _wrong("stream_options", "is for streams: set `stream` too")
    wanted = options.pop("include_usage", False)
    # padding that hides how long chunks are; there is none
    if not isinstance(wanted, bool) or options.pop("include_obfuscation", False) is not False:
        raise _wrong("stream_options", 'must be an object, as {"include_usage": true}')
    if options:
        raise _wrong("stream_options", f"knows include_usage, and no {_short(min(options))}")
    return wanted


def _known(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name in _OWN or name in _IGNORED:
            continue
        if name not in _NEUTRAL:
            near = get_close_matches(name, [*_OWN, *_NEUTRAL], 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_OWN)}."
            raise ApiError(
                400, f"unknown field {name[:80]!r}; {hint}", param=name[:80],
                code="unknown_parameter",
            )  # fmt: skip
        if not any((value == neutral and type(value) is type(neutral)) or value == neutral == 0
                   for neutral in _NEUTRAL[name]):  # fmt: skip
            instead = f": {_INSTEAD[name]}" if name in _INSTEAD else ""
            raise ApiError(
                400, f"`{name}` = {_short(value)} is not served{instead}.", param=name,
                code="unsupported_value",
            )  # fmt: skip


class _Fields:
    """Numbers and flags of a body."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def flag(self, name: str) -> bool | None:
        value = self._given.get(name)
        if value is not None and not isinstance(value, bool):
            raise _wrong(name, f"must be true or false (got {_short(value)})")
        return value

    def integer(self, name: str, low: int) -> int | None:
        value = self._given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= _MOST:
            raise _wrong(name, f"must be a whole number of at least {low} (got {_short(value)})")
        return value

    def number(self, name: str, low: float, high: float, *, above: bool = False) -> float | None:
        value = self._given.get(name)
        if value is None:
            return None
        fine = isinstance(value, int | float) and not isinstance(value, bool)
        # comparing finds NaN and infinity out, and whole numbers that are too large for a float
        if not (fine and low <= value <= high) or (above and value == low):
            least = f"above {low:g}" if above else f"at least {low:g}"
            raise _wrong(name, f"must be {least} and at most {high:g} (got {_short(value)})")
        return float(value)


def _messages(given: Any) -> tuple[Message, ...]:
    if not isinstance(given, list) or not given:
        raise _wrong("messages", "must be a list of at least one message")
    found = []
    for index, one in enumerate(given):
        where = f"messages[{index}]"
        if not isinstance(one, dict):
            raise _wrong(where, "must be an object with `role` and `content`")
        role = one.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise _wrong(f"{where}.role", f"must be system, user or assistant (got {_short(role)})")
        for name, value in one.items():
            if name not in _MESSAGE and value not in (None, [], ""):
                raise _wrong(f"{where}.{name[:80]}", "is not served: write it into `content`")
        found.append(
            Message(
                cast(Literal["system", "user", "assistant"], _ROLES[role]),
                _content(f"{where}.content", one.get("content")),
            )
        )
    if found[-1].role != "user":
        raise _wrong("messages", "must end with a message of the user")
    return tuple(found)


def _content(where: str, content: Any) -> str:
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = []
    for part in parts:
        if not isinstance(part, dict) or part.get("type") != "text":
            raise _wrong(where, "must be text: images, sounds and files are not served")
        if not isinstance(text := part.get("text"), str):
            raise _wrong(where, f"must be text (got {_short(text)})")
        texts.append(text)
    whole = "\n".join(texts)
    try:
        whole.encode()
    except UnicodeEncodeError:
        raise _wrong(where, "holds a lone surrogate, which is no character") from None
    return whole


def _stop(given: Any) -> tuple[str, ...]:
    stop = [given] if isinstance(given, str) else given
    fine = isinstance(stop, list) and all(isinstance(s, str) and s for s in stop)
    if not fine or len(stop) > 4:
        raise _wrong("stop", "must be a text or a list of at most four, none of them empty")
    return tuple(stop)


def _wrong(param: str, what: str) -> ApiError:
    return ApiError(400, f"`{param}` {what}.", param=param, code="invalid_value")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
