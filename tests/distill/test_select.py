"""Rejection sampling: what is dropped for which reason, and what the cap takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.distill.config import Readable, Select
from reasonbench.distill.draft import Draft
from reasonbench.distill.select import Filters, select
from tests.distill.material import PROBLEM, draft


def judged(
    drafts: list[Draft], readable: Readable | None = None, **rules: Any
) -> dict[int, str | None]:
    """The reason of each draft, by its sample."""
    chosen = Select(**{"near": 1.0, "prefer": "first", "cap": 0, **rules})
    found = list(select(drafts, Filters(chosen, readable), chosen.cap))
    assert len(found) == len(drafts)
    return {int(one.draft.id.rpartition("/")[2]): one.reason for one in found}


def test_each_failure_has_its_reason() -> None:
    drafts = [
        draft("a", 0),
        draft("b", 1, verdict="ungraded"),
        draft("c", 2, verdict="incorrect", layer="truncated", finish="length"),
        draft("d", 3, verdict="incorrect"),
        draft("e", 4, verdict="incorrect", layer="no answer"),
        draft("f", 5, verdict="incorrect", layer="aborted", finish="aborted"),
        draft("g h", 6, tokens=2),
        draft("i j k l", 7, tokens=4),
        draft("", 8),
    ]
    assert judged(drafts, min_tokens=1, max_tokens=3) == {
        0: None,
        1: "ungraded",
        2: "truncated",
        3: "incorrect",
        4: "no answer",
        5: "aborted",
        6: None,
        7: "too long",
        8: "no text",
    }


def test_a_right_answer_of_a_truncated_response_is_dropped() -> None:
    assert judged([draft("a", finish="length")]) == {0: "truncated"}


def test_responses_that_mix_languages_are_dropped() -> None:
    chinese = "The sum is easy. 我们把两个数字加起来就得到答案。 So it is two, of course."
    assert judged([draft(chinese)]) == {0: "mixed languages"}
    assert judged([draft(chinese)], languages="any") == {0: None}


def test_another_language_than_the_questions_is_dropped_where_asked() -> None:
    korean = draft("둘을 더하면 답은 이가 됩니다. 그래서 정답은 이입니다.")
    assert judged([korean]) == {0: None}
    assert judged([korean], languages="question") == {0: "mixed languages"}


def test_a_duplicate_is_the_same_normalised_text() -> None:
    found = judged([draft("So **x = 2**", 0), draft("so x =  2", 1), draft("so x = 3", 2)])
    assert found == {0: None, 1: "duplicate", 2: None}


def test_a_near_duplicate_shares_the_given_part_of_its_ngrams() -> None:
    # 1-grams: 4 of 5 are shared
    drafts = [draft("a b c d", 0), draft("a b c d e", 1)]
    assert judged(drafts, near=0.8, ngram=1) == {0: None, 1: "near duplicate"}
    assert judged(drafts, near=0.81, ngram=1) == {0: None, 1: None}


@pytest.mark.parametrize(
    ("prefer", "kept"),
    [("first", {0, 1}), ("shortest", {1, 2}), ("longest", {0, 3})],
)
def test_the_cap_takes_the_preferred_ones(prefer: str, kept: set[int]) -> None:
    drafts = [draft(f"r{i}", i, tokens=n) for i, n in enumerate((8, 2, 1, 9))]
    found = judged(drafts, prefer=prefer, cap=2)
    assert {sample for sample, reason in found.items() if reason is None} == kept
    assert {reason for reason in found.values() if reason} == {"over the cap"}


def test_a_random_choice_depends_on_the_seed_alone() -> None:
    drafts = [draft(f"r{i}", i) for i in range(20)]
    first = judged(drafts, prefer="random", cap=3)
    assert judged(drafts[::-1], prefer="random", cap=3) == first
    assert judged(drafts, prefer="random", cap=3, seed=1) != first


def test_diverse_takes_the_one_least_like_those_taken() -> None:
    drafts = [draft("a b c d", 0), draft("a b c e", 1), draft("w x y z", 2)]
    for seed in range(8):
        found = judged(drafts, prefer="diverse", cap=2, ngram=1, seed=seed)
        # whichever comes first, 0 and 1 are never together
        assert found[2] is None
        assert {found[0], found[1]} == {None, "over the cap"}


@given(
    st.lists(st.sampled_from(["a b c", "a b d", "x y z", "p q", "a b c d e"]), max_size=12),
    st.sampled_from(["random", "first", "shortest", "longest", "diverse"]),
    st.integers(1, 4),
)
def test_what_is_kept_is_capped_and_without_duplicates(
    texts: list[str], prefer: str, cap: int
) -> None:
    drafts = [draft(text, i) for i, text in enumerate(texts)]
    found = judged(drafts, prefer=prefer, cap=cap)
    kept = [texts[sample] for sample, reason in found.items() if reason is None]
    assert len(kept) == len(set(kept)) == min(cap, len(set(texts)))


def test_the_readability_filter_comes_before_the_cap() -> None:
    readable = "<think>\nadd\n</think>\n\nThe answer here is two"
    found = judged([draft("just two", 0), draft(readable, 1)], Readable(), cap=1)
    assert found == {0: "no thinking span", 1: None}


def test_a_program_may_hold_code_blocks() -> None:
    code = replace(PROBLEM, question=replace(PROBLEM.question, kind="code"))
    said = "Plan the steps first.\n\n```python\ndef f(): ...\n```"
    rules = Readable(thinking=False)
    assert judged([draft(said, problem=code)], rules) == {0: None}
    assert judged([draft(said)], rules) == {0: "stray code block"}


def test_a_program_that_goes_on_from_the_prompt_is_no_answer_by_itself() -> None:
    code = replace(PROBLEM, question=replace(PROBLEM.question, kind="code"))
    assert judged([draft("    return 2", problem=code)]) == {0: "no code block"}
