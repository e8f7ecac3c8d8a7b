"""Preferences as rows: read as they stand, their form told by their fields.

One row is one JSON object in one of these forms:

- `prompt, response_a, response_b, preference`: the better one is "A" or "B".
- `prompt, chosen, rejected` (+ `chosen_length, rejected_length` in tokens; + `sft_target`, a text
  that the supervised term learns instead of `chosen`).
- `prompt, response, label`: "good" or "bad" (or true or false); a prompt may have several rows.
- `prompt, responses, ranking`: the rank of each response, 1 for the best.
- `prompt, response, score`: a grade from 0 to a maximum that the trainer is told.

A prompt is a text, or a conversation (a list of `role` and `content`). A response is a text, or a
conversation that ends with an assistant's turn and holds nothing else but the prompt. Where a
prompt opens the model's thinking, `enable_thinking` is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.runs.rows import kind, read_rows
from reasonbench.types import Message

Asked = str | tuple[Message, ...]
"""A prompt: text, or a conversation."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A better and a worse response.

    Attributes:
        prompt: what both answer.
        chosen, rejected: the better one, the worse one.
        chosen_length, rejected_length: their tokens, where the row says so.
        sft_target: what the supervised term learns; None for `chosen`.
        thinking: the prompt opens the model's thinking.
    """

    prompt: Asked
    chosen: str
    rejected: str
    chosen_length: int | None = None
    rejected_length: int | None = None
    sft_target: str | None = None
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """One response that is good or bad."""

    prompt: Asked
    response: str
    good: bool
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Ranked:
    """Several responses, each with its rank: 1 is the best, equal ranks are ties."""

    prompt: Asked
    responses: tuple[str, ...]
    ranking: tuple[int, ...]
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Graded:
    """One response with a grade, from 0 up."""

    prompt: Asked
    response: str
    score: float
    thinking: bool = False


Preference = Pair | Judged | Ranked | Graded

_FORMS = {
    ("response_a", "response_b", "preference"): "A or B",
    ("chosen", "rejected"): "a pair",
    ("responses", "ranking"): "a ranking",
    ("response", "label"): "good or bad",
    ("response", "score"): "a grade",
}


class RowError(ValueError):
    """What is wrong with one row; the reader adds the file and the line."""


def read_preferences(path: Path, *, ties: bool = False) -> Iterator[tuple[int, Preference]]:
    """The rows of a file (JSONL, a JSON array, or gzip of either), each with its line from 1.

    Args:
        path: the file; it is streamed.
        ties: rankings may give several responses one rank.

    Raises:
        UsageError: the file is missing or broken, or a row is malformed (with its line).
    """
    for line, values in read_rows(path):
        try:
            yield line, parse(values, ties=ties)
        except RowError as error:
            raise UsageError(f"{path}, line {line}: {error}.") from error


def is_preference(values: Mapping[str, Any]) -> bool:
    """Whether a row is meant as one, however malformed: it has a field of a form.

    `label` and `score` alone may be anything.
    """
    fields = {field for form in _FORMS for field in form} - {"label", "score"}
    return bool(values.keys() & fields)


def parse(values: Mapping[str, Any], *, ties: bool = False) -> Preference:
    """One row; see the module's first lines.

    Raises:
        RowError: it is malformed.
    """
    fields = _recognise(values)
    if "prompt" not in values:
        raise RowError("`prompt` is missing")
    prompt = _prompt(values["prompt"])
    thinking = values.get("enable_thinking", False)
    if not isinstance(thinking, bool):
        raise RowError(f"`enable_thinking` is {kind(thinking)}, not true or false")
    read = _READERS[fields]
    return read(values, prompt, thinking, ties)


def _recognise(values: Mapping[str, Any]) -> tuple[str, ...]:
    whole = [fields for fields in _FORMS if values.keys() >= set(fields)]
    if len(whole) == 1:
        return whole[0]
    if whole:
        both = " and ".join(f"`{', '.join(fields)}`" for fields in whole)
        raise RowError(f"it has the fields of two forms, {both}: leave one out")
    near = max(_FORMS, key=lambda fields: len(values.keys() & set(fields)) / len(fields))
    if values.keys() & set(near):
        missing = ", ".join(f"`{f}`" for f in near if f not in values)
        raise RowError(f"{missing} is missing ({_FORMS[near]} needs prompt, {', '.join(near)})")
    forms = "; ".join(", ".join(("prompt", *fields)) for fields in _FORMS)
    raise RowError(f"not a preference: a row has one of these sets of fields: {forms}")


def _a_or_b(values: Mapping[str, Any], prompt: Asked, thinking: bool, ties: bool) -> Pair:
    first = _response(values, "response_a", prompt)
    second = _response(values, "response_b", prompt)
    preferred = values["preference"]
    said = preferred.strip().upper() if isinstance(preferred, str) else preferred
    if said in ("TIE", "EQUAL", "SAME", "AB", "A=B", "", None):
        raise RowError(
            f"`preference` is {preferred!r}: a tie prefers neither, so leave the row out"
        )
    if said not in ("A", "B"):
        raise RowError(f'`preference` is {preferred!r}, not "A" or "B"')
    chosen, rejected = (first, second) if said == "A" else (second, first)
    return _pair(values, prompt, chosen, rejected, thinking)


def _chosen(values: Mapping[str, Any], prompt: Asked, thinking: bool, ties: bool) -> Pair:
    chosen, rejected = (_response(values, field, prompt) for field in ("chosen", "rejected"))
    return _pair(values, prompt, chosen, rejected, thinking)


def _pair(
    values: Mapping[str, Any], prompt: Asked, chosen: str, rejected: str, thinking: bool
) -> Pair:
    if chosen == rejected:
        raise RowError("both responses are the same, so neither is better: leave the row out")
    target = None
    if values.get("sft_target") is not None:
        target = _response(values, "sft_target", prompt)
    lengths = (_length(values, "chosen_length"), _length(values, "rejected_length"))
    return Pair(prompt, chosen, rejected, *lengths, target, thinking)


def _judged(values: Mapping[str, Any], prompt: Asked, thinking: bool, ties: bool) -> Judged:
    label = values["label"]
    said = label.strip().lower() if isinstance(label, str) else label
    if not (said in ("good", "bad") or isinstance(said, bool)):
        raise RowError(f'`label` is {label!r}, not "good" or "bad" (or true or false)')
    return Judged(prompt, _response(values, "response", prompt), said in ("good", True), thinking)


def _ranked(values: Mapping[str, Any], prompt: Asked, thinking: bool, ties: bool) -> Ranked:
    given, ranking = values["responses"], values["ranking"]
    for field, value in (("responses", given), ("ranking", ranking)):
        if not isinstance(value, list):
            raise RowError(f"`{field}` is {kind(value)}, not a list")
    if len(given) < 2:
        raise RowError("`responses` needs at least two")
    if len(given) != len(ranking):
        raise RowError(f"`responses` has {len(given)} entries and `ranking` {len(ranking)}")
    wrong = [r for r in ranking if isinstance(r, bool) or not isinstance(r, int)]
    if wrong:
        raise RowError(f"`ranking` holds {wrong[0]!r}, not whole numbers from 1")
    count = len(ranking)
    if sorted(ranking) != list(range(1, count + 1)):
        if min(ranking) != 1 or max(ranking) > count:
            raise RowError(f"`ranking` is {ranking}, not the ranks 1 to {count}")
        if not ties:
            raise RowError(
                f"`ranking` is {ranking}: two responses share a rank, or one is left out "
                "(set ties=true where ties are meant)"
            )
        if max(ranking) == 1:
            raise RowError("`ranking` puts all responses first: it prefers none")
    responses = tuple(_text(value, f"responses[{i}]", prompt) for i, value in enumerate(given))
    if len(set(responses)) < count:
        raise RowError("`responses` holds one text twice")
    return Ranked(prompt, responses, tuple(ranking), thinking)


def _graded(values: Mapping[str, Any], prompt: Asked, thinking: bool, ties: bool) -> Graded:
    score = values["score"]
    if isinstance(score, bool) or not isinstance(score, int | float) or not isfinite(score):
        raise RowError(f"`score` is {score!r}, not a number")
    if score < 0:
        raise RowError(f"`score` is {score}: grades begin at 0")
    return Graded(prompt, _response(values, "response", prompt), float(score), thinking)


_READERS: dict[tuple[str, ...], Callable[[Mapping[str, Any], Asked, bool, bool], Preference]] = (
    dict(zip(_FORMS, (_a_or_b, _chosen, _ranked, _judged, _graded), strict=True))
)


def _prompt(value: Any) -> Asked:
    if isinstance(value, str):
        if not value:
            raise RowError("`prompt` is empty")
        return value
    turns = _conversation(value, "prompt")
    if turns[-1].role == "assistant":
        raise RowError("`prompt` ends with the assistant's turn, which is a response")
    return turns


def _response(values: Mapping[str, Any], field: str, prompt: Asked) -> str:
    return _text(values[field], field, prompt)


def _text(value: Any, field: str, prompt: Asked) -> str:
    if not isinstance(value, str):
        turns = _conversation(value, field)
        asked = (Message("user", prompt),) if isinstance(prompt, str) else prompt
        if turns[-1].role != "assistant" or turns[:-1] not in ((), asked):
            raise RowError(
                f"`{field}` must end with the assistant's turn, with nothing before it or with "
                "exactly the prompt"
            )
        value = turns[-1].content
    if not value:
        raise RowError(f"`{field}` is empty")
    return str(value)


def _conversation(value: Any, field: str) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise RowError(f"`{field}` is {kind(value)}, not a text or a list of messages")
    turns = []
    for turn in value:
        role, content = (
            (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
        )
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            raise RowError(
                f"`{field}` holds something that is no message with a role (system, user, "
                "assistant) and a text as content"
            )
        turns.append(Message(role, content))
    if not turns:
        raise RowError(f"`{field}` is empty")
    return tuple(turns)


def _length(values: Mapping[str, Any], field: str) -> int | None:
    value = values.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RowError(f"`{field}` is {value!r}, not a number of tokens")
    return value
