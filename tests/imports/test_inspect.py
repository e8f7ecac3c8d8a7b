"""Logs of inspect_ai."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasonbench.errors import UsageError
from reasonbench.imports import bounded, open_log, recognise
from tests.imports.importing import bring
from tests.imports.logs import (
    QUESTIONS,
    inspect_header,
    inspect_sample,
    write_gsm8k,
    write_inspect,
    write_inspect_json,
)

THOUGHT = [
    {"type": "reasoning", "reasoning": "Perhaps \\boxed{9}.", "signature": "s"},
    {"type": "text", "text": "ANSWER: 5"},
]


def four() -> list[dict[str, Any]]:
    """Two epochs of both questions: right, wrong, failed, and cut by a limit."""
    return [
        inspect_sample(1, 2, "I think that", "I", limit={"type": "token", "limit": 64}),
        inspect_sample(0, 2, "ANSWER: 6", "C"),
        inspect_sample(0, 1, THOUGHT, "C"),
        inspect_sample(1, 1, "lost", "I", error={"message": "no\nserver", "traceback": ""}),
    ]


WRITERS: dict[str, Callable[[Path], Path]] = {
    "archive": lambda folder: write_inspect(folder / "log.eval", four()),
    "zstd archive": lambda folder: write_inspect(folder / "log.eval", four(), zstd=True),
    "json": lambda folder: write_inspect_json(folder / "log.json", four()),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_inspect_golden(tmp_path: Path, writer: str) -> None:
    """Epochs are samples; thinking is cut off; limits truncate; errors are ungraded."""
    path = WRITERS[writer](tmp_path)
    assert recognise(path) == "inspect"
    made = bring(tmp_path, path, data=write_gsm8k(tmp_path), names=["gsm8k"])
    found = made.samples("gsm8k")
    kinds = {sample.text: (sample.verdict, sample.finish) for sample in found.values()}
    assert kinds == {
        "<think>Perhaps \\boxed{9}.</think>\nANSWER: 5": ("correct", "stop"),
        "ANSWER: 6": ("incorrect", "stop"),
        "I think that": ("incorrect", "length"),
        None: ("ungraded", None),
    }
    (failed,) = [sample for sample in found.values() if sample.verdict == "ungraded"]
    assert failed.reason == "the sample failed: no server"
    row = made.results["rows"][0]
    assert (row["truncated"], row["ungraded"]) == (0.25, 0.25)
    assert row["tokens_mean"] == 30  # the judge's tokens are not the model's
    assert row["prompt_tokens"] == 25
    agreement = made.brought.agreement
    assert (agreement.both_right, agreement.both_wrong, agreement.we_refuse) == (1, 1, 1)
    assert agreement.ungraded == 1
    model = made.results["model"]
    assert (model["model"], model["engine"], model["engine_version"]) == (
        "provider/model-2", "inspect_ai", "0.3.110"
    )  # fmt: skip
    pool = made.results["protocol"]["benchmarks"]["gsm8k"]["pools"]["imported"]
    assert (pool["temperature"], pool["max_tokens"], pool["top_p"], pool["n"]) == (0.7, 64, 0.95, 2)


def test_epochs_have_the_same_order_in_an_archive_and_every_time(tmp_path: Path) -> None:
    path = write_inspect(tmp_path / "log.eval", four())
    found = [(sample.problem_id, sample.text) for sample in open_log(path).samples()]
    assert [name for name, _ in found] == ["1", "1", "2", "2"]
    assert found[1][1] == "ANSWER: 6"


def test_a_number_is_not_the_id_of_another_benchmarks_problem(tmp_path: Path) -> None:
    """inspect_ai numbers samples itself: only the text says which problem it is."""
    strange = inspect_sample(0, 1, "ANSWER: 5", "C", input="What is 2 + 3?", id="test-1")
    samples = [strange, inspect_sample(0, 1, "ANSWER: 5", "C")]
    path = write_inspect_json(tmp_path / "log.json", samples)
    made = bring(tmp_path, path, data=write_gsm8k(tmp_path), names=["gsm8k"])
    assert list(made.samples("inspect_evals/gsm8k")) == [("test-1", 0)]
    assert list(made.samples("gsm8k")) == [("test-0", 0)]


@pytest.mark.parametrize(
    ("stop", "finish"),
    [("stop", "stop"), ("max_tokens", "length"), ("model_length", "length"), ("unknown", None),
     ("content_filter", "aborted"), ("length", "length")],
)  # fmt: skip
def test_stop_reasons(tmp_path: Path, stop: str, finish: str | None) -> None:
    sample = inspect_sample(0, 1, "5", "C")
    sample["output"]["choices"][0]["stop_reason"] = stop
    (found,) = open_log(write_inspect_json(tmp_path / "log.json", [sample])).samples()
    assert found.finish == finish


def test_the_first_log_format(tmp_path: Path) -> None:
    """`score` instead of `scores`, and `reasoning` beside the text."""
    sample = inspect_sample(0, 1, "5", "C")
    sample["score"] = {"value": "C"}
    del sample["scores"]
    sample["output"]["choices"][0]["message"]["reasoning"] = "2 and 3"
    (found,) = open_log(write_inspect_json(tmp_path / "log.json", [sample], version=1)).samples()
    assert (found.label, found.scores) == (True, {"score": 1.0})
    assert found.text == "<think>2 and 3</think>\n5"


def test_attachments_are_put_back(tmp_path: Path) -> None:
    text = "the answer is 5"
    sample = inspect_sample(0, 1, "attachment://abc", "C", attachments={"abc": text})
    (found,) = open_log(write_inspect_json(tmp_path / "log.json", [sample])).samples()
    assert found.text == text


def test_conversations_ask_what_the_user_said_last(tmp_path: Path) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTIONS[0]}]
    sample = inspect_sample(0, 1, "5", {"a": "C", "b": 0.25}, input=asked)
    (found,) = open_log(write_inspect_json(tmp_path / "log.json", [sample])).samples()
    assert found.question == QUESTIONS[0]
    assert found.scores == {"match.a": 1.0, "match.b": 0.25}


def test_nothing_to_say_before_a_limit_is_truncated_at_no_cost(tmp_path: Path) -> None:
    sample = inspect_sample(0, 1, "", "I", limit={"type": "time", "limit": 1}, model_usage={})
    sample["output"] = {"model": "", "choices": []}
    sample["messages"] = []
    (found,) = open_log(write_inspect_json(tmp_path / "log.json", [sample])).samples()
    assert (found.text, found.finish, found.decode_tokens) == ("", "length", 0)


def test_partly_counted_tokens_are_not_used(tmp_path: Path) -> None:
    """A 0 that means unknown would be wrong in every mean."""
    samples = [inspect_sample(0, 1, "5", "C"), inspect_sample(1, 1, "40", "C", model_usage={})]
    made = bring(tmp_path, write_inspect_json(tmp_path / "log.json", samples))
    assert made.results["rows"][0]["tokens_mean"] is None
    assert "1 of 2 samples are unknown" in " ".join(made.results["protocol"]["notes"])


def test_usage_of_the_only_request_counts_where_that_of_the_sample_is_missing(
    tmp_path: Path,
) -> None:
    samples = [inspect_sample(at, 1, "5", "C", model_usage={}) for at in (0, 1)]
    for at, sample in enumerate(samples):
        sample["output"]["usage"] = {"input_tokens": 66, "output_tokens": 2, "total_tokens": 68}
        turns = [{"role": "assistant", "content": "5", "source": "generate"}] * (at + 1)
        sample["messages"] += turns
    one, several = open_log(write_inspect_json(tmp_path / "log.json", samples)).samples()
    assert (one.prompt_tokens, one.decode_tokens) == (66, 2)
    assert (several.prompt_tokens, several.decode_tokens) == (None, None)


def test_a_large_sample_in_chunks(tmp_path: Path) -> None:
    shell = inspect_sample(0, 1, "5", "C")
    del shell["messages"], shell["attachments"]
    more = {"samples/1_epoch_1/sample.json": json.dumps(shell),
            "samples/1_epoch_1/messages/0.json": "[]"}  # fmt: skip
    (found,) = open_log(write_inspect(tmp_path / "log.eval", [], more=more)).samples()
    assert (found.problem_id, found.text) == ("1", "5")


def test_an_evaluation_that_did_not_end_says_so(tmp_path: Path) -> None:
    path = write_inspect(tmp_path / "log.eval", four()[:1], finished=False)
    assert open_log(path).origin.notes == ("its evaluation did not end well (status started)",)


def test_names_in_an_archive_are_never_paths(tmp_path: Path) -> None:
    sample = json.dumps(inspect_sample(0, 1, "5", "C"))
    more = {"samples/../../../escaped_epoch_1.json": sample, "/etc/outside": "x"}
    folder = tmp_path / "deep" / "deeper" / "deepest"
    folder.mkdir(parents=True)
    path = write_inspect(folder / "log.eval", [], more=more)
    made = bring(folder, path)
    assert made.accuracy() == 1.0
    assert not list(tmp_path.rglob("*escaped*"))


@pytest.mark.parametrize("zstd", [False, True])
def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zstd: bool) -> None:
    """By what really comes out, whatever the directory says."""
    monkeypatch.setattr(bounded, "LARGEST", 1 << 16)
    more = {"samples/2_epoch_1.json": '"' + "a" * (1 << 20) + '"'}
    path = write_inspect(tmp_path / "log.eval", [], zstd=zstd, more=more)
    raw = bytearray(path.read_bytes())
    size = (len(more["samples/2_epoch_1.json"])).to_bytes(4, "little")
    assert size in raw
    path.write_bytes(raw.replace(size, (100).to_bytes(4, "little")))
    with pytest.raises(UsageError, match=r"samples/2_epoch_1.json (is larger|is damaged)"):
        list(open_log(path).samples())


def test_damaged_archives_are_told(tmp_path: Path) -> None:
    path = write_inspect(tmp_path / "log.eval", four())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="is a damaged archive"):
        open_log(path)
    at = whole.index(b"samples/") + 60
    path.write_bytes(whole[:at] + bytes(20) + whole[at + 20 :])
    with pytest.raises(UsageError, match=r"log.eval, samples/.*is damaged"):
        bring(tmp_path, path)
    assert not (tmp_path / "run").exists()


def test_an_archive_of_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UsageError, match="there is no header"):
        open_log(path)


def test_a_json_log_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = write_inspect_json(tmp_path / "log.json", four())
    path.write_text(path.read_text()[:-200], encoding="utf-8")
    with pytest.raises(UsageError, match=r"cut off|should be"):
        bring(tmp_path, path)


def test_a_log_without_a_task_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(inspect_header(eval={}) | {"samples": []}), encoding="utf-8")
    with pytest.raises(UsageError, match="its header names no task"):
        open_log(path)
