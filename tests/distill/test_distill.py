"""The whole way from questions to rows, with a teacher that needs no model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasonbench.distill import parse
from reasonbench.errors import UsageError
from tests.distill.material import Writing, config, responses, rows, run, sum_of
from tests.recorded_files import write_rows


def said(problem: str, sample: int) -> str | tuple[str, str]:
    """Four ways: right, right in other words, wrong, cut."""
    right = sum_of(problem)
    if sample == 3:
        return f"\\boxed{{{right}}}", "length"
    words = ("I add both.", "Twice the number is easy to say.", "I guess.")[sample]
    return f"{words} \\boxed{{{right + sample // 2}}}"


def teacher(stop_at: int | None = None) -> Writing:
    return Writing(said, stop_at)  # type: ignore[arg-type]


def test_what_the_grader_accepts_is_kept_with_its_provenance(tmp_path: Path) -> None:
    done = run(config(tmp_path), tmp_path / "out", teacher())
    found = rows(tmp_path / "out" / "data.jsonl")
    assert responses(found)[:2] in (
        ["I add both. \\boxed{2}", "Twice the number is easy to say. \\boxed{2}"],
        ["Twice the number is easy to say. \\boxed{2}", "I add both. \\boxed{2}"],
    )
    assert len(found) == 8
    source = next(row["source"] for row in found if row["source"]["sample"] == 1)
    assert source["seed"] == 0  # what the toy says
    assert {k: source[k] for k in ("kind", "run", "benchmark", "problem", "strategy", "model",
                                   "verdict", "layer", "answer", "weight_version")} == {
        "kind": "sampled", "run": "run", "benchmark": "sums", "problem": "q1",
        "strategy": ["cot@4"], "model": "toy", "verdict": "correct", "layer": source["layer"],
        "answer": "2", "weight_version": 0,
    }  # fmt: skip
    assert done.summary is not None
    assert done.summary["rejected"] == {"incorrect": 4, "truncated": 4}
    assert done.summary == json.loads((tmp_path / "out" / "summary.json").read_text())


def test_every_response_is_in_the_rows_or_among_the_rejects(tmp_path: Path) -> None:
    run(config(tmp_path, select={"cap": 1}), tmp_path / "out", teacher())
    kept = [row["id"] for row in rows(tmp_path / "out" / "data.jsonl")]
    rejected = {row["id"]: row["reason"] for row in rows(tmp_path / "out" / "rejects.jsonl")}
    assert len(kept) == 4
    assert len({*kept, *rejected}) == len(kept) + len(rejected) == 16
    assert sorted(rejected.values()).count("over the cap") == 4


def test_a_stopped_call_writes_nothing_and_samples_nothing_twice(tmp_path: Path) -> None:
    first = teacher(stop_at=5)
    done = run(config(tmp_path), tmp_path / "out", first)
    assert (done.stopped, done.summary) == ("interrupted", None)
    assert not (tmp_path / "out" / "data.jsonl").exists()
    second = teacher()
    run(config(tmp_path), tmp_path / "out", second)
    assert not {*first.served} & {*second.served}
    assert len(first.served) + len(second.served) == 16
    run(config(tmp_path), tmp_path / "whole", teacher())
    for name in ("data.jsonl", "rejects.jsonl"):
        whole = (tmp_path / "whole" / name).read_text()
        assert (tmp_path / "out" / name).read_text() == whole


def test_another_selection_samples_nothing(tmp_path: Path) -> None:
    run(config(tmp_path), tmp_path / "out", teacher())
    again = teacher()
    run(config(tmp_path, select={"cap": 1}), tmp_path / "out", again)
    assert again.served == []
    assert len(rows(tmp_path / "out" / "data.jsonl")) == 4


def test_another_teacher_in_the_same_folder_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    run(config(tmp_path), tmp_path / "out", teacher())
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.is_file()}
    with pytest.raises(UsageError, match="seed was 0 and is now 7"):
        run(config(tmp_path, {"seed": 7}), tmp_path / "out", teacher())
    after = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.is_file()}
    assert after == {**before, "run.lock": after["run.lock"]}


def test_existing_runs_are_read_together_and_no_problem_twice(tmp_path: Path) -> None:
    run(config(tmp_path), tmp_path / "a", teacher())
    run(config(tmp_path, {"seed": 1}), tmp_path / "b", Writing(lambda p, s: f"b{s} \\boxed{{2}}"))
    both = parse({"run": [tmp_path / "a" / "run", tmp_path / "b" / "run"], "select": {"cap": 0}})
    done = run(both, tmp_path / "out")
    assert done.summary is not None
    assert done.summary["problems"] == {"seen": 4, "with_rows": 4}
    found = rows(tmp_path / "out" / "data.jsonl")
    of_q1 = [row for row in found if row["source"]["problem"] == "q1"]
    assert len(of_q1) == 6  # two of the first run, all four of the second
    assert {row["source"]["run"] for row in of_q1} == set(map(str, both.run))


def test_general_data_is_spread_over_the_rows(tmp_path: Path) -> None:
    general = {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]
    }
    path = write_rows(tmp_path / "general.jsonl", [general] * 50)
    done = run(config(tmp_path, mix=[f"{path}:0.2"]), tmp_path / "out", teacher())
    found = rows(tmp_path / "out" / "data.jsonl")
    places = [i for i, row in enumerate(found) if row["source"]["kind"] == "mix"]
    assert (len(found), len(places)) == (10, 2)
    assert places[1] - places[0] == 5
    assert done.summary is not None
    assert done.summary["mixed"][0]["share"] == 0.2


def test_a_problem_of_a_benchmark_that_is_reported_is_warned_of(tmp_path: Path) -> None:
    reported = write_rows(
        tmp_path / "reported.jsonl", [{"q": "What is 2 + 2?", "a": "4"}, {"q": "Why?", "a": "1"}]
    )
    (tmp_path / "reported.toml").write_text(
        'name = "reported"\n[source]\nfile = "reported.jsonl"\n'
        '[columns]\nquestion = "q"\nanswer = "a"\n'
    )
    against = [str(reported.with_suffix(".toml"))]
    done = run(config(tmp_path, against=against), tmp_path / "out", teacher())
    assert done.summary is not None
    assert done.summary["overlap"]["overlapping_problems"] == {"reported": ["1"]}
    assert "1 of 4 training rows" in done.summary["overlap"]["warnings"][0]


def test_a_folder_with_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds no distillation"):
        run(config(tmp_path), tmp_path / "out", teacher())
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_call_that_comes_to_nothing_leaves_the_folder_free(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        run(parse({"run": [tmp_path / "nowhere"]}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_leftovers_of_a_killed_call_are_cleared(tmp_path: Path) -> None:
    run(config(tmp_path), tmp_path / "out", teacher())
    (tmp_path / "out" / ".kept.99.tmp").write_text("half")
    run(config(tmp_path), tmp_path / "out", teacher())
    assert not list((tmp_path / "out").glob(".*.tmp"))


def test_traces_need_a_search(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="grows no tree"):
        run(config(tmp_path, journey={}), tmp_path / "out", teacher())
    assert not (tmp_path / "out").exists()
