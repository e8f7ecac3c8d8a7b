"""Programs of EvalPlus and LiveCodeBench: they run in the sandbox and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonbench.errors import UsageError
from reasonbench.imports import open_log, recognise
from tests.imports.importing import Made, bring
from tests.recorded_files import write_rows
from tests.recorded_programs import BODIES, PROMPTS, WRONG, write_benchmark

TASKS = list(PROMPTS)
WHOLE = {task: PROMPTS[task] + BODIES[task] for task in TASKS}


def verdicts(made: Made) -> list[str | None]:
    return [sample.verdict for sample in made.samples("humaneval").values()]


def test_evalplus_golden(tmp_path: Path) -> None:
    """Samples with solutions and with completions; model and temperature from the name."""
    rows = [
        {"task_id": TASKS[0], "solution": WHOLE[TASKS[0]]},
        {"task_id": TASKS[0], "completion": WRONG},
        {"task_id": TASKS[1], "solution": f"```python\n{WHOLE[TASKS[1]]}```"},
        {"task_id": TASKS[1], "completion": BODIES[TASKS[1]]},
    ]
    path = write_rows(tmp_path / "maker--model-4_vllm_temp_0.8.jsonl", rows)
    assert recognise(path) == "evalplus"
    made = bring(tmp_path, path, data=write_benchmark(tmp_path), names=["humaneval"])
    assert verdicts(made) == ["correct", "incorrect", "correct", "correct"]
    assert made.accuracy() == 0.75
    assert made.results["model"]["model"] == "maker/model-4"
    protocol = made.results["protocol"]
    pool = protocol["benchmarks"]["humaneval"]["pools"]["imported-programs"]
    assert (pool["temperature"], pool["answers_only"]) == (0.8, True)
    notes = " ".join(protocol["notes"])
    assert "1 of its 3 problems have no sample" in notes
    assert "no verdicts of their own" in notes


def test_evalplus_results_are_compared(tmp_path: Path) -> None:
    def result(task: str, program: str, base: str, plus: str | None) -> dict[str, Any]:
        return {"task_id": task, "solution": program, "base_status": base, "plus_status": plus,
                "base_fail_tests": [], "plus_fail_tests": []}  # fmt: skip

    results = {
        "date": "2025-03-01 10:20",
        "hash": "0" * 32,
        "eval": {
            TASKS[0]: [result(TASKS[0], WHOLE[TASKS[0]], "pass", "fail"),
                       result(TASKS[0], PROMPTS[TASKS[0]] + WRONG, "fail", "fail")],
            TASKS[1]: [result(TASKS[1], WHOLE[TASKS[1]], "pass", "pass"),
                       result(TASKS[1], PROMPTS[TASKS[1]] + WRONG, "timeout", "timeout")],
            TASKS[2]: [],
        },
        "pass_at_k": {"base": {"pass@1": 0.5}},
    }  # fmt: skip
    path = tmp_path / "m_vllm_temp_0.0_eval_results.json"
    path.write_text(json.dumps(results), encoding="utf-8")
    assert recognise(path) == "evalplus"
    data = write_benchmark(tmp_path)
    agreement = bring(tmp_path / "plus", path, data=data, names=["humaneval"]).brought.agreement
    assert (agreement.both_right, agreement.both_wrong, agreement.we_accept) == (1, 2, 1)
    base = [sample.label for sample in open_log(path, metric="base").samples()]
    assert base == [True, False, True, False]


def test_raw_outputs_of_evalplus_are_responses(tmp_path: Path) -> None:
    """Beside the programs lies what they were taken from; a model that completes has no fences."""
    rows = [
        {"task_id": TASKS[0], "solution": f"Here it is:\n```python\n{WHOLE[TASKS[0]]}```\nDone."},
        {"task_id": TASKS[1], "solution": WHOLE[TASKS[1]]},
        {"task_id": TASKS[2], "solution": "I cannot."},
    ]
    path = write_rows(tmp_path / "m_openai_temp_0.0.raw.jsonl", rows)
    made = bring(tmp_path, path, data=write_benchmark(tmp_path), names=["humaneval"])
    assert verdicts(made) == ["correct", "correct", "incorrect"]
    assert list(made.results["protocol"]["benchmarks"]["humaneval"]["pools"]) == ["imported"]


def test_an_evalplus_folder(tmp_path: Path) -> None:
    for task, number, program in ((TASKS[0], 0, WHOLE[TASKS[0]]), (TASKS[0], 10, "x"),
                                  (TASKS[0], 2, WHOLE[TASKS[0]])):  # fmt: skip
        folder = tmp_path / "m_hf_temp_0.2" / task.replace("/", "_")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.py").write_text(program, encoding="utf-8")
    made = bring(tmp_path, tmp_path / "m_hf_temp_0.2", data=write_benchmark(tmp_path),
                 names=["humaneval"])  # fmt: skip
    assert verdicts(made) == ["correct", "correct", "incorrect"]


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.py"
    secret.write_text("password", encoding="utf-8")
    folder = tmp_path / "programs" / "HumanEval_0"
    folder.mkdir(parents=True)
    (folder / "0.py").symlink_to(secret)
    (tmp_path / "programs" / "HumanEval_1").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="holds no programs"):
        list(open_log(tmp_path / "programs").samples())


def test_programs_without_a_benchmark_are_stored_ungraded(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"task_id": TASKS[0], "solution": WHOLE[TASKS[0]]}])
    made = bring(tmp_path, path)
    (sample,) = made.samples("HumanEval").values()
    assert (sample.verdict, sample.text) == ("ungraded", WHOLE[TASKS[0]])
    assert sample.reason is not None
    assert "tests" in sample.reason


def problem(task: str, programs: list[str], **more: Any) -> dict[str, Any]:
    """An element of LiveCodeBench's outputs (ids of HumanEval, whose data the test has)."""
    about = {"question_title": "t", "question_content": "c", "platform": "leetcode"}
    return {"question_id": task, **about, "difficulty": "easy", "code_list": programs, **more}


