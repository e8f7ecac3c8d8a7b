from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reasonbench.benchmarks import get, load
from reasonbench.errors import UsageError
from reasonbench.trainers.export_rewards import (
    close,
    compute_score,
    reward_funcs,
    reward_weights,
)
from reasonbench.trainers.export_rows import trl_row, verl_row, write_rows
from reasonbench.trainers.problem_json import problem_json, read_problem
from reasonbench.types import Problem
from tests.trainers.rules.cases import adding, problem

RIGHT = "<think>2 + 2</think><answer>4</answer>"
WRONG = "<think>2 + 2</think><answer>5</answer>"
GOOD = "```python\ndef add(a, b):\n    return a + b\n```"
BAD = "```python\ndef add(a, b):\n    return a * b\n```"


@pytest.fixture(scope="module", autouse=True)
def _graders_end() -> Iterator[None]:
    yield
    close()


def trl(rule: str, texts: list[str], asked: Problem, **options: Any) -> list[float | None]:
    """One reward function called as TRL calls it for a conversational data set."""
    (func,) = reward_funcs([rule], **options)
    row = trl_row(asked, 0)
    return func(
        prompts=[row["prompt"]] * len(texts),
        completions=[[{"role": "assistant", "content": text}] for text in texts],
        completion_ids=[list(range(len(text))) for text in texts],
        problem=[row["problem"]] * len(texts),
        id=[row["id"]] * len(texts),
        trainer_state=None,
        log_extra=None,
        log_metric=None,
    )


def test_trl_gets_a_function_for_each_rule_and_their_weights() -> None:
    rules = ["accuracy:1", "format:0.5", "reflection"]
    assert [func.__name__ for func in reward_funcs(rules)] == ["accuracy", "format", "reflection"]
    assert reward_weights(rules) == [1.0, 0.5, 0.0]


def test_the_benchmark_s_grader_gives_the_accuracy() -> None:
    assert trl("accuracy:1,wrong=-1", [RIGHT, WRONG, ""], problem()) == [1.0, -1.0, -1.0]
    assert trl("accuracy", [GOOD, BAD], adding()) == [1.0, 0.0]


def test_rules_that_do_not_apply_give_none() -> None:
    assert trl("program", [RIGHT], problem()) == [None]
    assert trl("accuracy", [RIGHT], problem(gold=None)) == [None]


def test_lengths_are_those_of_the_tokens() -> None:
    asked, text = problem(), "x" * 90
    assert trl("overlong:1,max=100,cache=20", [text], asked) == [-0.5]
    assert trl("cosine:1,max=200", [r"\boxed{4}" + " " * 91], asked, max_tokens=100) == [-10.0]


def test_a_template_that_opens_thinking_is_told() -> None:
    text = "2 + 2</think><answer>4</answer>"
    assert trl("format", [text], problem()) == [0.0]
    assert trl("format", [text], problem(), thinking_open=True) == [1.0]


def test_plain_text_data_with_a_gold_column_will_do() -> None:
    (accuracy,) = reward_funcs(["accuracy"])
    assert accuracy(
        prompts=["2 + 2 = ?"] * 2,
        completions=[r"\boxed{4}", r"\boxed{5}"],
        completion_ids=[[1], [2]],
        solution=["4", "4"],
    ) == [1.0, 0.0]
    (form,) = reward_funcs(["format"])
    rest = "a</think><answer>4</answer>"
    assert form(prompts=["2 + 2 <think>\n"], completions=[rest], answer=["4"]) == [1.0]


def test_reasoning_that_a_parser_took_out_goes_back_in_front() -> None:
    (form,) = reward_funcs(["format"])
    turn = {"role": "assistant", "reasoning_content": "a", "content": "<answer>4</answer>"}
    assert form(
        prompts=[[{"role": "user", "content": "2"}]], completions=[[turn]], answer=["4"]
    ) == [1.0]


def test_data_without_any_answer_is_refused() -> None:
    (accuracy,) = reward_funcs(["accuracy"])
    with pytest.raises(UsageError, match="needs a `problem` column"):
        accuracy(prompts=["a"], completions=["b"], completion_ids=[[1]])


def test_a_rule_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="given twice"):
        reward_funcs(["format:1", "format:2"])


def test_the_functions_go_to_other_processes() -> None:
    (func,) = pickle.loads(pickle.dumps(reward_funcs(["accuracy"])))
    assert func(prompts=["a"], completions=[r"\boxed{4}"], answer=["4"]) == [1.0]


def test_verl_gets_the_score_and_every_component() -> None:
    row = verl_row(problem(), 3)
    found = compute_score(
        row["data_source"],
        RIGHT + "<|im_end|>\n",
        row["reward_model"]["ground_truth"],
        row["extra_info"],
        rules=["accuracy:1", "format:0.5", "program:0"],
    )
    program = found.pop("program")
    assert found == {"score": 1.5, "acc": 1.0, "accuracy": 1.0, "format": 1.0}
    assert math.isnan(program)


