from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.benchmarks import get, load
from reasonbench.errors import UsageError
from reasonbench.trainers.contamination import Contamination, Index, check, normalised, record_text
from reasonbench.types import Problem, Question

WORDS = [f"word{chr(97 + i)}" for i in range(26)]


def problem(text: str, id: str = "1", benchmark: str = "sums", source: str = "") -> Problem:
    return Problem(Question(id, benchmark, text), "0", source=source)


def found(texts: list[str], *problems: Problem, words: int = 13) -> Contamination:
    return check(Index(problems, words), texts)


def test_a_copy_is_found_whatever_its_capitals_and_punctuation() -> None:
    report = found(["what IS $2+2$ ??"], problem("What is 2 + 2?"))
    (overlap,) = report.overlaps
    assert (overlap.row, overlap.benchmark, overlap.problem_id) == (0, "sums", "1")
    assert (overlap.kind, overlap.shared) == ("exact", "what is 2+2")


@pytest.mark.parametrize("other", ["What is 2 - 2?", "What is 2 * 2?", "What is 2 + 3?"])
def test_another_formula_is_another_problem(other: str) -> None:
    assert not found([other], problem("What is 2 + 2?")).overlaps


def test_a_short_problem_inside_a_longer_one_is_not_found() -> None:
    assert not found(["What is 2 + 2? Explain."], problem("What is 2 + 2?")).overlaps


def test_thirteen_words_in_a_row_are_found_and_twelve_are_not() -> None:
    text = " ".join(WORDS[:20])
    around = "one two three four five six seven"
    assert found([f"{around} {' '.join(WORDS[3:16])} {around}"], problem(text)).overlaps
    assert not found([f"{around} {' '.join(WORDS[3:15])} {around}"], problem(text)).overlaps


@given(st.data())
def test_every_shared_run_is_found_wherever_it_stands(data: st.DataObject) -> None:
    words = data.draw(st.integers(5, 14))
    start = data.draw(st.integers(0, 26 - words))
    length = data.draw(st.integers(words - 1, min(words + 3, 26 - start)))
    before, after = data.draw(st.integers(0, 20)), data.draw(st.integers(0, 20))
    pieces = [f"x{i}" for i in range(before)] + WORDS[start : start + length]
    text = " ".join(pieces + [f"y{i}" for i in range(after)])
    hit = found([text], problem(" ".join(WORDS)), words=words).overlaps
    assert bool(hit) == (length >= words)


def test_wording_that_several_problems_share_proves_nothing() -> None:
    template = " ".join(WORDS[:15])
    several = [problem(f"{template} {n}{n} apples", str(n)) for n in range(3)]
    assert not found([f"{template} 99 pears"], *several).overlaps
    assert found([f"{template} 99 pears"], *several[:2]).overlaps
    assert found([f"{template} 11 apples"], *several).found == {"sums": ("1",)}


def test_wording_is_known_by_its_parts_whatever_its_numbers() -> None:
    first, second = " ".join(WORDS[:9]), " ".join(WORDS[9:18])
    several = [problem(f"{a} {n} of {b}", f"{n}") for n, (a, b) in enumerate([(first, second)] * 4)]
    assert not found([f"{first} 2 of {second} now"], *several).overlaps


def test_variants_of_one_problem_are_not_several() -> None:
    template = " ".join(WORDS[:15])
    variants = [problem(f"{template} {n}", str(n), source="same") for n in range(5)]
    assert found([f"{template} 99"], *variants).found == {"sums": ("0", "1", "2", "3", "4")}


def test_how_much_of_the_problem_is_covered_is_told() -> None:
    text = " ".join(WORDS)
    (part,) = found([" ".join(WORDS[:13])], problem(text)).overlaps
    assert part.covered == 0.5
    (most,) = found([f"{' '.join(WORDS[:13])} and {' '.join(WORDS[13:])}"], problem(text)).overlaps
    assert (most.kind, most.covered) == ("ngram", 1.0)


def test_chinese_is_compared_by_character() -> None:
    text = "求一个数，它的两倍加三等于十一，再求这个数的平方。"
    assert found(["请做：" + text + "谢谢"], problem(text)).overlaps
    assert not found(["求一个数，它的三倍减一等于二十，求它的立方。"], problem(text)).overlaps


def test_the_report_counts_and_warns_by_benchmark() -> None:
    one, two = problem("What is 2 + 2?"), problem("What is 3 + 3?", "2", "more")
    report = found(["What is 2 + 2?", "no", "What is 2+2", "What is 3+3?"], one, two)
    assert report.rows == 4
    assert report.problems == {"sums": 1, "more": 1}
    assert report.contaminated_rows == {0, 2, 3}
    assert report.found == {"sums": ("1",), "more": ("2",)}
    first, second = report.warnings()
    assert first.startswith(
        "2 of 4 training rows share 13 words in a row or more with 1 of the 1 p"
    )
    assert "(with 1 most of their words, with 1 all): 1. " in first
    assert "problems of more" in second
    assert report.record()["overlapping_problems"] == {"sums": ["1"], "more": ["2"]}


def test_clean_rows_give_no_warning() -> None:
    assert found(["something else"], problem("What is 2 + 2?")).warnings() == ()


def test_rows_are_streamed_and_may_have_ids() -> None:
    def rows() -> Iterator[str]:
        yield "no"
        yield "What is 2 + 2?"

    report = check(Index([problem("What is 2 + 2?")]), rows(), ["a", "b"])
    assert [overlap.id for overlap in report.overlaps] == ["b"]


def test_short_ngrams_are_refused() -> None:
    with pytest.raises(UsageError, match="5 or more"):
        Index([], 4)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
            "a",
        ),
        ({"prompt": "a", "completion": "b"}, "a"),
        ({"prompt": [{"role": "user", "content": "a"}], "chosen": "b"}, "a"),
        ({"question": "a"}, "a"),
        ({}, ""),
    ],
)
def test_the_question_of_a_training_record(record: dict[str, object], text: str) -> None:
    assert record_text(record) == text


@given(st.text(max_size=60))
def test_normalised_words_are_stable(text: str) -> None:
    assert all(word and word == word.strip() for word in normalised(text))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", [" ", "-", " -", "a!", "\n ", "\x00", "好", "+ ", "\t", "a ", "ʼn"]
)
def test_hostile_text_takes_linear_time(piece: str) -> None:
    text = piece * (150_000 // len(piece))
    assert found([text, text], problem(text)).rows == 2


def test_the_built_in_training_problems_are_not_in_the_built_in_benchmarks() -> None:
    for name in ("builtin-arithmetic", "builtin-countdown"):
        index = Index(load(get(name)).problems)
        train = load(get(f"{name}-train")).problems
        overlaps = check(index, (p.question.text for p in train)).overlaps
        assert [overlap for overlap in overlaps if overlap.kind == "exact"] == []
        assert len(overlaps) < 20


def test_math500_is_found_in_math(shared_data: Path) -> None:
    inside = load(get("math500"), shared_data).problems
    math = load(get("math"), shared_data).problems
    report = check(Index(inside), (p.question.text for p in math))
    assert len(report.found["math500"]) == 500
    assert sum(overlap.kind == "exact" for overlap in report.overlaps) == 500
