"""What a person can read."""

from __future__ import annotations

import pytest

from reasonbench.distill.config import Readable
from reasonbench.distill.readable import unreadable
from reasonbench.distill.response import Parts, parts, whole

GOOD = "<think>\nOne and one\n\nis two.\n</think>\n\nAdding both gives two: \\boxed{2}"


@pytest.mark.parametrize(
    ("response", "kind", "reason"),
    [
        (GOOD, "math", None),
        ("Adding both gives \\boxed{2}", "math", "no thinking span"),
        (GOOD.replace("</think>", ""), "math", "broken thinking span"),
        (GOOD + "\n</think>", "math", "broken thinking span"),
        ("<think>\n\n</think>\n\nIt is clearly two: 2", "math", "broken thinking span"),
        (GOOD.replace("is two.", "x" * 2001), "math", "overlong paragraph"),
        (GOOD.replace("is two.", "```python\n1 + 1\n```"), "math", "stray code block"),
        (GOOD.replace("is two.", "```python\n1 + 1\n```"), "code", None),
        (GOOD.replace("is two.", "```python\n1 + 1"), "code", "unclosed code block"),
        ("<think>\nOne and one\n</think>\n\n\\boxed{2}", "math", "no closing summary"),
        ("<think>\nOne and one\n</think>", "math", "no closing summary"),
        ("<think>\n하나 더하기 하나\n</think>\n\n둘을 더하면 답은 \\boxed{2}", "math", None),
        (
            "<think>\nf\n</think>\n\n```python\ndef the_sum(): ...\n```",
            "code",
            "no closing summary",
        ),
    ],
)
def test_reasons(response: str, kind: str, reason: str | None) -> None:
    assert unreadable(response, "2", kind, Readable()) == reason


def test_without_thinking_the_last_of_several_paragraphs_sums_up() -> None:
    rules = Readable(thinking=False)
    assert unreadable("1 + 1 = 2\n\nSo the answer is \\boxed{2}", "2", "math", rules) is None
    assert unreadable("So the answer is \\boxed{2}", "2", "math", rules) == "no closing summary"
    wrong_end = "So it is \\boxed{2}\n\nThat was very easy indeed"
    assert unreadable(wrong_end, "2", "math", rules) == "no closing summary"


def test_every_rule_can_be_switched_off() -> None:
    rules = Readable(thinking=False, summary=False, paragraph=0, code=True)
    assert unreadable("```\n" + "x" * 9999 + "\n```", "2", "math", rules) is None


def test_a_thinking_span_that_the_template_opened_is_opened_in_the_row() -> None:
    assert whole("I add.</think>\n2 ", thinking_open=True) == "<think>\nI add.</think>\n2"
    assert whole("<think>I add.</think>2", thinking_open=True) == "<think>I add.</think>2"


def test_a_stop_string_is_cut_off_unless_it_closes_the_answer() -> None:
    assert whole("2\nQuestion:", thinking_open=False, stop_reason="\nQuestion:") == "2"
    said = "<answer>2</answer>"
    assert whole(said, thinking_open=False, stop_reason="</answer>") == said


def test_parts_are_told_only_where_there_is_one_span_at_the_beginning() -> None:
    assert parts("<think>a</think> b") == Parts("a", "b")
    assert parts("a</think>b") == Parts("a", "b")
    assert parts(" b ") == Parts(None, "b")
    assert parts("b <think>a</think>") is None
    assert parts("<think>a<think>b</think>") is None
