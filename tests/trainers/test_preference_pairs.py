"""Preferences that are made of a run's graded samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reasonbench.errors import UsageError
from reasonbench.runs import RunStore, SampleKey
from reasonbench.trainers.preference_data import Judged, Pair, read_preferences
from reasonbench.trainers.preference_pairs import PairsConfig, rows_of_run, write_pairs
from reasonbench.types import Completion, Message, Problem, Prompt, Question, Verdict

ASKED = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


class Said(NamedTuple):
    """One sample: its text, tokens, whether it is right (None: ungraded), how it ended."""

    text: str
    tokens: int
    right: bool | None
    finish: Any = "stop"
    stop_reason: str | None = None


def run(folder: Path, problems: dict[str, list[Said]], pool: str = "p", role: str = "") -> Path:
    """A run of one benchmark."""
    with RunStore.create_or_resume(folder, {"model": "toy"}) as store:
        store.add_pool(pool, {"role": role})
        store.add_problems(Problem(Question(name, "sums", name), "0") for name in problems)
        for name, samples in problems.items():
            prompt = Prompt((1, 2), ASKED.format(name))
            store.add_prompt("sums", name, pool, prompt, [Message("user", name)])
            for index, said in enumerate(samples):
                key = SampleKey("sums", name, pool, 0, index)
                store.add_completion(
                    key,
                    Completion((7,) * said.tokens, said.text, said.finish, said.stop_reason),
                )
                verdict = {True: "correct", False: "incorrect", None: "ungraded"}[said.right]
                store.add_verdict(key, Verdict(verdict, None, "exact"))  # type: ignore[arg-type]
    return folder


MIXED = {
    "one": [
        Said("r1", 9, True), Said("w1", 5, False), Said("r2", 3, True), Said("w2", 4, False),
        Said("r2", 3, True), Said("cut", 30, False, "length"), Said("?", 2, None),
    ],
    "easy": [Said("a", 10, True), Said("bb", 11, True), Said("ccc", 30, True), Said("d", 4, True)],
    "hard": [Said("x", 1, False), Said("y", 2, False)],
}  # fmt: skip


def found(folder: Path, **changes: Any) -> list[tuple[str, str, str]]:
    return [
        (row["problem_id"], row["chosen"], row["rejected"])
        for row in rows_of_run(folder, PairsConfig(**changes))
    ]


def test_right_solutions_stand_against_wrong_ones_of_the_same_problem(tmp_path: Path) -> None:
    made = found(run(tmp_path / "r", MIXED))
    assert sorted(made) == [
        ("one", right, wrong) for right in ("r1", "r2") for wrong in ("w1", "w2")
    ]


def test_a_cap_takes_different_solutions_first(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", MIXED)
    for seed in range(5):
        made = found(folder, per_problem=2, seed=seed)
        assert len({chosen for _, chosen, _ in made}) == 2
        assert len({rejected for _, _, rejected in made}) == 2
        assert made == found(folder, per_problem=2, seed=seed)
    assert len({tuple(found(folder, per_problem=1, seed=seed)) for seed in range(9)}) > 1


def test_the_shortest_right_one_stands_against_the_longest(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", MIXED)
    assert found(folder, kind="short-long") == [("one", "r2", "r1"), ("easy", "d", "ccc")]
    assert found(folder, kind="short-long", gap=1.1) == [
        ("one", "r2", "r1"), ("easy", "d", "ccc"), ("easy", "a", "bb"),
    ]  # fmt: skip
    assert found(folder, kind="short-long", gap=1.1, per_problem=1) == [
        ("one", "r2", "r1"), ("easy", "d", "ccc"),
    ]  # fmt: skip


def test_single_solutions_are_balanced_where_they_can_be(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", MIXED)
    made = list(rows_of_run(folder, PairsConfig(kind="label", per_problem=3)))
    by_problem = {
        name: sorted(r["label"] for r in made if r["problem_id"] == name) for name in MIXED
    }
    assert by_problem == {
        "one": ["bad", "good", "good"], "easy": ["good"] * 3, "hard": ["bad"] * 2,
    }  # fmt: skip


def test_truncated_solutions_are_wrong_ones_where_asked_for(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", MIXED)
    made = found(folder, truncated=True, per_problem=99)
    assert {rejected for _, _, rejected in made} == {"w1", "w2", "cut"}


def test_the_beginning_of_a_next_question_is_no_part_of_a_response(tmp_path: Path) -> None:
    stop = "\nQuestion:"
    said = [
        Said("7" + stop, 3, True, "stop", stop),
        Said("</answer>", 2, False, "stop", "</answer>"),
    ]
    assert found(run(tmp_path / "r", {"one": said})) == [("one", "7", "</answer>")]


def test_the_file_is_read_as_rows_of_preferences_with_their_lengths(tmp_path: Path) -> None:
    runs = [run(tmp_path / "a", MIXED), run(tmp_path / "b", MIXED)]
    out = tmp_path / "pairs.jsonl"
    assert write_pairs(runs, PairsConfig(per_problem=1, kind="short-long"), out) == 4
    rows = [row for _, row in read_preferences(out)]
    assert rows[0] == Pair(ASKED.format("one"), "r2", "r1", 3, 9)
    first = json.loads(out.read_text().splitlines()[0])
    assert (first["run"], first["benchmark"], first["samples"]) == ("a", "sums", [2, 0])
    write_pairs(runs[:1], PairsConfig(kind="label", per_problem=1), out)
    assert {type(row) for _, row in read_preferences(out)} == {Judged}


def test_what_is_chosen_must_be_there(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", {"easy": MIXED["easy"]})
    out = tmp_path / "pairs.jsonl"
    out.write_text("old\n")
    with pytest.raises(UsageError, match="both a right and a wrong"):
        write_pairs([folder], PairsConfig(), out)
    with pytest.raises(UsageError, match="did you mean sums"):
        write_pairs([folder], PairsConfig(benchmarks=("sum",)), out)
    with pytest.raises(UsageError, match="unknown pool"):
        write_pairs([folder], PairsConfig(pool="q"), out)
    with pytest.raises(UsageError):
        write_pairs([tmp_path / "nowhere"], PairsConfig(), out)
    assert out.read_text() == "old\n"


def test_tests_that_choose_among_programs_are_no_solutions(tmp_path: Path) -> None:
    folder = run(tmp_path / "r", MIXED, role="tests")
    assert list(rows_of_run(folder, PairsConfig())) == []
