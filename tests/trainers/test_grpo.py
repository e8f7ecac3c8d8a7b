"""The reinforcement-learning loop: it learns, it resumes exactly, it stops when it must."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonbench.errors import UsageError
from reasonbench.runs import RunStore
from reasonbench.trainers import checkpoint, policy_update
from reasonbench.trainers.grpo import train, train_async
from reasonbench.trainers.rl_watch import StepRow, Trained
from reasonbench.trainers.sft import TrainingDiverged
from reasonbench.trainers.verify import StaleEngineError
from tests.trainers.rl_tiny import KilledError, Notes, config, equal, weights

EVALUATION = {"every": 2, "strategies": ["cot@2"], "benchmarks": ["builtin-arithmetic"], "limit": 4}


def logged(folder: Path) -> dict[int, dict[str, float]]:
    """What the run's store holds of its training, step by step."""
    with RunStore.open(folder) as store:
        return {row.step: dict(row.metrics) for row in store.training()}


def lasting(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics that depend on nothing but the run's settings.

    The engine's log-probabilities differ by rounding with the requests that share a batch.
    """
    other = ("_seconds", "seconds", "mismatch", "mismatch_max", "verify_gap", "verify_gap_max")
    return {name: value for name, value in metrics.items() if not name.endswith(other)}


@pytest.mark.parametrize(
    ("kill_after", "changes"),
    [
        (1, {}),
        # a correction would bring the rounding of the engine's log-probabilities into the loss
        (3, {"asynchronous": True, "minibatches": 2, "loss": {"correction": "none"}}),
        (3, {"preset": "ppo", "minibatches": 2, "loss": {"beta": 0.05}}),
        (
            3,
            {
                "preset": "dapo",
                "minibatches": 1,
                "loss": {"kl": "k3", "beta": 0.1},
                "reference_every": 2,
                "evaluation": EVALUATION,
            },
        ),
    ],
    ids=["before-the-first-checkpoint", "asynchronous", "critic", "filtered-with-reference"],
)
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, kill_after: int, changes: dict[str, Any]
) -> None:
    settings = config(**changes)
    train(settings, tmp_path / "whole", Notes())
    with pytest.raises(KilledError):
        train(settings, tmp_path / "cut", Notes(kill_after))
    torch.randn(5)  # the random state of the process must not matter
    rest = Notes()
    train(settings, tmp_path / "cut", rest, resume=True)
    assert rest.rows[0].step == kill_after // 2 * 2 + 1
    assert equal(tmp_path / "whole", tmp_path / "cut")
    whole, cut = logged(tmp_path / "whole"), logged(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    for step, metrics in whole.items():
        assert lasting(cut[step]) == lasting(metrics)
    texts = [(tmp_path / name / "rollouts.jsonl").read_text() for name in ("whole", "cut")]
    assert texts[0] == texts[1]
    assert [json.loads(line)["step"] for line in texts[0].splitlines()][::4] == [1, 2, 3, 4]
    assert not (tmp_path / "cut" / checkpoint.FILE).exists()


def test_the_policy_learns_what_is_rewarded(tmp_path: Path) -> None:
    short = ["overlong:1,max=48,cache=47", "accuracy:0"]
    rates = {"name": "adamw", "lr": 1e-3, "adamw_lr": 1e-3}
    notes = Notes()
    settings = config(rules=short, steps=10, problems=8, optimizer=rates, save_every=0)
    train(settings, tmp_path, notes)
    lengths = [row.metrics["length"] for row in notes.rows]
    assert sum(lengths[-2:]) < 0.6 * sum(lengths[:2])
    assert notes.rows[-1].metrics["reward"] > notes.rows[0].metrics["reward"]
    assert "accuracy" in notes.rows[-1].metrics


def test_micro_batches_change_nothing_but_rounding(tmp_path: Path) -> None:
    train(config(steps=1), tmp_path / "a")
    train(config(steps=1, batch_tokens=200), tmp_path / "b")
    a, b = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)


@pytest.mark.parametrize("preset", ["grpo", "r1-zero", "dapo", "gspo", "cispo", "rloo", "ppo"])
def test_every_preset_takes_a_step(tmp_path: Path, preset: str) -> None:
    notes = Notes()
    done = train(config(preset=preset, steps=1, minibatches=2), tmp_path, notes)
    metrics = notes.rows[0].metrics
    assert done.steps == 1
    assert metrics["updates"] == 2
    assert metrics["grad_norm"] > 0
    assert metrics["mismatch"] < 1e-4
    if preset in ("grpo", "r1-zero", "ppo"):
        assert metrics["kl"] >= 0 or preset == "ppo"


def test_the_folder_loads_and_holds_run_and_best_model(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    notes = Notes()
    done = train(config(steps=2, evaluation=EVALUATION), tmp_path, notes)
    for folder in (tmp_path, tmp_path / "best"):
        AutoModelForCausalLM.from_pretrained(folder)
        AutoTokenizer.from_pretrained(folder)
    assert [point.step for point in notes.points] == [0, 2]
    assert done.best is not None
    assert done.best.accuracy == max(point.accuracy for point in notes.points)
    summary = json.loads((tmp_path / "training.json").read_text())
    assert summary["best"]["step"] == done.best.step
    assert {1, 2} <= logged(tmp_path).keys()


def test_rules_judge_some_rows_of_a_file_and_a_reward_model_the_rest(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"question": "What is 3 plus 4?", "answer": "7", "kind": "integer", "rules": ["accuracy"]},
        {"question": "Say something.", "rules": ["model"]},
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    reward = {"model": "builtin-orm", "weight": 0.5, "engine": "transformers"}
    notes = Notes()
    settings = config(benchmark=[], levels=[], data=[str(data)], reward=reward, problems=2, steps=1)
    train(settings, tmp_path / "run", notes)
    metrics = notes.rows[0].metrics
    both = (metrics["reward/accuracy"] + 0.5 * metrics["reward/model"]) / 2
    assert metrics["reward"] == pytest.approx(both)
    assert metrics["accuracy"] == metrics["reward/accuracy"]


def test_late_rollouts_are_one_step_old_and_corrected(tmp_path: Path) -> None:
    notes = Notes()
    train(config(asynchronous=True, steps=3), tmp_path, notes)
    assert [row.metrics["staleness"] for row in notes.rows] == [0, 1, 1]
    assert all("corrected" in row.metrics for row in notes.rows)


def test_a_loss_that_is_no_number_stops_with_a_usable_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_loss = policy_update.policy_loss
    calls = 0

    def broken(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        loss, sums = true_loss(*given)
        return (loss * float("nan") if calls > 3 else loss), sums

    settings = config(batch_tokens=4096)
    monkeypatch.setattr(policy_update, "policy_loss", broken)
    with pytest.raises(TrainingDiverged, match="loss is nan in step 4"):
        train(settings, tmp_path)
    monkeypatch.undo()
    assert train(settings, tmp_path, resume=True).steps == 4


@pytest.mark.parametrize(
    ("limits", "what"),
    [({"ratio_limit": 1.5}, "probability ratio"), ({"drift_limit": 0.05}, "drift")],
)
def test_a_policy_that_runs_away_stops_the_run(
    tmp_path: Path, limits: dict[str, float], what: str
) -> None:
    rates = {"name": "adamw", "lr": 0.01, "adamw_lr": 0.01}
    with pytest.raises(TrainingDiverged, match=what):
        train(config(optimizer=rates, minibatches=4, **limits), tmp_path)


def test_a_push_that_changes_nothing_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reasonbench.engines.transformers_live import LiveModel

    settings = config()
    with pytest.raises(KilledError):
        train(settings, tmp_path, Notes(kill_after=3))
    monkeypatch.setattr(LiveModel, "_replace", lambda self, source: 0)
    with pytest.raises(StaleEngineError):
        train(settings, tmp_path, resume=True)
    monkeypatch.undo()
    assert train(settings, tmp_path, resume=True).steps == 4


def test_other_settings_do_not_resume(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        train(config(), tmp_path, Notes(kill_after=3))
    with pytest.raises(UsageError, match="group"):
        train(config(group=5), tmp_path, resume=True)


def test_what_cannot_start_leaves_the_folder_free(tmp_path: Path) -> None:
    missing = config(model=str(tmp_path / "nowhere"))
    with pytest.raises(UsageError):
        train(missing, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_stop_in_the_last_evaluation_leaves_it_to_the_next_session(tmp_path: Path) -> None:
    settings = config(steps=2, evaluation=EVALUATION)

    async def stopped() -> Trained:
        stop = asyncio.Event()

        class Hasty(Notes):
            def stepped(self, row: StepRow) -> None:
                if row.step == row.steps:
                    stop.set()

        return await train_async(settings, tmp_path, Hasty(), stop=stop)

    done = asyncio.run(stopped())
    assert (done.steps, done.why) == (2, "interrupted")
    assert (tmp_path / checkpoint.FILE).is_file()
    rest = Notes()
    assert train(settings, tmp_path, rest, resume=True).why == "done"
    assert rest.rows == []
    assert [point.step for point in rest.points] == [2]
