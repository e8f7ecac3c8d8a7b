"""Prompts: a conversation becomes text by the model's template and is tokenised once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.types import Message, Prompt

OPENED, CLOSED = "<think>", "</think>"


class Renderer:
    """Renders conversations for one tokenizer.

    Args:
        tokenizer: of transformers.
        model: what it is called in errors.
    """

    def __init__(self, tokenizer: Any, model: str) -> None:
        self.tokenizer = tokenizer
        self.model = model

    @property
    def has_template(self) -> bool:
        return bool(self.tokenizer.chat_template)

    def render(
        self, messages: Sequence[Message], *, thinking: bool | None, chat: bool | None
    ) -> Prompt:
        """See `Engine.render`."""
        if not messages:
            raise UsageError("a prompt needs at least one message.")
        if chat is None:
            chat = self.has_template
        if chat and not self.has_template:
            raise UsageError(
                f"{self.model} brings no chat template: use it as a base model (without chat)."
            )
        text = self._template(messages, thinking) if chat else plain_text(messages)
        return Prompt(self.encode(text, special=not chat), text, thinking_open(text, messages))

    def encode(self, text: str, *, special: bool) -> tuple[int, ...]:
        """The tokens of a text.

        Args:
            special: let the tokenizer put its own tokens (BOS) before the text. A template has
                written them already; an end-of-sequence token is never added behind a prompt.
        """
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=special)
        end = self.tokenizer.eos_token_id
        if special and ids and ids[-1] == end and not text.endswith(self.tokenizer.eos_token):
            ids.pop()
        return tuple(ids)

    def _template(self, messages: Sequence[Message], thinking: bool | None) -> str:
        from jinja2 import TemplateError

        continued = messages[-1].role == "assistant"
        options: dict[str, Any] = {} if thinking is None else {"enable_thinking": thinking}
        try:
            rendered: str = self.tokenizer.apply_chat_template(
                [message._asdict() for message in messages],
                tokenize=False,
                add_generation_prompt=not continued,
                continue_final_message=continued,
                **options,
            )
        except (TemplateError, ValueError) as error:
            roles = ", ".join(message.role for message in messages)
            raise UsageError(
                f"the chat template of {self.model} refuses this conversation ({roles}): {error}"
            ) from error
        return rendered


def plain_text(messages: Sequence[Message]) -> str:
    """A conversation for a base model.

    One question stays as it is. Turns before it (few-shot exemplars) become "Question: …" and
    "Answer: …" blocks, and the prompt ends after "Answer:"; a last message of the assistant is the
    beginning of that answer. What a system message says comes first.
    """
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    turns = [m for m in messages if m.role != "system"]
    if [m.role for m in turns] == ["user"]:
        body = turns[0].content
    elif [m.role for m in turns] == ["user", "assistant"]:
        body = turns[0].content + turns[1].content
    else:
        body = ""
        for turn in turns:
            if turn.role == "user":
                body += f"\n\nQuestion: {turn.content}\nAnswer:"
            else:
                body += f" {turn.content}"
        body = body.removeprefix("\n\n")
    return "\n\n".join(part for part in (system, body) if part)


def thinking_open(text: str, messages: Sequence[Message]) -> bool:
    """Whether the prompt ends inside a thinking span.

    Only what follows the last message that is not the assistant's counts: a question may speak of
    `<think>` without opening it.
    """
    asked = next((m.content for m in reversed(messages) if m.role != "assistant"), "")
    tail = text[text.rfind(asked) + len(asked) :] if asked in text else text
    return tail.rfind(OPENED) > tail.rfind(CLOSED)
