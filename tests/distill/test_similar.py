"""How alike two responses are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.distill.similar import SKETCH, digest, jaccard, normal, shingles


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("So **x = 3**.", "so x = 3 ."),
        ("We get $x=3$", "we  get\n\nx=3"),
        ("ｘ＝３", "x=3"),
        ("`a`, \\, b", "a, b"),
    ],
)
def test_texts_that_are_only_set_otherwise_are_the_same(a: str, b: str) -> None:
    assert "".join(normal(a).split()).replace(",,", ",") == "".join(normal(b).split())


@pytest.mark.parametrize(("a", "b"), [("3 + 4", "3 - 4"), ("12", "1 2"), ("x = 3", "x = 5")])
def test_another_sign_or_number_is_another_solution(a: str, b: str) -> None:
    assert digest(a) != digest(b)


def test_jaccard_index_by_hand() -> None:
    # 2-grams: {ab, bc, cd} and {bc, cd, de}: 2 of 4
    assert jaccard(shingles("a b c d", 2), shingles("b c d e", 2)) == 0.5


def test_each_character_of_chinese_is_a_token() -> None:
    # 2-grams: {我们, 们算} and {我们, 们看}: 1 of 3
    assert jaccard(shingles("我们算", 2), shingles("我们看", 2)) == pytest.approx(1 / 3)


@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 6))
def test_it_is_symmetric_within_bounds_and_one_for_equal_texts(a: str, b: str, n: int) -> None:
    first, second = shingles(a, n), shingles(b, n)
    assert 0 <= jaccard(first, second) == jaccard(second, first) <= 1
    assert jaccard(first, first) == 1


def test_a_sketch_of_a_long_text_estimates_the_exact_index() -> None:
    rng = random.Random(1)
    words = [str(rng.randrange(10**9)) for _ in range(12_000)]
    a, b = words[:9_000], words[3_000:]
    sketched = jaccard(shingles(" ".join(a), 1), shingles(" ".join(b), 1))
    exact = len({*a} & {*b}) / len({*a} | {*b})
    assert len(shingles(" ".join(a), 1).hashes) == SKETCH
    assert abs(sketched - exact) < 0.04  # more than three standard errors
