"""What a name means: rows in the upstream schema, and the real files where they are present."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from reasonbench.benchmarks import Benchmark, Row, get, limit, load, names
from reasonbench.benchmarks.rows import read_rows
from reasonbench.benchmarks.selfcheck import self_check, solve
from reasonbench.errors import UsageError
from reasonbench.protocols import get as protocol
from reasonbench.types import Problem

SIZES = {
    "builtin-arithmetic": 500,
    "builtin-countdown": 200,
    "aime24": 30,
    "aime25": 30,
    "amc23": 40,
    "math500": 500,
    "math": 5000,
    "gsm8k": 1319,
    "gsm8k-train": 7473,
    "countdown": 256,
    "game24": 100,
    "game24-full": 1362,
}

GPQA_ROW = {
    "Record ID": "rec0",
    "Question": "Which of these is even?",
    "Correct Answer": "four",
    "Incorrect Answer 1": "three",
    "Incorrect Answer 2": "five",
    "Incorrect Answer 3": "seven",
    "High-level domain": "Mathematics",
}

# our own problems, in the columns of each source
UPSTREAM: dict[str, tuple[Row, str | None]] = {
    "aime24": ({"id": 60, "problem": "?", "answer": "025", "url": ""}, "25"),
    "aime25": ({"problem": "?", "answer": "49", "id": "16"}, "49"),
    "amc23": ({"question": "?", "answer": 27.0}, "27"),
    "math500": (
        {"problem": "?", "solution": "", "answer": "\\frac{1}{2}", "subject": "Algebra",
         "level": 2, "unique_id": "test/algebra/1.json"},
        "\\frac{1}{2}",
    ),
    "math": (
        {"problem": "?", "level": "Level 4", "type": "Geometry",
         "solution": "First $\\boxed{3}$, so $\\boxed{\\sqrt{4}}$."},
        "\\sqrt{4}",
    ),
    "math-train": (
        {"problem": "?", "level": "Level 1", "type": "Geometry", "solution": "$\\boxed{4}$"}, "4",
    ),
    "gsm8k": ({"question": "?", "answer": "1+1=<<1+1=2>>2\n#### 1,002"}, "1002"),
    "gsm8k-train": ({"question": "?", "answer": "#### -3"}, "-3"),
    "countdown": ({"input": "6,4,8", "output": "18"}, None),
    "game24-full": ({"Rank": "1", "Puzzles": "1 1 4 6"}, None),
    "gpqa-diamond": (GPQA_ROW, "A"),
}  # fmt: skip


def convert(name: str, row: Row, index: int = 0) -> Problem:
    to_problem = get(name).to_problem
    assert to_problem is not None
    problem = to_problem(row, index)
    assert problem is not None
    return problem


@pytest.mark.parametrize("name", UPSTREAM)
def test_a_row_in_the_upstream_schema_becomes_a_problem(name: str) -> None:
    row, gold = UPSTREAM[name]
    problem = convert(name, row)
    assert problem.gold == gold
    assert problem.benchmark == name
    assert problem.question.instruction


@pytest.mark.parametrize("name", UPSTREAM)
def test_a_row_without_its_fields_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=r"row 7 has no field .*; its fields: other"):
        convert(name, {"other": 1}, 6)


def test_aime_ids_do_not_depend_on_the_copy() -> None:
    assert convert("aime24", {"problem": "?", "answer": "025"}).id == "2024-I-2"
    assert convert("aime24", {"problem": "?", "expected_answer": 25}).id == "2024-I-2"
    assert convert("aime25", {"problem": "?", "answer": "240"}).id == "2025-II-15"


def test_the_two_problems_of_aime_2024_with_one_answer_are_told_apart() -> None:
    assert convert("aime24", {"problem": "a tetrahedron", "answer": "104"}).id == "2024-I-14"
    assert convert("aime24", {"problem": "rectangles", "answer": "104"}).id == "2024-I-5"


def test_an_answer_that_the_contest_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="no problem of AIME 2024 has the answer '26'"):
        convert("aime24", {"problem": "?", "answer": "26"})


def test_levels_are_digits() -> None:
    assert convert("math", UPSTREAM["math"][0]).level == "4"
    assert convert("math500", UPSTREAM["math500"][0]).level == "2"


@pytest.mark.parametrize("name", ["math", "math500", "gsm8k"])
def test_a_percent_sign_does_not_decide_where_the_source_leaves_it_out(name: str) -> None:
    from reasonbench.grading.graders import Graders

    row = dict(UPSTREAM[name][0])
    row["answer" if name != "math" else "solution"] = {
        "math": r"\boxed{44}\%", "math500": "44", "gsm8k": "#### 44",
    }[name]  # fmt: skip
    verdict = Graders().grade_quick(convert(name, row), r"\boxed{44\%}")
    assert verdict is not None
    assert verdict.verdict == "correct"


def test_game24_is_the_hundred_of_tree_of_thoughts() -> None:
    to_problem = get("game24").to_problem
    assert to_problem is not None
    row = {"Rank": "901", "Puzzles": "4 5 6 10"}
    assert [to_problem(row, index) is not None for index in (899, 900, 999, 1000)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_the_hubs_countdown_is_tinyzeros_test_rows() -> None:
    to_problem = get("countdown-3to4").to_problem
    assert to_problem is not None
    row = {"nums": [44, 19, 35], "target": 98}
    assert [to_problem(row, i) is not None for i in (327_679, 327_680, 328_703, 328_704)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_tinyzeros_training_rows_are_those_before_its_test_rows() -> None:
    to_problem = get("countdown-3to4-train").to_problem
    assert to_problem is not None
    row = {"nums": [44, 19, 35], "target": 98}
    made = [to_problem(row, i) for i in (0, 327_679, 327_680)]
    assert [problem is not None for problem in made] == [True, True, False]
    assert made[0] is not None
    assert made[0].benchmark == "countdown-3to4-train"


def test_an_expression_problem_states_its_numbers_and_has_no_gold() -> None:
    problem = convert("countdown", UPSTREAM["countdown"][0])
    assert problem.question.data == {"numbers": (6, 4, 8), "target": 18}
    assert "6, 4, 8" in problem.question.text
    assert "18" in problem.question.text


def test_gpqa_options_are_shuffled_by_the_question_alone() -> None:
    first, again = convert("gpqa-diamond", GPQA_ROW, 0), convert("gpqa-diamond", GPQA_ROW, 99)
    assert first == again
    options = first.question.data["options"]
    assert sorted(options) == ["five", "four", "seven", "three"]
    assert options["ABCD".index(first.gold or "")] == "four"
    assert f"{first.gold}) four" in first.question.text
    golds = Counter(
        convert("gpqa-diamond", {**GPQA_ROW, "Question": f"Question {i}?"}).gold for i in range(400)
    )
    assert set(golds) == set("ABCD")
    assert min(golds.values()) > 60  # 100 expected, 60 is 4.6 standard deviations below


def test_no_strategy_can_see_a_gold_answer() -> None:
    # what a strategy gets is the question; letters and numbers of options are public
    question = convert("gpqa-diamond", GPQA_ROW).question
    assert set(question.data) == {"options"}
    builtin = load(get("builtin-countdown")).problems[0]
    assert set(builtin.question.data) == {"numbers", "target"}


@pytest.mark.parametrize("name", SIZES)
def test_the_real_file_grades_its_own_gold_answers(
    name: str, request: pytest.FixtureRequest
) -> None:
    data: Path | None = None
    if get(name).generate is None:
        data = request.getfixturevalue("shared_data")
    loaded = load(get(name), data)
    assert len(loaded.problems) == SIZES[name]
    assert asyncio.run(self_check(loaded)) == []


@pytest.mark.parametrize(("name", "other"), [("aime24", "test.txt"), ("aime25", "test.txt")])
def test_both_copies_of_aime_agree(shared_data: Path, name: str, other: str) -> None:
    first = {p.id: p.gold for p in load(get(name), shared_data).problems}
    rows = read_rows(shared_data / name / other)
    second = {(p := convert(name, row, i)).id: p.gold for i, row in enumerate(rows)}
    assert len(first) == 30
    assert first == second


def test_aime_2024_ids_are_those_of_the_urls(shared_data: Path) -> None:
    for index, row in enumerate(read_rows(shared_data / "aime24" / "test.jsonl")):
        contest, number = convert("aime24", row, index).id.split("-")[1:]
        assert row["url"].endswith(f"2024_AIME_{contest}_Problems/Problem_{number}")


def test_aime_2025_ids_are_those_of_the_file(shared_data: Path) -> None:
    for index, row in enumerate(read_rows(shared_data / "aime25" / "aime25.json")):
        assert convert("aime25", row, index).id == f"2025-{row['id']}"


def test_math_500_is_part_of_math(shared_data: Path) -> None:
    whole = {p.question.text: p for p in load(get("math"), shared_data).problems}
    for problem in load(get("math500"), shared_data).problems:
        same = whole[problem.question.text]
        assert (same.gold, same.level, same.subject) == (
            problem.gold, problem.level, problem.subject,
        )  # fmt: skip


def test_math_500_levels(shared_data: Path) -> None:
    problems = load(get("math500"), shared_data).problems
    levels = Counter(problem.level for problem in problems)
    assert levels == {"1": 43, "2": 90, "3": 105, "4": 128, "5": 134}
    hundred = Counter(problem.level for problem in limit(problems, 100))
    assert all(abs(hundred[level] - levels[level] / 5) < 1 for level in levels)


def test_wrong_answers_are_not_graded_correct(shared_data: Path) -> None:
    from reasonbench.grading.graders import Graders

    graders = Graders()
    for problem in load(get("gsm8k"), shared_data).problems:
        wrong = int(problem.gold or "") + 1
        verdict = graders.grade_quick(problem, rf"\boxed{{{wrong}}}")
        assert verdict is not None
        assert verdict.verdict == "incorrect"
    for problem in load(get("game24"), shared_data).problems:
        numbers = problem.question.data["numbers"]
        other = solve(numbers, 10) or "1"
        verdict = graders.grade_quick(problem, rf"\boxed{{{other}}}")
        assert verdict is not None
        assert verdict.verdict == "incorrect"


def test_a_self_check_names_what_it_finds() -> None:
    from reasonbench.benchmarks.base import Loaded
    from reasonbench.types import Question

    broken = Problem(Question("7", "mine", "?", kind="integer"), gold="many")
    unsolvable = Problem(
        Question("8", "mine", "?", kind="expression", data={"numbers": (1, 1), "target": 9}), None
    )
    failures = asyncio.run(self_check(Loaded((broken, unsolvable), "file:x", None)))
    assert [line.split(":")[0] for line in failures] == ["7", "8"]


@pytest.mark.parametrize("name", names())
def test_every_benchmark_says_what_it_is(name: str) -> None:
    benchmark: Benchmark = get(name)
    assert benchmark.name == name
    assert benchmark.title
    assert benchmark.licence
    assert benchmark.generate or benchmark.source or benchmark.local
    assert protocol(benchmark.protocol).tokens_for(name, benchmark.max_tokens) >= 1
