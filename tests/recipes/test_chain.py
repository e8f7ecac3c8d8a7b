"""Chains that run: killed ones go on to the same result, finished stages are not run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonbench.errors import UsageError
from reasonbench.recipes import chain, parse
from tests.recipes.watched import KilledError, Notes
from tests.trainers.rl_tiny import equal
from tests.trainers.tiny import INIT, records

MACHINE = {"device": "cpu", "dtype": "float32", "threads": 1, "engine": "transformers"}


def two(folder: Path, **changes: Any) -> dict[str, Any]:
    """A model from nothing, and the same trained on: a second."""
    file = folder / "rows.jsonl"
    if not file.exists():
        file.write_text("".join(json.dumps(r) + "\n" for r in records()))
    every = {
        "batch_tokens": 256,
        "pool": 32,
        "log_every": 1,
        "checkpoint_every": 2,
        "data": "@rows",
        "optimizer": {"name": "muon", "lr": 4e-3, "adamw_lr": 4e-3},
    }
    first = {"name": "first", "kind": "sft", "init": INIT, "tokenizer": "builtin", **every}
    second = {"name": "second", "kind": "sft", "model": "@first", **every, **changes}
    return {"machine": MACHINE, "inputs": {"rows": str(file)}, "stage": [first, second]}


def test_a_chain_killed_in_its_second_stage_goes_on_to_the_same_model(tmp_path: Path) -> None:
    recipe = parse(two(tmp_path), "two")
    whole = Notes()
    chain.run(recipe, tmp_path / "whole", whole)
    first = sum(row.progress < 1 for row in whole.rows) // 2 + 1
    with pytest.raises(KilledError):
        chain.run(recipe, tmp_path / "cut", Notes(kill=first + 4))
    assert (tmp_path / "cut/second/checkpoint.pt").is_file()
    rest = Notes()
    done = chain.run(recipe, tmp_path / "cut", rest)
    assert rest.begins == [("second", "sft")]
    assert (rest.kept_names, rest.ended_names) == (["first"], ["second"])
    assert len(rest.rows) < first
    assert equal(tmp_path / "whole/second", tmp_path / "cut/second")
    assert done.stopped is None
    results = json.loads((tmp_path / "cut/recipe.json").read_text())
    assert results["complete"]
    assert [s["name"] for s in results["stages"]] == ["first", "second"]
    assert results["stages"][0]["trained"] == results["stages"][1]["trained"] > 96 * 10


def test_a_finished_chain_is_left_as_it_is(tmp_path: Path) -> None:
    recipe = parse(two(tmp_path), "two")
    before = chain.run(recipe, tmp_path / "out", Notes())
    again = Notes()
    after = chain.run(recipe, tmp_path / "out", again)
    assert again.begins == []
    assert again.kept_names == ["first", "second"]
    assert after.results == json.loads(json.dumps(before.results))


def test_other_settings_under_a_finished_stage_are_refused_until_it_is_made_again(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    chain.run(parse(two(tmp_path), "two"), out, Notes())
    changed = parse(two(tmp_path, seed=7), "two")
    with pytest.raises(UsageError, match=r"stage second .* --again second"):
        chain.run(changed, out, Notes())
    assert chain.forget(changed, out, "second") == ["second"]
    notes = Notes()
    chain.run(changed, out, notes)
    assert notes.begins == [("second", "sft")]
    assert chain.forget(changed, out, "first") == ["first", "second"]
    assert not (out / "second").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    recipe = parse(two(tmp_path), "two")
    with pytest.raises(UsageError, match="holds no recipe"):
        chain.run(recipe, tmp_path, Notes())
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def loop(**changes: Any) -> dict[str, Any]:
    """Distil, train, learn by rules and a reward model, label, judge: as small as it goes."""
    grpo = {
        "preset": "dr-grpo", "steps": 2, "problems": 6, "group": 2, "batch_tokens": 1024,
        "save_every": 1, "optimizer": {"lr": 1e-4, "adamw_lr": 1e-4},
    }  # fmt: skip
    stages = [
        {
            "name": "data",
            "kind": "distill",
            "generate": {
                "model": "@base",
                "benchmark": "builtin-arithmetic-train:problems=4,seed=3",
                "strategy": "cot@3",
            },
        },
        {"name": "sft", "kind": "sft", "model": "@base", "data": "@data", "batch_tokens": 512},
        {
            "name": "prompts",
            "kind": "problems",
            "sources": [
                {"benchmark": "builtin-arithmetic-train:problems=3,seed=4", "rules": ["accuracy"]},
                {"benchmark": "builtin-countdown-train:problems=3,seed=4", "rules": ["model"]},
            ],
        },
        {
            "name": "rl", "kind": "grpo", "model": "@sft", "data": ["@prompts"],
            "rules": ["accuracy:1"], "reward": "builtin-orm", **grpo, "max_tokens": 24,
        },
        {"name": "labels", "kind": "labels", "policy": "@sft", "problems": 3, "solutions": 2,
         "n": 1},
        {"name": "prm", "kind": "prm", "model": "@base", "data": "@labels", "holdout": 1},
        {"name": "judged", "kind": "eval", "model": "@rl", "benchmark": "builtin-arithmetic",
         "limit": 2, "strategy": ["cot@2", "wbon@2"], "reward": "@prm"},
    ]  # fmt: skip
    evaluation = {"benchmark": "builtin-arithmetic", "limit": 2, "strategy": "cot@1"}
    return {"machine": MACHINE, "evaluation": evaluation, "stage": stages, **changes}


def test_every_part_of_the_loop_hands_on_what_it_makes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    stopped = chain.run(parse(loop(), "loop"), out, Notes(stop="rl"))
    assert stopped.stopped == "rl"
    assert not stopped.results["complete"]
    notes = Notes()
    done = chain.run(parse(loop(), "loop"), out, notes)
    assert notes.begins[0] == ("rl", "grpo")
    names = [record.name for record in done.records]
    assert names == ["base", "data", "sft", "prompts", "rl", "labels", "prm", "judged"]
    by = {record.name: record for record in done.records}
    for name in ("base", "sft", "rl"):
        (row,) = by[name].rows
        assert row["problems"] == 2
        assert row["length"] > 0
    assert [row["strategy"] for row in by["judged"].rows] == ["cot@2", "wbon@2:scorer=reward"]
    for name in ("data", "rl", "labels", "judged"):
        assert (by[name].generated or 0) > 0
    assert (by["sft"].trained or 0) > 0
    assert "reward/model" in by["rl"].figures
    rows = [json.loads(line) for line in (out / "prompts/problems.jsonl").read_text().splitlines()]
    assert {tuple(row["rules"]): "answer" in row for row in rows} == {
        ("accuracy",): True, ("model",): False,
    }  # fmt: skip
    table = (out / "recipe.md").read_text()
    assert "| judged | eval | builtin-arithmetic wbon@2" in table or "wbon@2" in table
    # another question to the models trains nothing anew
    again = Notes()
    other = {"benchmark": "builtin-arithmetic", "limit": 1, "strategy": "cot@1"}
    chain.run(parse(loop(evaluation=other), "loop"), out, again)
    assert {what for _, what in again.begins} == {"evaluation"}
