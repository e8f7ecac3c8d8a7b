from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.text import prose, thinking
from reasonbench.text.prose import GAP


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("so $x^2$ is", f"so {GAP} is"),
        ("so $$x$$ is", f"so {GAP} is"),
        (r"so \(x\) and \[y\]", f"so {GAP} and {GAP}"),
        (r"\begin{align*} a &= b \end{align*} done", f"{GAP} done"),
        ("use `sum(x)` here", f"use {GAP} here"),
        ("a\n```python\nprint(1)\n```\nb", f"a\n{GAP}\nb"),
        ("a\n```python\nprint(1)", f"a\n{GAP}"),
        ("<think>a</think>b", f"{GAP}a{GAP}b"),
        (r"\boxed{red}", f"{GAP}{{red}}"),
        ("see https://example.org/a?b=c now", f"see {GAP} now"),
    ],
)
def test_what_is_no_prose_is_left_out(text: str, left: str) -> None:
    assert prose(text) == left


@pytest.mark.parametrize(
    "text",
    ["it costs $5 and then $10 more", "a `tick that never closes", r"\[ never closed", "3 < 4 > 2"],
)
def test_what_never_closes_and_prices_stay(text: str) -> None:
    assert prose(text) == text


@given(st.text("a$`\\()[]<>{}b \n3", max_size=60))
def test_prose_keeps_the_order_of_what_it_keeps(text: str) -> None:
    rest = iter(text)
    assert all(any(c == d for d in rest) for c in prose(text) if c != GAP)


@pytest.mark.parametrize(
    ("text", "opened", "thought"),
    [
        ("<think>a</think>b", False, "a"),
        ("a</think>b", True, "a"),
        ("a</think>b", False, "a"),
        ("a", True, "a"),
        ("<think>a", False, "a"),
        ("no tags at all", False, "no tags at all"),
        ("a</think>b</think>c", True, "a</think>b"),
        ("hm <think>a</think>", False, "a"),
    ],
)
def test_thinking_is_what_stands_before_the_last_closing_tag(
    text: str, opened: bool, thought: str
) -> None:
    assert thinking(text, thinking_open=opened) == thought