def test_verl_rules_may_be_one_text() -> None:
    found = compute_score("sums", WRONG, "4", rules="accuracy:1,wrong=-1;format:0.5")
    assert found == {"score": -0.5, "acc": 0.0, "accuracy": -1.0, "format": 1.0}


def test_verl_programs_are_run_by_their_hidden_tests() -> None:
    row = verl_row(adding(), 0)
    scores = [compute_score("sums", text, "", row["extra_info"])["score"] for text in (GOOD, BAD)]
    assert scores == [1.0, 0.0]


def test_what_nobody_can_grade_has_a_score_of_zero_and_no_accuracy() -> None:
    found = compute_score("chat", "hello", None)
    assert found["score"] == 0.0
    assert math.isnan(found["acc"])


def test_graders_start_again_after_they_were_closed() -> None:
    assert compute_score("sums", r"\boxed{4}", "4")["score"] == 1.0
    close()
    close()
    assert compute_score("sums", r"\boxed{5}", "4")["score"] == 0.0
    assert compute_score("sums", r"\boxed{(x+1)^2}", "x^2+2x+1")["score"] == 1.0


def test_a_forked_process_has_graders_of_its_own() -> None:
    code = (
        "import multiprocessing as mp\n"
        "from reasonbench.trainers.export_rewards import compute_score\n"
        "def score(n):\n"
        "    return compute_score('d', r'\\boxed{(x+%d)^2}' % n, 'x^2+2x+1')['score']\n"
        "print(score(1))\n"
        "with mp.get_context('fork').Pool(2) as pool: print(pool.map(score, range(4)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("1.0\n[0.0, 1.0, 0.0, 0.0]\n", 0), done.stderr


def test_a_process_that_called_it_ends_cleanly() -> None:
    code = (
        "from reasonbench.trainers.export_rewards import compute_score\n"
        "print(compute_score('d', r'\\boxed{(x+1)^2}', 'x^2+2x+1')['score'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("1.0\n", "", 0)


@pytest.mark.parametrize("name", ["builtin-arithmetic", "builtin-countdown", "builtin-code"])
def test_problems_survive_the_column(name: str) -> None:
    for one in load(get(name)).problems[:20]:
        back = read_problem(problem_json(one))
        assert (back.id, back.gold, back.question.text) == (one.id, one.gold, one.question.text)
        assert json.loads(problem_json(back)) == json.loads(problem_json(one))


@pytest.mark.parametrize("broken", ["{", "[]", "{}", "3", '{"id": "a"}'])
def test_a_broken_column_gets_one_sentence(broken: str) -> None:
    with pytest.raises(UsageError, match="a `problem` is not as"):
        read_problem(broken)


@pytest.mark.parametrize("form", ["trl", "verl"])
@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_rows_are_written_and_read_back(tmp_path: Path, form: str, ending: str) -> None:
    import pandas as pd

    problems = load(get("builtin-code")).problems[:3]
    path = tmp_path / f"rows{ending}"
    assert write_rows(path, problems, form, "r1") == 3
    read = pd.read_json(path, lines=True) if ending == ".jsonl" else pd.read_parquet(path)
    row = read.iloc[1]
    assert "<think>" in row["prompt"][0]["content"]
    column = row["problem"] if form == "trl" else row["extra_info"]["problem"]
    assert read_problem(column).id == problems[1].id


def test_other_endings_and_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="they go to"):
        write_rows(tmp_path / "rows.csv", [problem()], "trl")
    with pytest.raises(UsageError, match="did you mean verl"):
        write_rows(tmp_path / "rows.jsonl", [problem()], "verll")


def test_a_run_s_problems_are_exported_by_the_command(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from reasonbench.cli.export import command
    from tests.stored_runs import Drawn, Item, write_run

    write_run(tmp_path / "run", {"a": Item([Drawn(0, True)] * 2)}, ["cot@2"])
    out = tmp_path / "rows.jsonl"
    done = CliRunner().invoke(
        command, [str(tmp_path / "run"), str(out), "--format", "verl", "--style", "r1"]
    )
    assert done.exit_code == 0, done.output
    assert done.output == f"1 problems written to {out} as training rows of verl\n"
    (row,) = map(json.loads, out.read_text("utf-8").splitlines())
    assert row["data_source"] == "sums"
    assert "<think>" in row["prompt"][0]["content"]


@pytest.mark.parametrize("rules", [["accuracy:1"], ["cosine:1,max=4096", "format:1"]])
def test_what_verls_grader_could_not_judge_has_no_score_but_a_given_one(rules: list[str]) -> None:
    broken = replace(problem(), gold="four")
    broken = replace(broken, question=replace(broken.question, kind="integer"))
    info = {"problem": problem_json(broken)}
    assert math.isnan(compute_score("made", RIGHT, "four", info, rules=rules)["score"])
    assert compute_score("made", RIGHT, "four", info, rules=rules, ungraded=0.25)["score"] == 0.25
    assert compute_score("made", RIGHT, "four", info, rules=["format:1"])["score"] == 1.0
