"""Metrics of training and evaluations in the loop, in the run store."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

from reasonbench.runs import RunStore
from reasonbench.runs.training import STEPS_AT_ONCE, Evaluation
from reasonbench.types import Verdict
from tests.conftest import ROOT
from tests.runs.samples import completion, key


def test_a_step_that_is_run_again_replaces_its_metrics(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_training(1, {"loss": 2.0, "kl": 0.5})
        store.add_training(1, {"loss": 1.0}, weight_version=1)
        (step,) = store.training()
    assert step.metrics == {"kl": 0.5, "loss": 1.0}


def test_numbers_that_are_none_come_back(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_training(1, {"loss": math.nan, "ratio_max": math.inf, "groups_flat": True})
        (step,) = store.training()
    assert math.isnan(step.metrics.pop("loss"))
    assert step.metrics == {"ratio_max": math.inf, "groups_flat": 1.0}


def test_steps_come_in_order_however_many(tmp_path: Path) -> None:
    count = 2 * STEPS_AT_ONCE + 5
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        assert store.last_step() is None
        for step in reversed(range(count)):
            store.add_training(3 * step, {"loss": step / 2, "lr": 0.1})
        assert store.last_step() == 3 * (count - 1)
        assert [(s.step, s.metrics["loss"]) for s in store.training()] == [
            (3 * step, step / 2) for step in range(count)
        ]
        assert [s.step for s in store.training(after=3 * count - 7)] == [
            3 * count - 6,
            3 * count - 3,
        ]


def test_rewinding_forgets_what_came_after_a_checkpoint(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        for version in (2, 10):
            at = key(version=version)
            store.add_completion(at, completion(version=version))
            store.add_verdict(at, Verdict("correct", "1", "exact"))
            store.add_score(at, "prm", [0.5])
            store.add_trace(*at[:3], {}, version)
            store.add_evaluation(Evaluation(version, 10 * version, complete=True))
            store.add_training(10 * version, {"loss": 1.0}, weight_version=version)
        store.rewind(20, 2)
        assert [s.step for s in store.training()] == [20]
        assert [e.weight_version for e in store.evaluations()] == [2]
        assert [s.weight_version for s in store.series()] == [2]
        at = key()
        assert store.of_problem(*at[:3], 10) == ()
        assert store.searches(at.benchmark, at.pool, 10) == {}
        assert store.of_problem(*at[:3], 2)[0].scores["prm"].steps == (0.5,)


def test_evaluations_are_ordered_by_version(tmp_path: Path) -> None:
    made = [Evaluation(version, version, 1.5, 7, 3, True) for version in (100, 20, 3)]
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        for evaluation in made:
            store.add_evaluation(evaluation)
        store.add_evaluation(made[0]._replace(seconds=9.0))
        assert store.evaluations() == [made[2], made[1], made[0]._replace(seconds=9.0)]
        store.add_evaluation(Evaluation(200, 200))
        assert store.last_evaluation().weight_version == 100


def test_metrics_survive_a_kill(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from reasonbench.runs import RunStore\n"
        "store = RunStore.create_or_resume(pathlib.Path(sys.argv[1]), {})\n"
        "for step in range(50):\n"
        "    store.add_training(step, {'loss': step, 'reward': 1.0})\n"
        "store.flush()\n"
        "print('written', flush=True)\n"
        "sys.stdin.read()\n"
    )
    trainer = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert trainer.stdout is not None
    assert trainer.stdout.readline() == b"written\n"
    os.kill(trainer.pid, signal.SIGKILL)
    trainer.communicate()
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        assert [s.metrics for s in store.training()] == [
            {"loss": float(step), "reward": 1.0} for step in range(50)
        ]
