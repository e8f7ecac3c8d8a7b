"""Training records to token ids, and which of them are trained on.

A record is a mapping in one of two forms:

- `{"messages": [{"role", "content"}, …]}`: a conversation; every assistant turn is trained on.
- `{"prompt": …, "completion": text}`: only the completion is trained on. A prompt that is a list
  of messages goes through the chat template (with `enable_thinking` of the record), a prompt that
  is text is taken as it is.

A trained part ends with the end-of-sequence token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reasonbench.errors import UsageError
from reasonbench.runs.rows import read_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Record = Mapping[str, Any]


class Encoded(NamedTuple):
    """Token ids of one example, and as many flags: True where the token is trained on."""

    ids: list[int]
    trained: list[bool]


class Span(NamedTuple):
    """A piece of the rendered text and whether it is trained on."""

    text: str
    trained: bool


class Encoder:
    """Encodes records with a tokenizer and its chat template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        if tokenizer.eos_token is None:
            raise UsageError("the tokenizer has no end-of-sequence token: set eos_token")
        self._eos: str = tokenizer.eos_token

    def __call__(self, record: Record) -> Encoded:
        """Token ids and flags of a record.

        Raises:
            UsageError: the record has neither form, or its prompt is a conversation and the
                tokenizer has no chat template.
        """
        ids: list[int] = []
        trained: list[bool] = []
        for span in self.spans(record):
            # Spans are encoded apart, as they meet at generation: prompt ids, then new ids.
            piece = self._tokenizer(span.text, add_special_tokens=False)["input_ids"]
            ids += piece
            trained += [span.trained] * len(piece)
        return Encoded(ids, trained)

    def spans(self, record: Record) -> list[Span]:
        """The record's text, cut where training begins and ends."""
        if "messages" in record:
            return self._conversation(list(record["messages"]))
        if "prompt" not in record or not isinstance(record.get("completion"), str):
            raise UsageError(
                "a training record needs `messages`, or `prompt` and a text `completion`; "
                f"this one has {', '.join(map(str, record)) or 'nothing'}"
            )
        prompt = record["prompt"]
        if isinstance(prompt, str):
            return [Span(prompt, False), Span(record["completion"] + self._eos, True)]
        head = self._render(prompt, True, enable_thinking=bool(record.get("enable_thinking")))
        return [Span(head, False), Span(record["completion"] + self._eos, True)]

    def _conversation(self, messages: list[dict[str, str]]) -> list[Span]:
        spans: list[Span] = []
        done = ""
        for index, message in enumerate(messages):
            if message.get("role") != "assistant":
                continue
            head = self._render(messages[:index], True)
            full = self._render(messages[: index + 1], False)
            if not (head.startswith(done) and full.startswith(head)):
                raise UsageError(
                    "the chat template rewrites earlier turns, so no turn can be trained on by "
                    "itself: give `prompt` and `completion` instead of `messages`"
                )
            answer = full[len(head) :]
            cut = answer.rfind(self._eos) + len(self._eos) if self._eos in answer else len(answer)
            spans += [Span(head[len(done) :], False), Span(answer[:cut], True)]
            done = head + answer[:cut]
        if not spans:
            raise UsageError("a training record's `messages` need at least one assistant turn")
        return spans

    def _render(self, messages: list[dict[str, str]], generate: bool, **options: bool) -> str:
        if self._tokenizer.chat_template is None:
            raise UsageError(
                "the tokenizer has no chat template: give prompts as text, or set chat_template"
            )
        return str(
            self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=generate, **options
            )
        )


def read_jsonl(path: Path) -> Iterator[Record]:
    """The records of a file, blank lines left out: JSONL, a JSON array, or gzip of either.

    Raises:
        UsageError: the file is missing, is no UTF-8 text, or a line is not a JSON object (with its
            number).
    """
    if not path.is_file():
        raise UsageError(f"there is no training file {path}")
    if path.stat().st_size:
        yield from (row.values for row in read_rows(path))
