"""What is logged of a step, and of steps that are made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from reasonbench.errors import UsageError
from reasonbench.runs import RunStore
from reasonbench.trainers.grpo import checked_with, train
from reasonbench.trainers.rl_metrics import of_update
from reasonbench.trainers.rl_sums import Sums
from tests.trainers.rl_tiny import KilledError, Notes, config
from tests.trainers.test_grpo_parts import batch, rollout


def test_a_step_without_an_update_has_no_measurements_of_one() -> None:
    sums = Sums()
    assert sums.totals["tokens"] == 0
    assert of_update(sums, 0.1) == {"updates": 0.0, "lr": 0.1}


def test_the_critics_means_are_over_its_own_tokens_and_updates() -> None:
    sums = Sums(critic_updates=2, critic_tokens=10)  # the policy waits meanwhile
    sums.add({"value_error": torch.tensor(5.0), "clip_value": torch.tensor(2.0)})
    sums.totals |= {"value_loss": 3.0, "critic_norm": 1.0}
    found = of_update(sums, 0.1)
    assert found == {
        "updates": 0.0,
        "lr": 0.1,
        "value_error": pytest.approx(0.5),
        "clip_value": pytest.approx(0.2),
        "value_loss": pytest.approx(1.5),
        "critic_norm": pytest.approx(0.5),
    }


def test_a_batch_that_teaches_nothing_is_said_once(tmp_path: Path) -> None:
    notes = Notes()
    # no roll-out comes near this limit: all rewards are equal
    settings = config(rules=["overlong:1,max=1000,cache=1"], steps=2, save_every=0)
    train(settings, tmp_path, notes)
    assert sum("nothing was learned" in said for said in notes.said) == 1
    assert not {"loss", "entropy", "grad_norm", "kl"} & notes.rows[0].metrics.keys()
    assert "verify_gap" in notes.rows[0].metrics
    assert "gpu_seconds" not in notes.rows[0].metrics


def test_the_best_model_says_its_step(tmp_path: Path) -> None:
    evaluation = {"every": 1, "strategies": ["cot@2"], "benchmarks": ["builtin-arithmetic"]}
    settings = config(steps=3, save_every=100, evaluation=evaluation | {"limit": 4})
    notes = Notes()
    done = train(settings, tmp_path, notes)
    assert done.best is not None
    told = json.loads((tmp_path / "best" / "step.json").read_text())
    assert (told["step"], told["accuracy"]) == (done.best.step, done.best.accuracy)


def test_pushes_are_checked_with_the_starts_of_the_shortest_rollouts() -> None:
    groups = [(rollout(1.0, 500 - g), rollout(0.0, 100 + g, sample=1)) for g in range(10)]
    checked = checked_with(batch(*groups, (rollout(0.0, 0),)))
    assert [len(written) for _, written in checked] == [64] * 8
    short = checked_with(batch((rollout(1.0, 9), rollout(0.0, 3)), *groups))
    assert [len(written) for _, written in short] == [3, *[64] * 7]
    assert checked_with(None) == []


def test_a_run_that_has_ended_is_not_begun_again(tmp_path: Path) -> None:
    settings = config(steps=1)
    train(settings, tmp_path)
    for resume in (False, True):
        with pytest.raises(UsageError, match="has ended"):
            train(settings, tmp_path, resume=resume)
    with RunStore.open(tmp_path) as store:
        assert [row.step for row in store.training()] == [1]


def test_steps_that_are_made_again_stand_in_tensorboard_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = config(log=["tensorboard"])
    with pytest.raises(KilledError):
        train(settings, tmp_path, Notes(kill_after=3))
    train(settings, tmp_path, resume=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("length")] == [1, 2, 3, 4]
