"""What the options and settings of `reasonbench train grpo` come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonbench.cli.train_grpo import settings_of
from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.trainers.grpo_config import parse_grpo
from reasonbench.trainers.rl_open import prepare
from tests.trainers.rl_tiny import config
from tests.trainers.test_grpo_cli import NOTHING


def told(recipe: Path | None = None, **given: Any) -> dict[str, Any]:
    """The settings of a command line with these options only."""
    return settings_of(NOTHING | {"recipe": None if recipe is None else str(recipe)} | given)


def written(folder: Path, text: str) -> Path:
    """A recipe of this text."""
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_reward_model_of_an_option_takes_settings_of_its_own() -> None:
    found = told(reward="builtin-orm", settings=("reward.weight=0.5",))
    assert found["reward"] == {"model": "builtin-orm", "weight": 0.5}


def test_the_reward_model_of_an_option_keeps_the_recipes_weight(tmp_path: Path) -> None:
    recipe = written(tmp_path, '[reward]\nmodel = "other"\nweight = 0.25\n')
    assert told(recipe, reward="mine")["reward"] == {"model": "mine", "weight": 0.25}


def test_a_recipes_reward_model_by_name_takes_settings(tmp_path: Path) -> None:
    recipe = written(tmp_path, 'reward = "builtin-orm"\n')
    found = told(recipe, settings=("reward.weight=0.5",))
    assert found["reward"] == {"model": "builtin-orm", "weight": 0.5}


def test_a_benchmark_that_a_recipe_names_as_text_is_the_one_evaluated(tmp_path: Path) -> None:
    recipe = written(tmp_path, 'benchmark = "builtin-countdown"\n')
    assert told(recipe, eval_every=2)["evaluation"]["benchmarks"] == ["builtin-countdown"]


def test_training_problems_of_a_family_are_evaluated_on_its_test_split() -> None:
    names = ("builtin-arithmetic-train:problems=20", "builtin-arithmetic", "builtin-code")
    found = told(benchmark=names, eval_every=20)["evaluation"]["benchmarks"]
    assert found == ["builtin-arithmetic", "builtin-code"]


@pytest.mark.parametrize("given", [{"benchmark": ("gsm8k-train",)}, {"data": ("rows.jsonl",)}])
def test_problems_without_a_test_split_ask_for_what_to_evaluate(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--eval-benchmark"):
        told(**given, eval_every=2)
    said = told(**given, eval_every=2, eval_benchmarks=("gsm8k",))
    assert said["evaluation"]["benchmarks"] == ["gsm8k"]


def test_a_recipes_evaluation_that_is_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="evaluation is 'x'"):
        told(written(tmp_path, 'evaluation = "x"\n'), eval_every=2)


def test_a_presets_warmup_is_a_share_of_the_run_and_gives_way() -> None:
    asked = {"benchmark": "builtin-arithmetic", "preset": "dapo"}
    assert parse_grpo(asked | {"steps": 400}).schedule.warmup == 20 / 400
    assert parse_grpo(asked | {"steps": 10}).schedule.warmup == 0.2
    assert parse_grpo(asked | {"schedule": {"warmup": 0.0}}).schedule.warmup == 0.0
    assert parse_grpo(asked | {"preset": "grpo"}).schedule.warmup == 0.0


def test_a_penalty_of_length_that_is_given_replaces_the_presets() -> None:
    rules = ["accuracy:1", "overlong:0.5,max=48,cache=8"]
    graders = Graders()
    found = prepare(config(preset="dapo", rules=rules), graders)
    (penalty,) = [w for w in found.judge.rules if w.rule.name == "overlong"]
    assert penalty.weight == 0.5
    assert found.notices == ()


def test_problems_that_escape_the_penalty_of_length_are_counted(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    rows = [{"question": f"{n}?", "answer": "1", "rules": ["accuracy"]} for n in range(2)]
    data.write_text("\n".join(map(json.dumps, [*rows, {"question": "3?", "answer": "1"}])))
    asked = config(preset="dapo", data=[str(data)], benchmark=[], levels=[])
    (said,) = prepare(asked, Graders()).notices
    assert said.startswith("2 of 3 problems")
