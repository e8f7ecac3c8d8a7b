"""Responses that a second model reformats, and what is held against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonbench.distill.config import Rewrite
from reasonbench.distill.rewrite import PROMPT, prompt_of, taken_out
from reasonbench.errors import UsageError
from tests.distill.material import Writing, config, responses, rows, run, sum_of
from tests.recorded_files import write_rows

THOUGHT = "<think>\nI add the two.\n</think>\n\nAdding both numbers gives \\boxed{N}"


def teacher(problem: str, sample: int) -> str:
    return f"sum{sample} \\boxed{{{sum_of(problem)}}}"


def rewritten(problem: str) -> str:
    """The right rewriting; `problem` is the id of what is rewritten: run/sums/q1/pool/0."""
    return THOUGHT.replace("N", str(sum_of(problem.split("/")[2])))


def test_what_was_rewritten_is_what_is_trained_on(tmp_path: Path) -> None:
    second = Writing(lambda problem, _: f"Sure. <rewritten>{rewritten(problem)}</rewritten>")
    asked = config(tmp_path, rewrite={"model": "toy"}, readable={}, select={"cap": 1})
    done = run(asked, tmp_path / "out", Writing(teacher), second)
    found = rows(tmp_path / "out" / "data.jsonl")
    assert responses(found) == [THOUGHT.replace("N", str(2 * i)) for i in (1, 2, 3, 4)]
    assert found[0]["source"]["rewritten"] == {
        "model": "toy", "revision": None, "engine": "toy", "try": 0,
        "seed": found[0]["source"]["rewritten"]["seed"],
        "tokens": found[0]["source"]["rewritten"]["tokens"],
    }  # fmt: skip
    assert done.summary is not None
    assert done.summary["kept"] == {"sampled, rewritten": 4}


def test_what_the_second_model_got_wrong_is_rejected_with_the_reason(tmp_path: Path) -> None:
    said = {
        "q1": THOUGHT.replace("N", "3"),
        "q2": "\\boxed{4}",
        "q3": (THOUGHT.replace("N", "6"), "length"),
        "q4": THOUGHT.replace("N", "8").replace("Adding both numbers gives ", ""),
    }
    second = Writing(lambda problem, _: said[problem.split("/")[2]])  # type: ignore[return-value]
    asked = config(tmp_path, rewrite={"model": "toy"}, readable={}, select={"cap": 1})
    with pytest.raises(UsageError, match="nothing was kept of 4 problems"):
        run(asked, tmp_path / "out", Writing(teacher), second)
    reasons = {
        row["source"]["problem"]: row["reason"]
        for row in rows(tmp_path / "out" / "rejects.jsonl")
        if row["reason"] != "over the cap"
    }
    assert reasons == {
        "q1": "rewrite: incorrect",
        "q2": "rewrite: broken form",
        "q3": "rewrite: truncated",
        "q4": "no closing summary",
    }


def test_another_solution_that_is_right_too_is_not_the_same_answer(tmp_path: Path) -> None:
    write_rows(tmp_path / "sets.jsonl", [{"id": "q1", "numbers": [1, 2, 3], "target": 6}])
    (tmp_path / "sets.toml").write_text(
        'name = "sums"\n[source]\nfile = "sets.jsonl"\n[columns]\nid = "id"\n'
        '[grader]\nkind = "expression"\n'
    )
    generate = {"benchmark": [str(tmp_path / "sets.toml")], "fields": {}, "strategy": ["cot@2"]}
    second = Writing(lambda problem, _: THOUGHT.replace("N", "3+1+2"))
    asked = config(tmp_path, generate, rewrite={"model": "toy"})
    first = Writing(lambda problem, i: f"\\boxed{{{('1+2+3', '1*2*3')[i]}}}")
    run(asked, tmp_path / "out", first, second)
    (row,) = rows(tmp_path / "out" / "data.jsonl")
    (reject,) = rows(tmp_path / "out" / "rejects.jsonl")
    assert (row["source"]["sample"], row["source"]["answer"]) == (0, "3+1+2")
    assert (reject["source"]["sample"], reject["reason"]) == (1, "rewrite: answer changed")


def test_the_first_try_that_holds_is_taken(tmp_path: Path) -> None:
    second = Writing(lambda problem, i: "no" if i < 2 else rewritten(problem))
    asked = config(tmp_path, rewrite={"model": "toy", "tries": 4}, select={"cap": 1})
    run(asked, tmp_path / "out", Writing(teacher), second)
    found = rows(tmp_path / "out" / "data.jsonl")
    assert [row["source"]["rewritten"]["try"] for row in found] == [2, 2, 2, 2]


def test_nothing_is_rewritten_twice(tmp_path: Path) -> None:
    asked = config(tmp_path, rewrite={"model": "toy"})
    second = Writing(lambda problem, _: rewritten(problem), stop_at=7)
    done = run(asked, tmp_path / "out", Writing(teacher), second)
    assert (done.stopped, done.summary) == ("interrupted", None)
    assert not (tmp_path / "out" / "data.jsonl").exists()
    again = Writing(lambda problem, _: rewritten(problem))
    run(asked, tmp_path / "out", Writing(teacher), again)
    assert not {*second.served} & {*again.served}
    assert len(second.served) + len(again.served) == 16
    # all four of a problem say the same now
    assert len(rows(tmp_path / "out" / "data.jsonl")) == 16


def test_the_second_model_is_asked_with_question_and_response(tmp_path: Path) -> None:
    asked: list[str] = []

    class Noting(Writing):
        def render(self, messages, **options):  # type: ignore[no-untyped-def]
            asked.append(messages[-1].content)
            return super().render(messages, **options)

    run(
        config(tmp_path, rewrite={"model": "toy"}, select={"cap": 1}),
        tmp_path / "out",
        Writing(lambda problem, _: f"{{question}} \\boxed{{{sum_of(problem)}}}"),
        Noting(lambda problem, _: rewritten(problem)),
    )
    first = PROMPT.replace("{question}", "What is 1 + 1?")
    # a model without a chat template gets a lead and an opening besides
    assert first.replace("{response}", "{question} \\boxed{2}").strip() in asked[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<think>\na\n</think>\n\nb", "<think>\na\n</think>\n\nb"),
        ("ok <rewritten> <think>a</think>b </rewritten>", "<think>\na\n</think>\n\nb"),
        ("<think>I wrap it in <rewritten>.</think> <rewritten><think>a</think>b</rewritten>",
         "<think>\na\n</think>\n\nb"),
        ("<think>a</think>", None),
        ("a</think>b", None),
        ("a", None),
    ],
)  # fmt: skip
def test_the_result_is_taken_out_of_what_was_written(text: str, found: str | None) -> None:
    assert taken_out(text) == found


def test_a_request_of_ones_own_needs_both_places(tmp_path: Path) -> None:
    path = tmp_path / "ask.txt"
    path.write_text("Rewrite {response}")
    with pytest.raises(UsageError, match=r"write \{question\}"):
        prompt_of(Rewrite(model="m", prompt=path))
