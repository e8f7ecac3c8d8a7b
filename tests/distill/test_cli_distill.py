"""`reasonbench distill` as a command: bad input, recorded completions, and the built-in model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasonbench.builtin.tokenizer import build_tokenizer
from reasonbench.trainers.data import Encoder, read_jsonl
from tests.distill.material import rows
from tests.recorded_files import FIELDS, write_completions, write_problems, write_rows
from tests.test_cli import refused
from tests.test_cli import run as command

REPLAY = ("distill", "--engine", "replay", "--model", "said.jsonl", "--benchmark", "mine.jsonl",
          *FIELDS, "--strategy", "cot@4")  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_problems(tmp_path / "mine.jsonl")
    write_completions(tmp_path / "said.jsonl")
    return tmp_path


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--model", "a", "--model", "b"), "one teacher"),
        (("--strategy", "mja@4"), "did you mean maj"),
        (("--benchmark", "builtin-arithmetic-trian"), "did you mean"),
        (("--benchmark", "builtin-code-train:problems=x"), "whole number"),
        (("--benchmark", "builtin-code-train:count=3"), "known: problems, seed"),
        (("--cap", "-1"), "select.cap"),
        (("--prefer", "best"), "select.prefer"),
        (("--near", "2"), "select.near"),
        (("--set", "select.nagram=3"), "select.nagram"),
        (("--set", "nonsense"), "KEY=VALUE"),
        (("--mix", "mine.jsonl"), "FILE:SHARE"),
        (("--mix", "nowhere.jsonl:0.5"), "no file"),
        (("--mix", "mine.jsonl:0.5"), "training record"),
        (("--against", "gsm8"), "did you mean gsm8k"),
        (("--journey", "--strategy", "cot@2"), "grows no tree"),
        (("--rewrite-engine", "vllm"), "--rewrite-model"),
        (("--rewrite-model", "m", "--rewrite-prompt", "nowhere.txt"), "cannot read"),
        (("--student", "./nowhere"), "no tokenizer"),
        (("--student", "builtin", "--form", "messages"), "no meaning"),
        (("--recipe", "nowhere.toml"), "cannot read recipe"),
        (("--shots", "2"), "--exemplars"),
        (("--run", "nowhere"), "holds no run"),
        (("--out", "mine.jsonl"), "cannot write"),
        (("export", "nowhere", "a.md"), "does not exist"),
        (("export", ".", "a.md"), "no finished distillation"),
        (("import", ".", "a.md"), "cannot read"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    args: tuple[str, ...], message: str, folder: Path
) -> None:
    before = sorted(folder.rglob("*"))
    assert message in refused("distill", *args, cwd=folder)
    assert [p for p in sorted(folder.rglob("*")) if "runs" not in p.parts] == before


def test_recorded_completions_become_rows(folder: Path) -> None:
    done = command(*REPLAY, "--out", "o", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    # the even samples are right and all say the same
    assert summary["kept"] == {"sampled": 4}
    assert summary["rejected"] == {"incorrect": 8, "duplicate": 4}
    assert len(rows(folder / "o" / "data.jsonl")) == 4
    table = command(*REPLAY, "--out", "o", cwd=folder).stdout
    assert "duplicate" in table
    assert "25.0 %" in table


def test_the_written_configuration_runs_again(folder: Path) -> None:
    command(*REPLAY, "--out", "a", "--cap", "2", cwd=folder)
    done = command("distill", "--recipe", "a/distill.toml", "--out", "b", cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in ("data.jsonl", "rejects.jsonl", "distill.toml"):
        assert (folder / "a" / name).read_text() == (folder / "b" / name).read_text()


def test_exemplars_stand_before_the_teachers_questions_and_not_in_the_rows(folder: Path) -> None:
    (folder / "long.md").write_text("Question: How?\nAnswer: Let me think at length.\n")
    done = command(*REPLAY, "--exemplars", "long.md", "--out", "o", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    first = rows(folder / "o" / "data.jsonl")[0]
    assert first["source"]["strategy"] == ["cot@4:prompt=few-shot,exemplars=long.md"]
    assert "length" not in first["messages"][0]["content"]
    sampled = command(*REPLAY, "--exemplars", "long.md", "--ask", "sampled", "--out", "o", "-q",
                      cwd=folder)  # fmt: skip
    assert sampled.returncode == 0, sampled.stderr
    assert "length" in rows(folder / "o" / "data.jsonl")[0]["prompt"]


def test_a_second_model_and_an_editor(folder: Path) -> None:
    command(*REPLAY, "--out", "o", "--quiet", cwd=folder)
    write_rows(
        folder / "again.jsonl",
        [
            {"id": row["id"], "text": f"<think>\nI add.\n</think>\n\nAdding both numbers gives "
             f"{row['messages'][-1]['content']}"}
            for row in rows(folder / "o" / "data.jsonl")
        ],
    )  # fmt: skip
    second = ("--rewrite-model", "again.jsonl", "--rewrite-engine", "replay", "--readable")
    done = command(*REPLAY, *second, "--out", "o", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "kept: sampled, rewritten" in done.stdout
    assert command("distill", "export", "o", "sheet.md", cwd=folder).returncode == 0
    assert "exists already" in refused("distill", "export", "o", "sheet.md", cwd=folder)
    sheet = folder / "sheet.md"
    sheet.write_text(sheet.read_text().replace("I add.", "I add the two numbers."))
    back = command("distill", "import", "o", "sheet.md", cwd=folder)
    assert back.returncode == 0, back.stderr
    assert "wrote 4 rows" in back.stderr
    assert "4 edited" in back.stderr


def test_the_built_in_model_distils_rows_that_can_be_trained_on(tmp_path: Path) -> None:
    asked = ("--benchmark", "builtin-arithmetic-train:problems=4", "--strategy", "cot@4")
    options = ("--engine", "transformers", "--student", "builtin", "--out", "o", "--quiet")
    done = command("distill", *asked, *options, "--against", "builtin-arithmetic", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    encode = Encoder(build_tokenizer())
    records = list(read_jsonl(tmp_path / "o" / "data.jsonl"))
    assert records
    for record in records:
        encoded = encode(record)
        said = [i for i, trained in zip(encoded.ids, encoded.trained, strict=True) if trained]
        # what the teacher sampled, and the end that it sampled too
        assert len(said) == record["source"]["tokens"]
    summary = json.loads((tmp_path / "o" / "summary.json").read_text())
    assert summary["overlap"]["overlapping_rows"] == 0
