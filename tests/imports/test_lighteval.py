"""Details of lighteval, new and old."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from reasonbench.errors import UsageError
from reasonbench.imports import open_log, recognise
from tests.imports.importing import bring
from tests.imports.logs import (
    DATE,
    QUESTIONS,
    lighteval_row,
    old_lighteval_row,
    write_gsm8k,
    write_lighteval,
)


def test_lighteval_golden(tmp_path: Path) -> None:
    """The question stands inside the prompt; tokens, settings and verdicts are read."""
    rows = [
        lighteval_row(0, ["The answer is 5.", "\\boxed{6}"], {"em": [1, 0], "avg@n": 0.5}),
        lighteval_row(1, ["#### 41", "The answer is 40."], {"em": [0, 0], "avg@n": 0.0}),
    ]
    path = write_lighteval(tmp_path, rows)
    assert recognise(path) == "lighteval"
    made = bring(tmp_path, path, data=write_gsm8k(tmp_path), names=["gsm8k"])
    found = made.samples("gsm8k")
    assert [key for key, sample in found.items() if sample.verdict == "correct"] == [
        ("test-0", 0), ("test-1", 1)
    ]  # fmt: skip
    scores = {name: score.whole for name, score in found["test-0", 0].scores.items()}
    assert scores == {"lighteval:em": 1.0, "lighteval:avg@n (of all 2)": 0.5}
    assert made.accuracy() == 0.5
    assert made.accuracy("oracle") == 1.0
    row = made.results["rows"][0]
    assert (row["prompt_tokens"], row["tokens_mean"]) == (11, 7.5)
    agreement = made.brought.agreement
    assert (agreement.both_right, agreement.both_wrong, agreement.we_accept) == (1, 2, 1)
    model = made.results["model"]
    assert (model["model"], model["engine"], model["engine_version"], model["dtype"]) == (
        "maker/model-3", "lighteval", "3fd1526", "bfloat16"
    )  # fmt: skip
    pool = made.results["protocol"]["benchmarks"]["gsm8k"]["pools"]["imported"]
    assert (pool["temperature"], pool["max_tokens"], pool["limit"]) == (0.6, 256, 2)
    notes = " ".join(made.results["protocol"]["notes"])
    assert "how samples ended is unknown" in notes
    assert "token counts" not in notes


def test_reasoning_that_a_server_gave_apart_is_thinking(tmp_path: Path) -> None:
    row = lighteval_row(0, ["5"], {"em": 1}, reasonings=["it is \\boxed{9}"])
    made = bring(tmp_path, write_lighteval(tmp_path, [row]))
    (sample,) = made.samples("lighteval|gsm8k").values()
    assert (sample.verdict, sample.answer) == ("correct", "5")


@pytest.mark.parametrize("numpy", [False, True])
def test_the_older_layout_of_python_texts(tmp_path: Path, numpy: bool) -> None:
    row = old_lighteval_row(0, 'He said "5".\nThe answer is 5.', {"qem": 0})
    if numpy:
        row["metrics"] = "{'qem': np.float64(0.0)}"
    path = tmp_path / f"details_lighteval|gsm8k|0_{DATE}.parquet"
    parquet.write_table(pa.Table.from_pylist([row]), path)
    (sample,) = open_log(path).samples()
    assert (sample.question, sample.target) == (QUESTIONS[0], "2 + 3 = 5.\n#### 5")
    assert sample.text == 'He said "5".\nThe answer is 5.'
    assert (sample.prompt_tokens, sample.decode_tokens) == (3, 2)
    assert (sample.label, sample.scores) == (False, {"qem": 0.0})
    assert sample.task == "lighteval|gsm8k|0"


def test_the_older_layout_of_typed_columns(tmp_path: Path) -> None:
    row = {
        "example": QUESTIONS[1], "full_prompt": QUESTIONS[1], "predictions": ["40"],
        "gold": ["40"], "choices": ["40"], "gold_index": [0], "metrics": {"em": 1.0},
        "input_tokens": [[1, 2]], "cont_tokens": [[3]], "instruction": "",
    }  # fmt: skip
    path = tmp_path / f"details_community|mine|0_{DATE}.parquet"
    parquet.write_table(pa.Table.from_pylist([row]), path)
    (sample,) = open_log(path).samples()
    assert (sample.text, sample.target, sample.label) == ("40", "40", True)


def test_likelihoods_are_ungraded(tmp_path: Path) -> None:
    row = lighteval_row(0, [], {"acc": 1.0})
    row["model_response"]["logprobs"] = [-0.5, -1.0]
    made = bring(tmp_path, write_lighteval(tmp_path, [row]))
    (sample,) = made.samples("lighteval|gsm8k").values()
    assert sample.verdict == "ungraded"
    assert made.brought.agreement.ungraded == 1


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = write_lighteval(tmp_path, [lighteval_row(0, ["5"] * 50, {"em": 1})])
    raw = path.read_bytes()
    path.write_bytes(raw[:-300] + bytes(200) + raw[-100:])
    with pytest.raises(UsageError, match=r"no readable parquet file|is damaged"):
        bring(tmp_path, path)
    path.write_bytes(raw[:8] + b"\xff" * 200 + raw[208:])
    with pytest.raises(UsageError, match="is damaged after row 0"):
        bring(tmp_path, path)
    assert not (tmp_path / "run").exists()


def test_other_columns_are_told(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.Table.from_pylist([{"a": 1}]), path)
    with pytest.raises(UsageError, match=r"no details of lighteval \(columns a\)"):
        open_log(path)
