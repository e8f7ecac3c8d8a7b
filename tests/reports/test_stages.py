"""Stages of training as one line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from reasonbench.reports.panels import drawn, known_axes
from reasonbench.reports.stages import joined, stage_order
from reasonbench.reports.training import AXES, Evaluated, Stage, Step, Training
from reasonbench.reports.vega import picture


def stage(name: str, steps: int, *, timed: bool = True, evaluated: bool = True) -> Training:
    """Steps of a second and ten tokens; evaluated at its beginning and its end."""
    rows = tuple(
        Step(i, i, {"loss": 1.0 / i, "tokens": 10.0 * i} | ({"seconds": 1.0 * i} if timed else {}))
        for i in range(1, steps + 1)
    )
    ends = (0, steps) if evaluated else ()
    return Training(
        name, rows, tuple(Evaluated("sums", "cot@4", i, 0.1 * i, 0.0, 1.0, 5.0, {}) for i in ends)
    )


def test_steps_and_clocks_go_on_where_the_stage_before_ended() -> None:
    found = joined([stage("sft", 3), stage("rl", 2)], "chain")
    assert [s.step for s in found.steps] == [1, 2, 3, 4, 5]
    assert [s.metrics["seconds"] for s in found.steps] == [1, 2, 3, 4, 5]
    assert [s.metrics["loss"] for s in found.steps] == [1, 1 / 2, 1 / 3, 1, 1 / 2]
    assert [e.step for e in found.evaluations] == [0, 3, 3, 5]
    assert found.stages == (Stage(0, "sft"), Stage(3, "rl"))
    assert found.places("tokens")(5) == 50


def test_a_clock_that_one_stage_does_not_log_is_no_axis() -> None:
    found = joined([stage("sft", 3, timed=False), stage("rl", 2)], "chain")
    assert known_axes([found], list(AXES)) == ["step", "tokens"]


def test_a_stage_without_steps_takes_none() -> None:
    found = joined([Training("data", (), ()), stage("rl", 2, evaluated=False)], "chain")
    assert found.stages == (Stage(0, "data"), Stage(0, "rl"))
    assert [s.step for s in found.steps] == [1, 2]


def test_what_both_stages_log_at_the_seam_stays() -> None:
    first = Training("a", (Step(1, 1, {"loss": 1.0}),), ())
    second = Training("b", (Step(0, 0, {"eval_seconds": 2.0}), Step(1, 1, {"loss": 3.0})), ())
    found = joined([first, second], "chain")
    assert [s.step for s in found.steps] == [1, 2]
    assert found.steps[0].metrics["loss"] == 1.0
    assert not any(math.isnan(v) for s in found.steps for v in s.metrics.values())


def test_pictures_mark_where_stages_begin() -> None:
    pictures = drawn([joined([stage("sft", 3), stage("rl", 2)], "chain")], "tokens")
    loss = next(p for p in pictures if p.panel.name == "loss")
    assert loss.stages == ((0.0, "sft"), (30.0, "rl"))
    assert {"x": 30.0, "stage": "rl"} in picture(loss, "tokens")["layer"][-1]["data"]["values"]


def test_stages_stand_in_the_order_of_their_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[[stage]]\nname = "sft"\n[[stage]]\nname = "again"\n')
    assert stage_order(tmp_path) == ["sft", "again"]


@pytest.mark.parametrize("text", [None, "no toml", "stage = 3", "[[stage]]\nkind = 1"])
def test_what_is_no_chain_has_no_order(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "recipe.toml").write_text(text)
    assert stage_order(tmp_path) == []
