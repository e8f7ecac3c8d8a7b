from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.trainers.rules.reflection import reflections
from reasonbench.trainers.rules.repetition import repeated
from reasonbench.types import Completion
from tests.trainers.rules.cases import completion, value


@pytest.mark.parametrize(
    ("ids", "n", "share"),
    [
        ([1, 2, 3, 4], 2, 0.0),
        ([5, 5, 5, 5, 5], 2, 0.75),
        ([1, 2, 1, 2, 1, 2], 2, 0.6),
        ([1, 2, 3], 4, 0.0),
        ([], 1, 0.0),
        ([7, 7], 1, 0.5),
    ],
)
def test_the_share_of_ngrams_that_came_before(ids: list[int], n: int, share: float) -> None:
    assert repeated(ids, n) == pytest.approx(share)


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 5))
def test_it_is_one_minus_distinct_over_all(ids: list[int], n: int) -> None:
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    expected = 1 - len(set(grams)) / len(grams) if grams else 0.0
    assert repeated(ids, n) == pytest.approx(expected)


def test_the_rule_is_a_penalty_of_tokens() -> None:
    assert value("repetition:1,n=2", Completion((5,) * 5, "aaaaa", "stop")) == -0.75
    assert value("repetition", completion("nothing twice")) == 0.0


def test_text_without_tokens_is_measured_by_characters() -> None:
    assert value("repetition:1,n=2", Completion((), "aaaaa", "stop")) == -0.75


@pytest.mark.timeout(60)
def test_a_long_repetition_takes_linear_time() -> None:
    share = value("repetition", Completion((9,) * 200_000, "a", "stop"))
    assert share == pytest.approx(-1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Wait, let me check this again. Hmm, that is wrong.", 4),
        ("Let me think step by step. We wait for the awaited waiter.", 1),
        ("Let me double-check. Alternatively, let's recompute it.", 3),
        ("等等，这里不对。让我重新计算一下。", 3),
        ("잠깐, 다시 확인해 보자. 실수를 했다.", 3),
        ("The answer is four.", 0),
        ("", 0),
    ],
)
def test_reflection_words_are_counted(text: str, count: int) -> None:
    assert reflections(text) == count
    assert value("reflection", text) == count


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", ["wait ", "let me ", "h", "m", "hm", "i ", "\x00", "다시 ", "我"])
def test_hostile_text_is_counted_in_linear_time(piece: str) -> None:
    assert reflections(piece * (150_000 // len(piece))) >= 0
