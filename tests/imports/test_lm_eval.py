"""Sample logs of lm-evaluation-harness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonbench.errors import UsageError
from reasonbench.imports import open_log, recognise
from tests.imports.importing import bring
from tests.imports.logs import DATE, QUESTIONS, lm_eval_row, write_gsm8k, write_lm_eval

RIGHT, WRONG = "2 + 3 = 5. The answer is 5.", "The answer is \\boxed{41}."


def two_filters() -> list[dict[str, object]]:
    """Both questions under two filters, as the harness writes them: filter by filter."""
    return [
        lm_eval_row(0, [RIGHT], {"exact_match": 0.0}),
        lm_eval_row(1, [WRONG], {"exact_match": 0.0}),
        lm_eval_row(0, [RIGHT], {"exact_match": 1.0}, "flexible"),
        lm_eval_row(1, [WRONG], {"exact_match": 1.0}, "flexible"),
    ]


def test_lm_eval_golden(tmp_path: Path) -> None:
    """Every response once, matched with GSM8K by its text, both filters' verdicts kept."""
    path = write_lm_eval(tmp_path / "log", two_filters())
    made = bring(tmp_path, path, data=write_gsm8k(tmp_path), names=["gsm8k"])
    found = made.samples("gsm8k")
    assert list(found) == [("test-0", 0), ("test-1", 0)]
    assert [sample.verdict for sample in found.values()] == ["correct", "incorrect"]
    scores = {name: score.whole for name, score in found["test-1", 0].scores.items()}
    assert scores == {
        "lm-evaluation-harness:exact_match,strict": 0.0,
        "lm-evaluation-harness:exact_match,flexible": 1.0,
    }
    assert found["test-0", 0].text == RIGHT
    agreement = made.brought.agreement
    assert (agreement.both_wrong, agreement.we_accept, agreement.we_refuse) == (1, 1, 0)
    model = made.results["model"]
    assert (model["model"], model["engine"], model["engine_version"]) == (
        "maker/model-1b", "lm-evaluation-harness", "0.4.9"
    )  # fmt: skip
    assert (model["dtype"], model["revision"], model["parameters"]) == ("bfloat16", "0123abc", 1000)
    task = made.results["protocol"]["benchmarks"]["gsm8k"]
    pool = task["pools"]["imported"]
    assert (pool["temperature"], pool["max_tokens"], pool["n"]) == (0.6, 512, 1)
    assert (pool["top_p"], pool["few_shot"], pool["chat_template"]) == (0.9, 5, True)
    assert (pool["tokens"], pool["ends"]) == ("unknown", "unknown")
    assert task["protocol"] == "imported from lm-evaluation-harness 0.4.9"
    assert "what is measured here" in made.results["protocol"]["deviations"][0]
    notes = " ".join(made.results["protocol"]["notes"])
    assert "token counts are unknown" in notes
    assert "how samples ended is unknown" in notes


def test_unknown_tokens_are_no_numbers_anywhere(tmp_path: Path) -> None:
    from reasonbench.runs import Run

    made = bring(tmp_path, write_lm_eval(tmp_path / "log", two_filters()))
    rows = made.results["rows"]
    assert {row["decode_tokens"] for row in rows} == {None}
    assert {row["truncated"] for row in rows} == {None}  # nobody says how they ended
    assert {row["flops"] for row in rows} == {row["tokens_mean"] for row in rows} == {None}
    used = made.results["run"]["usage"]
    assert {used[name] for name in used if "reward" not in name} == {None}
    Run.open(made.folder).export(tmp_path / "samples.jsonl")
    line = json.loads((tmp_path / "samples.jsonl").read_text().splitlines()[0])
    assert line["tokens"] is line["prompt_tokens"] is None


def test_another_filter_counts_where_it_is_asked_for(tmp_path: Path) -> None:
    path = write_lm_eval(tmp_path / "log", two_filters())
    agreement = bring(tmp_path, path, metric="exact_match,flexible").brought.agreement
    assert (agreement.both_right, agreement.we_refuse) == (1, 1)


def test_a_metric_that_no_sample_has_is_told(tmp_path: Path) -> None:
    path = write_lm_eval(tmp_path / "log", two_filters())
    with pytest.raises(UsageError, match=r"no sample has a verdict of 'acc'; .*exact_match,strict"):
        bring(tmp_path, path, metric="acc")


