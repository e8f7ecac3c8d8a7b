"""`reasonbench distill` with a served teacher, and with a served second model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.distill.material import rows
from tests.engines.served_model import ServedModel
from tests.recorded_files import FIELDS, write_completions, write_problems
from tests.test_cli import refused, run

SECRET = "sk-very-s3cret"
SUMS = ("--benchmark", "mine.jsonl", *FIELDS, "--strategy", "cot@4")


@pytest.fixture
def chat() -> Iterator[ServedModel]:
    server = ServedModel("chat")
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_problems(tmp_path / "mine.jsonl")
    write_completions(tmp_path / "said.jsonl")
    return tmp_path


def boxed(answer: dict[str, Any]) -> dict[str, Any]:
    """Thinking in its own field, and a right answer to one of the sums."""
    (choice,) = answer["choices"]
    said = {"content": "It is \\boxed{2}.", "reasoning_content": "One and one."}
    return answer | {"choices": [choice | {"message": said}]}


def test_a_served_teacher_writes_rows(
    chat: ServedModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.key, chat.answer = SECRET, boxed
    monkeypatch.setenv("MY_KEY", SECRET)
    done = run("distill", "--model", "openai:toy", "--base-url", chat.url, "--api-key-env",
               "MY_KEY", *SUMS, "--out", "o", "--ask", "sampled", cwd=folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = rows(folder / "o" / "data.jsonl")
    asked, said = row["messages"]
    assert asked["role"] == "user"
    assert said["content"] == "<think>\nOne and one.\n</think>\n\nIt is \\boxed{2}."
    assert row["source"]["model"] == "openai:toy"
    assert row["source"]["tokens"] > 0
    for path in (folder / "o").rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


def test_a_served_teacher_stops_at_its_price(chat: ServedModel, folder: Path) -> None:
    args = ("distill", "--model", "openai:toy", "--base-url", chat.url, *SUMS, "--out", "o",
            "--price-in", "0", "--price-out", "1000", "--max-in-flight", "1")  # fmt: skip
    stopped = run(*args, "--max-usd", "0.0001", cwd=folder)
    assert "stopped early (--max-usd 0.0001)" in stopped.stderr
    assert not (folder / "o" / "data.jsonl").exists()


def test_a_served_second_model_rewrites(chat: ServedModel, folder: Path) -> None:
    def rewritten(answer: dict[str, Any]) -> dict[str, Any]:
        (choice,) = answer["choices"]
        text = "<rewritten><think>\nI add.\n</think>\n\nThe sum is \\boxed{2}.</rewritten>"
        return answer | {"choices": [choice | {"message": {"content": text}}]}

    chat.answer = rewritten
    done = run("distill", "--engine", "replay", "--model", "said.jsonl", *SUMS, "--out", "o",
               "--rewrite-model", "openai:toy", "--rewrite-base-url", chat.url,
               "--cap", "1", cwd=folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = rows(folder / "o" / "data.jsonl")
    assert row["messages"][-1]["content"].endswith("The sum is \\boxed{2}.")
    assert row["source"]["rewritten"]["model"] == "openai:toy"
    assert json.loads((folder / "o" / "summary.json").read_text())["rows"] == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--model", "openai:toy"), "needs --base-url"),
        (("--rewrite-model", "openai:toy"), "--rewrite-base-url"),
        (("--rewrite-model", "m", "--rewrite-base-url", "http://x/v1"), "has no meaning"),
        (("--model", "openai:toy", "--base-url", "http://x/v1", "--rewrite-model", "openai:toy",
          "--price-in", "1", "--price-out", "1", "--max-usd", "1"), "second model"),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_in_a_sentence(
    folder: Path, args: tuple[str, ...], message: str
) -> None:
    assert message in refused("distill", *SUMS, *args, "--out", "o", cwd=folder)
