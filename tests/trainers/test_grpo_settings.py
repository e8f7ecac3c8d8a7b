"""What the options and settings of `reasonbench train grpo` come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reasonbench.cli.train_grpo import settings_of
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