@pytest.mark.parametrize("array", [False, True])
def test_logs_before_filters_were_named(tmp_path: Path, array: bool) -> None:
    """0.4.0 to 0.4.2: a document just comes again, and the file may be one JSON array."""
    rows = [
        lm_eval_row(0, [RIGHT], {"exact_match": 1.0}, None),
        lm_eval_row(1, [WRONG], {"exact_match": 0.0}, None),
        lm_eval_row(0, [RIGHT], {"exact_match": 0.0}, None),
    ]
    path = write_lm_eval(tmp_path / "log", rows)
    if array:
        path.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    found = [(s.problem_id, s.label, s.again) for s in open_log(path).samples()]
    assert found == [("0", True, None), ("1", False, None), ("0", None, 0)]


def test_repeats_are_samples_and_one_number_for_all_is_no_verdict(tmp_path: Path) -> None:
    rows = [lm_eval_row(0, [RIGHT, WRONG], {"exact_match": 1.0, "each": [1, 0]})]
    found = list(open_log(write_lm_eval(tmp_path, rows)).samples())
    assert [sample.label for sample in found] == [True, False]
    assert found[0].scores == {"exact_match,strict (of all 2)": 1.0, "each,strict": 1.0}
    assert found[1].scores == {"each,strict": 0.0}


def test_answers_chosen_by_likelihood_are_ungraded_with_the_reason(tmp_path: Path) -> None:
    row = lm_eval_row(0, [], {"acc": 1.0})
    row["resps"] = [[["-1.5", "False"]], [["-0.5", "True"]]]
    row["target"] = "1"
    made = bring(tmp_path, write_lm_eval(tmp_path / "log", [row], task="arc_easy"))
    (sample,) = made.samples("arc_easy").values()
    assert (sample.verdict, sample.finish) == ("ungraded", None)
    assert sample.reason is not None
    assert "log-probabilities" in sample.reason
    assert sample.scores["lm-evaluation-harness:acc,strict"].whole == 1.0
    assert made.accuracy() is None


@pytest.mark.parametrize(
    "arguments", [{"gen_args_0": {"arg_0": "a document"}}, [["a document"]], [["Q:", " A"]]]
)
def test_the_log_probability_of_a_document_is_no_response(tmp_path: Path, arguments: Any) -> None:
    """`loglikelihood_rolling` writes it as a number in quotes where responses stand."""
    row = lm_eval_row(0, ["-123.25"], {"word_perplexity": [-123.25, 40]})
    row["arguments"] = arguments
    (found,) = open_log(write_lm_eval(tmp_path, [row], task="wikitext")).samples()
    assert found.text is None
    assert "log-probabilities" in (found.failure or "")


def test_chats_are_asked_in_a_list(tmp_path: Path) -> None:
    """Servers of chats get the prompt as JSON in a list of one."""
    row = lm_eval_row(0, [RIGHT], {"exact_match": 1.0})
    row["arguments"]["gen_args_0"]["arg_0"] = ['[{"role": "user", "content": "Question: …"}]']
    (found,) = open_log(write_lm_eval(tmp_path, [row])).samples()
    assert (found.text, found.label) == (RIGHT, True)


def test_a_choice_among_more_options_than_letters_is_told(tmp_path: Path) -> None:
    """MMLU-Pro+ goes up to L: graded in part it would measure only the problems with few."""
    row = lm_eval_row(0, ["The answer is (L)."], {"exact_match": 1.0})
    row["doc"] = {"question": "Which?", "options": [f"option {i}" for i in range(12)]}
    row["target"] = "L"
    made = bring(tmp_path, write_lm_eval(tmp_path / "log", [row], task="mmlu_pro_plus"))
    (sample,) = made.samples("mmlu_pro_plus").values()
    assert sample.verdict == "ungraded"
    assert "more than 10 options" in " ".join(made.results["protocol"]["notes"])


def test_letters_are_graded_as_choices(tmp_path: Path) -> None:
    row = lm_eval_row(0, ["The answer is (B)."], {"exact_match": 1.0})
    row["doc"] = {"Question": "Which?", "choices": ["red", "green"]}
    row["target"] = "(B)"
    made = bring(tmp_path, write_lm_eval(tmp_path / "log", [row], task="some_choice"))
    (sample,) = made.samples("some_choice").values()
    assert (sample.verdict, sample.layer) == ("correct", "choice")


def test_a_target_that_is_a_text_is_not_graded(tmp_path: Path) -> None:
    row = lm_eval_row(0, ["Yes."], {"bleu": 0.2})
    row["target"] = "A long answer in words.\nWith two lines."
    made = bring(tmp_path, write_lm_eval(tmp_path / "log", [row], task="essays"))
    (sample,) = made.samples("essays").values()
    assert (sample.verdict, sample.layer, sample.text) == ("ungraded", "ungradable", "Yes.")


