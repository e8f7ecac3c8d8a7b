"""Rows in a form of which the student's chat template loses nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reasonbench.builtin.tokenizer import build_tokenizer
from reasonbench.distill.draft import Asked
from reasonbench.distill.rows import RowMaker
from reasonbench.errors import UsageError
from reasonbench.trainers.data import Encoder
from reasonbench.types import Message
from tests.distill.material import draft

THOUGHT = "<think>\n1 and 1\n</think>\n\nso \\boxed{2}"

# As DeepSeek-R1's: the thinking of a turn is cut off, and the generation prompt opens a new one.
OPENS = (
    "{%- for message in messages %}{%- if message['role'] == 'assistant' %}"
    "{{- '<|im_start|>assistant\\n' + message['content'].split('</think>')[-1] + '<|im_end|>' }}"
    "{%- else %}{{- '<|im_start|>user\\n' + message['content'] + '<|im_end|>' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}"
    "{%- endif %}"
)
# As Qwen3's: an empty span is put before a turn where thinking is switched off.
SWITCHES = (
    "{%- for message in messages %}{{- '<|im_start|>' + message['role'] + '\\n' }}"
    "{{- message['content'] + '<|im_end|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and not enable_thinking %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}"
)


def student(template: str | None = None) -> Any:
    tokenizer = build_tokenizer()
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer


def texts(tokenizer: Any, row: dict[str, Any]) -> tuple[str, str]:
    """What comes before the trained tokens, and what these say."""
    encoded = Encoder(tokenizer)(row)
    pairs = list(zip(encoded.ids, encoded.trained, strict=True))
    return (
        str(tokenizer.decode([i for i, trained in pairs if not trained])),
        str(tokenizer.decode([i for i, trained in pairs if trained])),
    )


@pytest.mark.parametrize("template", [None, OPENS, SWITCHES])
@pytest.mark.parametrize("response", [THOUGHT, "so \\boxed{2}"])
def test_the_whole_response_is_trained_on_under_any_template(
    template: str | None, response: str
) -> None:
    tokenizer = student(template)
    row = RowMaker(student=tokenizer)(draft(response))
    head, trained = texts(tokenizer, row)
    opened = response.removeprefix("<think>\n") if template is OPENS else response
    assert trained == opened + "<|im_end|>"
    assert head.endswith("<think>\n" if template is OPENS else "<|im_start|>assistant\n")


def test_a_template_that_cuts_the_thinking_off_gets_a_prompt_and_a_completion() -> None:
    row = RowMaker(student=student(OPENS))(draft(THOUGHT))
    assert row["completion"] == THOUGHT.removeprefix("<think>\n")
    assert row["enable_thinking"] is True
    assert "messages" not in row


def test_without_a_student_rows_are_messages() -> None:
    row = RowMaker()(draft(THOUGHT))
    assert row["messages"][-1] == {"role": "assistant", "content": THOUGHT}
    assert row["source"]["answer"] == "2"


@pytest.mark.parametrize(
    ("ask", "content"), [("step", "What is 1 + 1?\n\nBox it."), ("bare", "What is 1 + 1?")]
)
def test_the_prompt_is_the_question_with_or_without_its_request(ask: Any, content: str) -> None:
    assert RowMaker(ask)(draft("2"))["messages"][0]["content"] == content


def test_the_prompt_may_be_the_teachers_own() -> None:
    turns = (Message("system", "Be brief."), Message("user", "1 + 1?"))
    asked = replace(draft("2"), asked=Asked(turns))
    row = RowMaker("sampled")(asked)
    assert [m["content"] for m in row["messages"]] == ["Be brief.", "1 + 1?", "2"]
    plain = RowMaker("sampled")(replace(asked, asked=Asked(turns, "Q: 1 + 1?\nA:")))
    assert (plain["prompt"], plain["completion"]) == ("Q: 1 + 1?\nA:", " 2")
    with pytest.raises(UsageError, match="stores no prompts"):
        RowMaker("sampled")(draft("2"))
