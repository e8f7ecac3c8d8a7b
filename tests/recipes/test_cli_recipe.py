"""`reasonbench recipe`: what it prints, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tomli_w
from click.testing import CliRunner, Result

from reasonbench.cli.recipe import command
from reasonbench.errors import UsageError
from tests.recipes.test_chain import two


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), catch_exceptions=False)


def test_without_a_name_the_recipes_are_listed() -> None:
    said = run().output
    assert "r1-builtin" in said
    assert "self-train " in said


def test_a_file_is_run_and_a_second_call_prints_the_same_table(tmp_path: Path) -> None:
    file, out = tmp_path / "mine.toml", tmp_path / "out"
    file.write_text(tomli_w.dumps(two(tmp_path)))
    done = run(str(file), "--out", str(out), "--set", "second.examples=32")
    assert done.exit_code == 0
    assert "2/2 second: sft" in done.output
    assert "% [95 %]" in done.output
    assert "second " in done.output.partition("seconds")[2]
    again = run(str(file), "--out", str(out), "--set", "second.examples=32", "--json", "--quiet")
    told = json.loads(again.output)
    assert told == json.loads((out / "recipe.json").read_text())
    assert [stage["name"] for stage in told["stages"]] == ["first", "second"]
    with pytest.raises(UsageError, match="other settings"):
        run(str(file), "--out", str(out), "--quiet")


def test_a_dry_run_prints_every_stage_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("r1-builtin", "--out", str(out), "--dry-run", "--set", "rl.steps=7")
    assert done.exit_code == 0
    assert "[rl]  # grpo" in done.output
    assert "steps = 7" in done.output
    assert str(out / "cold-data" / "data.jsonl") in done.output
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("r1-buildin",), "did you mean r1-builtin"),
        (("nowhere.toml",), "no recipe file"),
        (("r1-zero-builtin",), "of one stage"),
        (("r1-builtin", "--set", "lr=1"), "unknown part of the recipe"),
        (("r1-builtin", "--set", "rl.step=1"), "stage rl: .*did you mean steps"),
        (("r1-builtin", "--set", "rl=1"), "write rl.KEY=VALUE"),
        (("r1-builtin", "--set", "evaluation.benchmark=bultin"), "evaluation: unknown benchmark"),
        (("r1-builtin", "--again", "rl"), "holds no recipe"),
        (
            ("rlhf", "--set", "inputs.prompts=a", "--set", "inputs.preferences=b"),
            "there is no file",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=message):
        run(*arguments, "--out", str(out))
    assert not out.exists()