def test_programs_are_graded_by_the_tests_of_the_logs_own_document(tmp_path: Path) -> None:
    prompt = 'def add(a, b):\n    """Add two numbers."""\n'
    rows = []
    for at, body in enumerate(("    return a + b\n", "    return a\n")):
        row = lm_eval_row(at, [body], {"pass@1": float(at == 0)})
        row["doc"] = {
            "task_id": f"HumanEval/{at}",
            "prompt": prompt,
            "canonical_solution": "    return a + b\n",
            "entry_point": "add",
            "test": "def check(f):\n    assert f(2, 3) == 5\n",
        }
        row["target"] = row["doc"]["test"] + "\ncheck(add)"
        rows.append(row)
    made = bring(tmp_path, write_lm_eval(tmp_path / "log", rows, task="humaneval"))
    verdicts = [sample.verdict for sample in made.samples("humaneval").values()]
    assert verdicts == ["correct", "incorrect"]
    assert made.brought.agreement.both_right == made.brought.agreement.both_wrong == 1


def test_a_log_without_results_says_so(tmp_path: Path) -> None:
    path = write_lm_eval(tmp_path, two_filters(), results=False)
    origin = open_log(path).origin
    assert origin.model is None
    assert origin.settings == {"temperature": 0.6, "do_sample": True}
    assert "results" in origin.notes[0]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"doc_id": 1, "doc": {}, "re', "line 2: broken JSON"),
        ('{"doc_id": 1}', "line 2: no sample of lm-evaluation-harness"),
        ("[" * 100_000, "line 2: JSON that is nested too deeply"),
        ('{"doc_id": ' + "9" * 5000 + "}", "line 2: JSON with a number that is too long"),
    ],
)
def test_a_damaged_line_is_named_and_leaves_no_run(tmp_path: Path, line: str, what: str) -> None:
    path = write_lm_eval(tmp_path / "log", two_filters()[:1])
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(UsageError, match=what):
        bring(tmp_path, path)
    assert not (tmp_path / "run").exists()


def test_broken_results_are_told(tmp_path: Path) -> None:
    path = write_lm_eval(tmp_path, two_filters())
    (tmp_path / f"results_{DATE}.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"results_.*json: broken JSON"):
        open_log(path)


def test_odd_ids_are_stored(tmp_path: Path) -> None:
    row = lm_eval_row(0, [RIGHT], {"exact_match": 1.0})
    row["doc_id"] = "x" * 1000 + "\ud800"
    row["doc"] = {"question": QUESTIONS[0]}
    made = bring(tmp_path, write_lm_eval(tmp_path / "log", [row]))
    ((name, _),) = made.samples("gsm8k")
    assert len(name) < 250


def test_what_results_say_is_stored_whatever_it_is(tmp_path: Path) -> None:
    path = write_lm_eval(tmp_path / "log", [lm_eval_row(0, ["\\boxed{\ud800}"], {"m": 1.0})])
    beside = tmp_path / "log" / f"results_{DATE}.json"
    results = json.loads(beside.read_text())
    results["model_name"] = "m" * 10_000 + "\ud800"
    results["config"] |= {"gen_kwargs": {"temperature": float("inf"), "top_p": "\ud800"},
                          "limit": {"deep": [1]}}  # fmt: skip
    results["configs"]["gsm8k"] = {"filter_list": [1, {"name": "\udfff"}]}
    beside.write_text(json.dumps(results), encoding="utf-8")
    made = bring(tmp_path, path)
    assert len(made.results["model"]["model"]) < 250
    pool = made.results["protocol"]["benchmarks"]["gsm8k"]["pools"]["imported"]
    assert "temperature" not in pool
    assert json.loads((made.folder / "results.json").read_text())["rows"]


def test_a_benchmark_that_nothing_answers_is_told(tmp_path: Path) -> None:
    row = lm_eval_row(0, [RIGHT], {"exact_match": 1.0})
    row["doc"] = {"question": "What is one?"}
    path = write_lm_eval(tmp_path / "log", [row])
    with pytest.raises(UsageError, match="no sample answers a problem of gsm8k"):
        bring(tmp_path, path, data=write_gsm8k(tmp_path), names=["gsm8k"])


def test_recognised(tmp_path: Path) -> None:
    assert recognise(write_lm_eval(tmp_path, two_filters())) == "lm-eval"
