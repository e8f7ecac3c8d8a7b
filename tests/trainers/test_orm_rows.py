"""Outcome rewards from rows of preferences: what each loss learns, where the score is read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from reasonbench.builtin.tokenizer import build_tokenizer
from reasonbench.cli.train import train as cli
from reasonbench.errors import UsageError
from reasonbench.trainers import orm
from reasonbench.trainers.group_log import GroupRow
from reasonbench.trainers.orm import OrmConfig
from reasonbench.trainers.preference_rows import TextEncoder
from reasonbench.trainers.reward_config import parse_reward
from reasonbench.trainers.reward_model import load_backbone
from reasonbench.trainers.text_values import score_forward
from tests.trainers.test_preference import rows, write
from tests.trainers.test_preference_pairs import MIXED, run
from tests.trainers.test_prm import policy

__all__ = ["policy"]


def settings(policy: Path, **changes: Any) -> OrmConfig:
    base = {
        "model": str(policy),
        "dtype": "float32",
        "threads": 1,
        "holdout": 0,
        "batch": 8,
        "batch_tokens": 512,
        "log_every": 1,
        "optimizer": {"name": "muon", "lr": 1e-2, "adamw_lr": 1e-2},
    }
    return parse_reward(OrmConfig, base | changes)


def graded(count: int = 24) -> list[dict[str, Any]]:
    """Grades by how near the response is to the question's digit."""
    made = []
    for n in range(count):
        digit = n % 4
        prompt = f"What is {digit}?"
        for far, grade in ((0, 4), (1, 2.5), (2, 0)):
            made.append({"prompt": prompt, "response": str(digit + far), "score": grade})
    return made


@pytest.mark.parametrize(
    ("form", "loss", "start"),
    [
        ("pair", None, math.log(2)),
        ("pair", "bce", math.log(2)),
        ("label", None, math.log(2)),
        ("label", "mse", 0.25),
        ("label", "pairwise", math.log(2)),
        ("ranking", None, math.log(2)),
        ("ranking", "plackett-luce", math.log(6)),
    ],
)
def test_the_better_response_gets_the_higher_score(
    policy: Path, tmp_path: Path, form: str, loss: str | None, start: float
) -> None:
    config = settings(policy, data=write(tmp_path, rows(form)), loss=loss, epochs=8)
    log: list[Any] = []
    orm.train(config, tmp_path / "out", log.append)
    assert log[0].loss == pytest.approx(start, abs=1e-5)
    assert log[-1].loss < 0.5 * log[0].loss
    assert log[-1].metrics["accuracy"] > 0.8
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert written["reasonbench_reward"]["kind"] == "outcome"


def test_grades_are_learned_to_their_own_maximum(policy: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    data = write(tmp_path, graded())
    config = settings(policy, data=data, score_max=4, epochs=16)
    orm.train(config, tmp_path / "out")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    encode = TextEncoder(build_tokenizer(), None, turns=True)
    errors = []
    for row in graded(4):
        text = encode(row["prompt"], row["response"])
        with torch.no_grad():
            logit = model(torch.tensor([list(text.ids)])).logits[0, 0]
        errors.append(abs(4 * torch.sigmoid(logit).item() - row["score"]))
    assert sum(errors) / len(errors) < 0.7


def test_what_is_held_out_is_measured(policy: Path, tmp_path: Path) -> None:
    data = write(tmp_path, graded())
    found = orm.train(settings(policy, data=data, score_max=4, holdout=1), tmp_path / "out")
    assert found["steps"] == 18
    assert 0 <= found["auc"] <= 1
    assert 0 < found["error"] < 4
    summary = json.loads((tmp_path / "out" / "training.json").read_text())
    assert summary["data"] == {"groups": 54, "held_out": 18, "left_out": 0}


def test_scores_are_those_of_each_text_alone(policy: Path) -> None:
    model = load_backbone(policy, "outcome")
    torch.nn.init.normal_(model.score.weight, std=0.3)
    encode = TextEncoder(build_tokenizer(), None, turns=True)
    texts = [encode("What is 3?", response) for response in ("3", "1 2 3 4 5", "9 9")]
    with torch.no_grad():
        found = score_forward(model, 0, 16)(texts)
        for text, value in zip(texts, found.tolist(), strict=True):
            alone = model(torch.tensor([list(text.ids)])).logits[0, 0].item()
            assert value == pytest.approx(alone, abs=1e-5)


def test_a_resumed_run_equals_an_uninterrupted_one(policy: Path, tmp_path: Path) -> None:
    config = settings(policy, data=write(tmp_path, rows()), epochs=2, checkpoint_every=2)
    orm.train(config, tmp_path / "whole")

    def stop(row: Any) -> None:
        if row.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        orm.train(config, tmp_path / "cut", stop)
    orm.train(config, tmp_path / "cut", resume=True)
    one, two = (load_file(tmp_path / n / "model.safetensors") for n in ("whole", "cut"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_runs_are_learned_from(policy: Path, tmp_path: Path) -> None:
    folder = run(tmp_path / "r", MIXED)
    log: list[Any] = []
    config = settings(policy, runs=(str(folder),), epochs=3)
    orm.train(config, tmp_path / "out", log.append)
    assert isinstance(log[0], GroupRow)
    summary = json.loads((tmp_path / "out" / "training.json").read_text())
    assert summary["data"]["groups"] == 4
    assert (tmp_path / "out" / "pairs.jsonl").is_file()


@pytest.mark.parametrize(
    ("made", "changes", "message"),
    [
        (graded(), {}, None),
        (graded(), {"score_max": 3.0}, "line 1: `score` is 4, above the best grade 3"),
        (graded(), {"loss": "pairwise"}, "line 1: a grade cannot be learned from as a pair"),
        (rows("ranking"), {"loss": "bce"}, "line 1: a ranking cannot be"),
        (rows(), {"slips": 0.2}, "slips needs step labels"),
        (rows(), {"max_length": 4}, "nothing to train on within 4 tokens"),
        ([{"prompt": "p", "chosen": "x"}], {}, "line 1: `rejected` is missing"),
    ],
)
def test_rows_that_do_not_fit_are_told(
    policy: Path, tmp_path: Path, made: list[dict[str, Any]], changes: Any, message: str | None
) -> None:
    config = settings(policy, data=write(tmp_path, made), epochs=0.1, **changes)
    if message is None:
        orm.train(config, tmp_path / "out")
        return
    with pytest.raises(UsageError, match=message):
        orm.train(config, tmp_path / "out")


def test_step_labels_hold_no_rankings(policy: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"id": "x", "solutions": []}\n')
    with pytest.raises(UsageError, match="needs rows of preferences"):
        orm.train(settings(policy, data=str(path), loss="plackett-luce"), tmp_path / "out")


def test_the_command_learns_from_pairs(policy: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text('dtype = "float32"\nholdout = 2\nthreads = 1\n')
    arguments = ["orm", "--recipe", str(path), "--model", str(policy), "--data",
                 write(tmp_path, rows()), "--out", str(tmp_path / "out")]  # fmt: skip
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "held out: accuracy" in done.output


def test_a_file_without_rows_is_told(policy: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text("[]")
    with pytest.raises(UsageError, match="has no rows"):
        orm.train(settings(policy, data=str(path)), tmp_path / "out")