def test_livecodebench_golden(tmp_path: Path) -> None:
    """Responses are extracted anew; the runner's names hold model, n and temperature."""
    rows = [
        problem(TASKS[0], ["x", "y"],
                output_list=[f"Here:\n```python\n{WHOLE[TASKS[0]]}\n```", "I do not know."],
                graded_list=[True, True], **{"pass@1": 1.0}, metadata=["{}", "{}"]),
        problem(TASKS[1], ["x", "y"],
                output_list=[f"```python\n{WHOLE[TASKS[1]]}\n```", "```python\nx\n```"],
                graded_list=[True, False], **{"pass@1": 0.5}, metadata=["{}", "{}"]),
    ]  # fmt: skip
    folder = tmp_path / "output" / "Model-5"
    folder.mkdir(parents=True)
    path = folder / "Scenario.codegeneration_2_0.2_eval_all.json"
    path.write_text(json.dumps(rows, indent=4), encoding="utf-8")
    assert recognise(path) == "livecodebench"
    made = bring(tmp_path, path, data=write_benchmark(tmp_path), names=["humaneval"])
    assert verdicts(made) == ["correct", "incorrect", "correct", "incorrect"]
    agreement = made.brought.agreement
    assert (agreement.both_right, agreement.both_wrong, agreement.we_refuse) == (2, 1, 1)
    assert made.results["model"]["model"] == "Model-5"
    pool = made.results["protocol"]["benchmarks"]["humaneval"]["pools"]["imported"]
    assert (pool["n"], pool["temperature"]) == (2, 0.2)


def test_livecodebench_custom_programs(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([problem(TASKS[0], [WHOLE[TASKS[0]]])]), encoding="utf-8")
    (sample,) = open_log(path).samples()
    assert (sample.program, sample.label) == (True, None)
    made = bring(tmp_path, path, data=write_benchmark(tmp_path), names=["humaneval"])
    assert verdicts(made) == ["correct"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ([[["a"]]], "lists without ids"),
        ([{"pass@1": 0.5, "detail": {}}, {}, []], "holds metrics only"),
        ([{"question_id": "1", "pred_list": ["a"]}], "only outputs of code generation"),
        ([], "of no harness"),
        ([problem("a", ["x"], graded_list=[True, False])], "graded_list has 2 verdicts for 1"),
        ([problem("a", [1])], "element 0 of code_list is no text"),
    ],
)
def test_other_outputs_of_livecodebench_are_told(
    tmp_path: Path, content: list[Any], what: str
) -> None:
    path = tmp_path / "out.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UsageError, match=what):
        list(open_log(path).samples())


def test_programs_and_responses_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text(json.dumps([problem("q", ["x"], output_list=["so: x"])]), encoding="utf-8")
    other = tmp_path / "other.json"
    other.write_text(json.dumps([problem("q", ["x"])]), encoding="utf-8")
    with pytest.raises(UsageError, match="import them into runs of their own"):
        bring(tmp_path, path, other)
