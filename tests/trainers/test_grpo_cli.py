"""`reasonbench train grpo`: what its options say, and a run that is killed for good."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reasonbench.cli.train import command
from reasonbench.cli.train_grpo import PRESETS, settings_of
from reasonbench.errors import UsageError
from reasonbench.runs import RunStore
from reasonbench.trainers import presets
from tests.trainers.rl_tiny import config, equal

NOTHING: dict[str, Any] = {
    "recipe": None,
    "model": None,
    "preset": None,
    "benchmark": (),
    "data": (),
    "rules": (),
    "reward": None,
    "steps": None,
    "save_every": None,
    "eval_every": None,
    "eval_strategies": (),
    "eval_benchmarks": (),
    "gpu_price": None,
    "log": (),
    "settings": (),
    "replicas": None,
    "ray": None,
}


def arguments(out: Path) -> list[str]:
    """The command line of a run of six short steps."""
    chosen = config(steps=6).model_dump(mode="json", exclude_defaults=True)
    words = ["train", "grpo", "--out", str(out), "--benchmark", "builtin-arithmetic"]
    words += ["--preset", "dr-grpo", "--steps", "6", "--save-every", "2"]
    for name in ("problems", "group", "max_tokens", "batch_tokens", "seed", "threads"):
        words += ["--set", f"{name}={chosen[name]}"]
    for name in ("dtype", "device", "engine"):
        words += ["--set", f'{name}="{chosen[name]}"']
    words += ["--set", 'levels=["1"]', "--set", "engine_args={max_rows=16}"]
    return [*words, "--set", "optimizer.lr=1e-4", "--set", "optimizer.adamw_lr=1e-4"]


def start(out: Path, *more: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "reasonbench", *arguments(out), *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def steps_logged(out: Path) -> int:
    try:
        with RunStore.open(out) as store:
            return max((row.step for row in store.training()), default=0)
    except UsageError:  # it is not there yet, or is being made
        return 0


def wait_for(process: subprocess.Popen[bytes], out: Path, step: int) -> None:
    """Until a run has logged a step, or ended."""
    while steps_logged(out) < step and process.poll() is None:
        time.sleep(0.02)


def test_a_run_that_is_stopped_and_then_killed_goes_on_as_if_nothing_had_happened(
    tmp_path: Path,
) -> None:
    out = tmp_path / "cut"
    whole = start(tmp_path / "whole")
    first = start(out)
    wait_for(first, out, 1)
    first.send_signal(signal.SIGTERM)
    said = first.communicate()[0].decode()
    assert first.returncode == 130, said
    assert "--resume" in said
    assert (out / "checkpoint.pt").is_file()
    second = start(out, "--resume")
    wait_for(second, out, 4)
    second.kill()
    assert second.wait() == -signal.SIGKILL
    third = start(out, "--resume")
    said = third.communicate()[0].decode()
    assert third.returncode == 0, said
    assert whole.wait() == 0
    assert equal(tmp_path / "whole", out)


def test_options_go_over_the_recipe_and_settings_over_options(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('benchmark = ["builtin-countdown"]\nsteps = 5\nproblems = 9\n')
    given = NOTHING | {
        "recipe": str(recipe),
        "steps": 7,
        "rules": ("accuracy:1", "format:0.1"),
        "settings": ("problems=3", "optimizer.lr=1e-4"),
        "eval_every": 2,
    }
    found = settings_of(given)
    assert (found["steps"], found["problems"]) == (7, 3)
    assert found["rules"] == ["accuracy:1", "format:0.1"]
    assert found["optimizer"] == {"lr": 1e-4}
    assert found["evaluation"] == {"every": 2, "benchmarks": ["builtin-countdown"]}


def test_problems_named_on_the_command_line_take_the_place_of_the_recipes(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('benchmark = ["builtin-countdown"]\n')
    found = settings_of(NOTHING | {"recipe": str(recipe), "data": ("rows.jsonl",)})
    assert (found["benchmark"], found["data"]) == ([], ["rows.jsonl"])


def test_the_presets_offered_are_those_there_are() -> None:
    assert set(PRESETS) == set(presets.PRESETS)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "name the problems"),
        (["--benchmark", "builtin-arithmetik"], "builtin-arithmetic"),
        (["--benchmark", "builtin-arithmetic", "--rule", "acuracy:1"], "accuracy"),
        (["--benchmark", "builtin-arithmetic", "--set", "grop=3"], "group"),
        (["--benchmark", "builtin-arithmetic", "--eval-every", "2", "--eval-strategy", "cto@2"],
         "cot"),
        (["--recipe", "r1-zero-buildin"], "r1-zero-builtin"),
        (["--benchmark", "builtin-arithmetic", "--model", "./nowhere"], "nowhere"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_is_written(
    tmp_path: Path, words: list[str], what: str
) -> None:
    out = tmp_path / "run"
    done = CliRunner().invoke(command, ["grpo", "--out", str(out), *words])
    assert isinstance(done.exception, UsageError)
    assert what in str(done.exception)
    assert not out.exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    words = ["grpo", "--out", str(tmp_path), "--benchmark", "builtin-arithmetic"]
    (tmp_path / "checkpoint.pt").touch()
    done = CliRunner().invoke(command, words)
    assert "add --resume" in str(done.exception)
    (tmp_path / "checkpoint.pt").unlink()
    (tmp_path / "model.safetensors").touch()
    done = CliRunner().invoke(command, words)
    assert "already holds a trained model" in str(done.exception)
    done = CliRunner().invoke(command, [*words, "--resume"])
    assert "no run to resume" in str(done.exception)
