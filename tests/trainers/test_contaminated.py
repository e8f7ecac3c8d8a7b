"""Training data that holds problems of a benchmark: every trainer says so and writes it down."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasonbench import benchmarks
from reasonbench.trainers import orm, preference, prm, sft
from reasonbench.trainers.contaminated import FILE
from reasonbench.trainers.grpo import train as reinforce
from reasonbench.trainers.reward_config import parse_reward
from tests.trainers import rl_tiny, test_orm_rows, test_preference
from tests.trainers.test_prm import policy
from tests.trainers.tiny import config

__all__ = ["policy"]

NAME = "builtin-arithmetic"


def asked() -> str:
    """A problem of the benchmark."""
    return benchmarks.load(benchmarks.resolve(NAME)).problems[3].question.text


def write(folder: Path, *rows: dict[str, Any]) -> str:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def supervised(folder: Path, policy: Path) -> None:
    data = write(
        folder,
        {"prompt": "What is 1?", "completion": "1"},
        {"messages": [
            {"role": "user", "content": asked()},
            {"role": "assistant", "content": "7"},
        ]},
    )  # fmt: skip
    sft.train(config(data=data, examples=None, check_benchmarks=[NAME]), folder / "out")


def preferences(folder: Path, policy: Path) -> None:
    prompts = ("What is 1?", asked())
    data = write(folder, *({"prompt": p, "chosen": "1", "rejected": "2"} for p in prompts))
    settings = test_preference.settings(policy, data, check_benchmarks=[NAME])
    preference.train(settings, folder / "out")


def outcomes(folder: Path, policy: Path) -> None:
    prompts = ("What is 1?", asked())
    data = write(folder, *({"prompt": p, "chosen": "1", "rejected": "2"} for p in prompts))
    settings = test_orm_rows.settings(policy, data=data, check_benchmarks=(NAME,))
    orm.train(settings, folder / "out")


def steps(folder: Path, policy: Path) -> None:
    rows = [
        {"prompt": p, "completions": ["1", "2"], "labels": [True, False]}
        for p in ("What is 1?", asked())
    ]
    values = {
        "model": str(policy), "data": write(folder, *rows), "dtype": "float32", "threads": 1,
        "holdout": 0, "check_benchmarks": [NAME],
    }  # fmt: skip
    prm.train(parse_reward(prm.PrmConfig, values), folder / "out")


@pytest.mark.parametrize("train", [supervised, preferences, outcomes, steps])
def test_a_problem_of_a_benchmark_in_the_data_is_told_and_recorded(
    tmp_path: Path,
    policy: Path,
    caplog: pytest.LogCaptureFixture,
    train: Callable[[Path, Path], None],
) -> None:
    with caplog.at_level(logging.WARNING):
        train(tmp_path, policy)
    (said,) = [r.message for r in caplog.records if "training rows share" in r.message]
    assert said.startswith("1 of 2 training rows")
    found = json.loads((tmp_path / "out" / FILE).read_text())
    assert found["rows"] == 2
    assert found["overlapping_rows"] == 1
    assert len(found["overlapping_problems"][NAME]) == 1


def test_reinforcement_learning_looks_at_all_that_it_will_ask(tmp_path: Path) -> None:
    data = write(tmp_path, {"question": asked(), "answer": "7", "kind": "integer"})
    notes = rl_tiny.Notes()
    settings = rl_tiny.config(
        data=[data], levels=[], steps=1, problems=2, check_benchmarks=[NAME], save_every=0
    )
    reinforce(settings, tmp_path / "out", notes)
    assert any("1 of 3 training rows" in sentence for sentence in notes.said)
    assert json.loads((tmp_path / "out" / FILE).read_text())["overlapping_rows"] == 1


def test_nothing_is_looked_for_where_no_benchmark_is_named(tmp_path: Path, policy: Path) -> None:
    data = write(tmp_path, {"prompt": "What is 1?", "completion": "1"})
    sft.train(config(data=data, examples=None), tmp_path / "out")
    assert not (tmp_path / "out" / FILE).exists()
