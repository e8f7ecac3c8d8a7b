"""What the options and settings of `reasonbench train grpo` come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reasonbench.cli.train_grpo import settings_of
from reasonbench.errors import UsageError
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
