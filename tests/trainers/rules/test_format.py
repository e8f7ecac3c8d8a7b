from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.trainers.rules.format import TAGS, lost_tags, well_formed
from tests.trainers.rules.cases import adding, value

GOOD = "<think>a</think><answer>4</answer>"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        " <think>\na\n</think>\n\n <answer> 4 </answer>\n",
        "<think></think><answer>4</answer>",
        "<think>1 < 2 and <b>bold</b></think><answer>4</answer>",
    ],
)
def test_the_form_is_one_of_each_in_order(text: str) -> None:
    assert value("format", text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "<think>a</think>4",
        "<think>a<answer>4</answer>",
        "a</think><answer>4</answer>",
        "<answer>4</answer><think>a</think>",
        "<think>a<answer>4</answer></think>",
        f"so {GOOD}",
        f"{GOOD} done",
        "<think>a</think> so <answer>4</answer>",
        "<think>a</think><answer> </answer>",
        GOOD + GOOD,
        "<think>a</think><think>b</think><answer>4</answer>",
        "<think>a</think><answer>4</answer></answer>",
        "<Think>a</Think><answer>4</answer>",
    ],
)
def test_anything_else_has_no_form(text: str) -> None:
    assert value("format", text) == 0.0


def test_a_template_that_opened_thinking_has_written_the_tag() -> None:
    rest = "a</think><answer>4</answer>"
    assert value("format", rest, prompt="…<think>\n", thinking_open=True) == 1.0
    assert value("format", GOOD, prompt="…<think>\n", thinking_open=True) == 0.0


def test_a_template_that_closed_thinking_has_written_both_tags() -> None:
    prompt = "…<think>\n\n</think>\n\n"
    assert value("format", "<answer>4</answer>", prompt=prompt) == 1.0
    assert value("format", "4", prompt=prompt) == 0.0


@given(st.lists(st.sampled_from([*TAGS, "a", " "]), max_size=9))
def test_only_the_four_tags_in_order_have_the_form(pieces: list[str]) -> None:
    text = "".join(pieces)
    if well_formed(text):
        assert [piece for piece in pieces if piece in TAGS] == list(TAGS)
        assert text.strip().startswith("<think>")
        assert text.strip().endswith("</answer>")


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (r"so \boxed{4}", 1.0),
        (r"<think>\boxed{4}</think> so 4", 0.0),
        (r"<think>a</think>\boxed{4}", 1.0),
        (r"\boxed{4", 0.0),
        (r"\boxed{}", 0.0),
        ("<think>a</think><answer>4</answer>", 0.0),
    ],
)
def test_a_box_after_the_reasoning(text: str, has: float) -> None:
    assert value("boxed", text) == has


def test_an_unclosed_thinking_span_holds_no_boxed_answer() -> None:
    assert value("boxed", r"\boxed{4}", prompt="<think>", thinking_open=True) == 0.0


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("```python\ndef add(a, b):\n    return 0\n```", 1.0),
        ("```python\ndef add(a, b:\n    return 0\n```", 0.0),
        ("I cannot.", 0.0),
    ],
)
def test_a_program_that_parses(text: str, has: float) -> None:
    assert value("program", text, asked=adding()) == has


def test_rules_of_programs_and_boxes_apply_to_their_kind() -> None:
    assert value("program", r"\boxed{4}") is None
    assert value("boxed", r"\boxed{4}", asked=adding()) is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", [*TAGS, "<", "<think", "\x00", "\\boxed{", "a", "```python\n"])
@pytest.mark.parametrize("rule", ["format", "boxed", "program"])
def test_hostile_text_takes_linear_time(rule: str, piece: str) -> None:
    text = piece * (100_000 // len(piece))
    asked = adding() if rule == "program" else None
    assert value(rule, text, asked=asked) in (0.0, 1.0)


def test_a_tokenizer_that_loses_the_tags_is_seen() -> None:
    transformers = pytest.importorskip("transformers")
    folder = Path(__file__).parents[3] / "reasonbench/builtin/models/policy"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert lost_tags(tokenizer) == ()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    assert lost_tags(tokenizer) == ("<think>", "</think>")
