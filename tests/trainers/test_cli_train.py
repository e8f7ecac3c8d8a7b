"""`reasonbench train sft`: what it accepts, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from reasonbench.cli.train import assign, train
from reasonbench.errors import UsageError
from reasonbench.recipes import names
from reasonbench.trainers.config import RECIPES, load_recipe, parse_config
from reasonbench.trainers.grpo_config import parse_grpo
from reasonbench.trainers.orm import OrmConfig
from reasonbench.trainers.prm import PrmConfig
from reasonbench.trainers.reward_config import parse_reward
from tests.trainers.tiny import INIT, records


def run(*arguments: str) -> Result:
    return CliRunner().invoke(train, ["sft", *arguments], catch_exceptions=False)


def recipe(folder: Path) -> Path:
    path = folder / "tiny.toml"
    table = "\n".join(f"{k} = {json.dumps(v)}" for k, v in INIT.items())
    path.write_text(
        'tokenizer = "builtin"\ndtype = "float32"\nthreads = 1\nlog_every = 1\npool = 32\n'
        f"batch_tokens = 512\n[init]\n{table}\n"
    )
    return path


def data(folder: Path) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records()))
    return path


def test_a_recipe_and_a_file_make_a_model(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(
        "--recipe", str(recipe(tmp_path)), "--data", str(data(tmp_path)), "--out", str(out)
    )  # fmt: skip
    assert done.exit_code == 0
    assert "loss" in done.output
    assert (out / "model.safetensors").is_file()


def test_quiet_prints_nothing_and_settings_override(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(
        "--recipe", str(recipe(tmp_path)), "--data", str(data(tmp_path)), "--out", str(out),
        "--set", "optimizer.lr=2e-4", "--set", "examples=32", "--quiet",
    )  # fmt: skip
    assert done.exit_code == 0
    assert done.output == ""
    config = json.loads((out / "training.json").read_text())["config"]
    assert config["optimizer"]["lr"] == 2e-4
    assert config["examples"] == 32


def test_the_options_are_settings(tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = ("--recipe", str(recipe(tmp_path)), "--data", str(data(tmp_path)), "--out", str(out))
    done = run(*given, "--save-every", "7", "--set", "examples=32", "--quiet")
    assert done.exit_code == 0
    config = json.loads((out / "training.json").read_text())["config"]
    assert config["checkpoint_every"] == 7
    with pytest.raises(UsageError, match="unknown logger"):
        run(*given[:4], "--out", str(tmp_path / "other"), "--log", "nowhere")


def test_an_adapter_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"precious")
    with pytest.raises(UsageError, match="already holds a model"):
        run("--recipe", "builtin", "--out", str(tmp_path))


def test_a_model_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"precious")
    with pytest.raises(UsageError, match="already holds a model"):
        run("--recipe", "builtin", "--out", str(tmp_path))
    assert (tmp_path / "model.safetensors").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --recipe"),
        (("--recipe", "bultin"), "did you mean builtin"),
        (("--recipe", "nowhere.toml"), "no recipe file"),
        (("--recipe", "builtin", "--set", "learning_rate=1"), "unknown training setting"),
        (("--recipe", "builtin", "--set", "examples"), "KEY=VALUE"),
        (("--recipe", "builtin", "--set", "pool=0"), "training setting pool"),
        (("--recipe", "builtin", "--resume"), "no checkpoint to resume"),
        (("--recipe", "builtin", "--merge"), "give --lora RANK"),
        (("--recipe", "builtin", "--lora", "8", "--merge"), "adapters need a `model`"),
        (("--data", "nowhere.jsonl", "--model", "./nowhere"), "no model folder"),
    ],
)
def test_bad_input_gets_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(*arguments, "--out", str(tmp_path / "out"))


def test_settings_are_toml_or_text() -> None:
    values: dict[str, Any] = {}
    for setting in ("a.b=1e-3", "a.c=linear", "d=[1, 2]", "e=true"):
        assign(values, setting)
    assert values == {"a": {"b": 1e-3, "c": "linear"}, "d": [1, 2], "e": True}


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda p: p.stem)
def test_every_recipe_is_valid(path: Path) -> None:
    if path.stem in names():  # chains are tested beside their runner
        return
    settings = load_recipe(path.stem)
    if "preset" in settings:
        assert parse_grpo(settings)
    elif path.stem == "builtin-prm":
        assert parse_reward(PrmConfig, settings)
    elif path.stem == "builtin-orm":
        assert parse_reward(OrmConfig, settings)
    else:
        assert parse_config(settings)
