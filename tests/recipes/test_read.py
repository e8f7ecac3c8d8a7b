"""Recipes as they are written: references, rounds, settings, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reasonbench.errors import UsageError
from reasonbench.recipes import check, load, names, override, parse
from reasonbench.recipes.read import resolve
from reasonbench.trainers.config import RECIPES, load_recipe

CHAINS = ("r1", "r1-distill", "sky-t1", "math-shepherd", "rlhf", "self-train")
INPUTS = {
    "r1": ("general", "requests"),
    "sky-t1": ("problems",),
    "rlhf": ("preferences", "prompts"),
}


def stage(name: str, kind: str = "sft", **settings: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, **settings}


def test_the_recipes_of_the_papers_and_their_small_twins_are_there() -> None:
    wanted = [name + end for name in CHAINS for end in ("", "-builtin")]
    assert set(wanted) | {"over-optimised-builtin"} == set(names())
    for single in ("r1-zero", "tinyzero"):
        assert (RECIPES / f"{single}.toml").is_file()
        assert (RECIPES / f"{single}-builtin.toml").is_file()


@pytest.mark.parametrize("name", sorted(names()))
def test_every_recipe_that_comes_along_is_valid(name: str, tmp_path: Path) -> None:
    values = load(name)
    for wanted in INPUTS.get(name, ()):
        file = tmp_path / f"{wanted}.jsonl"
        file.write_text('{"question": "?", "answer": "1"}\n')
        override(values, {"inputs": {wanted: str(file)}})
    stages = check(parse(values, name), tmp_path / "out")
    assert len(stages) >= 2
    assert names()[name].endswith((".", ")")), "the first line says what it is"


def test_nothing_that_a_small_recipe_names_is_on_the_hub() -> None:
    for name in CHAINS:
        recipe = parse(load(f"{name}-builtin"), name)
        assert recipe.model == "builtin"
        asked = recipe.evaluation.get("benchmark", [])
        assert all(benchmark.startswith("builtin-") for benchmark in asked)


def test_a_recipe_without_its_files_says_which_one_it_needs() -> None:
    with pytest.raises(UsageError, match=r"--set inputs\.general=FILE"):
        parse(load("r1"), "r1")


def test_references_become_what_earlier_stages_make(tmp_path: Path) -> None:
    values = {
        "model": "M",
        "stage": [
            stage("data", "distill", generate={"model": "@base"}),
            stage("rl", "grpo", model="@base", benchmark=["builtin-arithmetic"]),
            stage("sft", model="@rl/best", data="@data", init={"a": ["@data:0.25"]}),
        ],
    }
    recipe = parse(values, "x")
    assert recipe.stages[2].needs() == ["rl", "data"]
    places = {
        "base": ("M", None),
        "data": (str(tmp_path / "data/data.jsonl"), tmp_path / "data"),
        "rl": (str(tmp_path / "rl"), tmp_path / "rl"),
    }
    assert resolve(recipe.stages[2].settings, places) == {
        "model": str(tmp_path / "rl/best"),
        "data": str(tmp_path / "data/data.jsonl"),
        "init": {"a": [f"{tmp_path}/data/data.jsonl:0.25"]},
    }


def test_rounds_are_written_out_each_on_the_one_before() -> None:
    values = {
        "rounds": 2,
        "stage": [
            stage("search", "eval", repeat=True, model="@sft|@base", benchmark=["b{round}"]),
            stage("sft", repeat=True, model="@sft|@base", data="@search/x"),
            stage("last", "eval", model="@sft"),
        ],
    }
    stages = parse(values, "x").stages
    assert [s.name for s in stages] == ["search-1", "sft-1", "search-2", "sft-2", "last"]
    assert [s.settings["model"] for s in stages] == ["@base", "@base", "@sft-1", "@sft-1", "@sft-2"]
    assert stages[2].settings["benchmark"] == ["b2"]
    assert stages[3].settings["data"] == "@search-2/x"


def test_a_repeated_stage_needs_something_in_the_first_round() -> None:
    values = {"rounds": 2, "stage": [stage("sft", repeat=True, model="@sft")]}
    with pytest.raises(UsageError, match="nothing in the first round"):
        parse(values, "x")


def test_settings_go_over_the_recipe_and_inside_its_tables() -> None:
    values = {"stage": [stage("sft", optimizer={"lr": 1.0, "clip": 2.0})]}
    override(values, {"sft": {"optimizer": {"lr": 3.0}, "epochs": 2}, "model": "M"})
    recipe = parse(values, "x")
    assert recipe.model == "M"
    assert recipe.stages[0].settings == {"optimizer": {"lr": 3.0, "clip": 2.0}, "epochs": 2}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "at least one"),
        ({"stages": []}, "did you mean stage"),
        ({"stage": [stage("a", "stf")]}, "did you mean sft"),
        ({"stage": [stage("A b")]}, "small letters"),
        ({"stage": [stage("model")]}, "name is taken"),
        ({"stage": [stage("a"), stage("a")]}, "name is taken"),
        ({"stage": [stage("a", model="@b"), stage("b")]}, "not before it"),
        ({"stage": [stage("abc"), stage("b", model="@abd")]}, "did you mean abc"),
        ({"stage": [stage("a", model="@ b")]}, "no reference"),
        ({"rounds": 0, "stage": [stage("a")]}, "whole number from 1"),
        ({"machine": {"devise": "cpu"}, "stage": [stage("a")]}, "did you mean device"),
        (
            {"stage": [stage("a", repeat=True), stage("b"), stage("c", repeat=True)]},
            "stand together",
        ),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(values, "x")


def test_a_wrong_setting_is_told_with_its_stage(tmp_path: Path) -> None:
    recipe = parse({"stage": [stage("warm", model="@base", epoch=2)]}, "x")
    with pytest.raises(UsageError, match=r"stage warm: .*did you mean epochs"):
        check(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_each_kind_of_recipe_says_how_the_other_is_run() -> None:
    with pytest.raises(UsageError, match="reasonbench recipe r1-builtin"):
        load_recipe("r1-builtin")
    with pytest.raises(UsageError, match="reasonbench train KIND --recipe r1-zero-builtin"):
        load("r1-zero-builtin")
