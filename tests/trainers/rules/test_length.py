from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.trainers.rules.length import cosine, overlong
from reasonbench.types import Completion
from tests.trainers.rules.cases import completion, value


@pytest.mark.parametrize(
    ("length", "penalty"),
    [(0, 0.0), (16_384, 0.0), (16_385, -1 / 4_096), (18_432, -0.5), (20_480, -1.0), (30_000, -1.0)],
)
def test_dapo_s_soft_penalty(length: int, penalty: float) -> None:
    assert overlong(length, 20_480, 4_096) == pytest.approx(penalty)


def test_without_a_cache_there_is_only_the_limit() -> None:
    assert [overlong(n, 10, 0) for n in (10, 11)] == [0.0, -1.0]


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 200), st.integers(0, 200))
def test_longer_is_never_better(a: int, b: int, most: int, cache: int) -> None:
    cache = min(cache, most)
    short, long = overlong(min(a, b), most, cache), overlong(max(a, b), most, cache)
    assert -1.0 <= long <= short <= 0.0


def test_the_rule_counts_tokens() -> None:
    rule = "overlong:1,max=100,cache=20"
    assert value(rule, completion("a b", 90)) == -0.5
    assert value(rule, completion("a" * 500, 10)) == 0.0
    assert value(rule, Completion((), "text without tokens", "stop")) is None
    assert value(rule, Completion((), "", "stop")) == 0.0


@pytest.mark.parametrize(
    ("length", "right", "wrong"),
    [
        (0, 2.0, -10.0),
        (50, 1.5, -5.0),
        (25, 1 + (1 + math.sqrt(0.5)) / 2, -5 * (1 + math.sqrt(0.5))),
        (100, 1.0, 0.0),
    ],
)
def test_cosine_from_short_to_long(length: int, right: float, wrong: float) -> None:
    assert cosine(length, 100, 2, 1) == pytest.approx(right)
    assert cosine(length, 100, -10, 0) == pytest.approx(wrong)


def test_cosine_follows_the_verdict_and_the_limit() -> None:
    rule = "cosine:1,max=100"
    assert value(rule, completion(r"\boxed{4}", 50)) == pytest.approx(1.5)
    assert value(rule, completion(r"\boxed{5}", 50)) == pytest.approx(-5.0)
    assert value(rule, completion(r"\boxed{4}", 100)) == -10.0
    assert value(rule, completion(r"\boxed{4}", 50, "length")) == -10.0
    assert value("cosine:1,max=100,exceed=-3", completion("", 100)) == -3.0
