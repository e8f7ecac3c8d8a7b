"""Reinforcement learning in two processes: the weights of one, and checkpoints of either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from reasonbench.errors import UsageError
from reasonbench.runs import RunStore
from reasonbench.trainers import checkpoint
from reasonbench.trainers.grpo import train
from reasonbench.trainers.rl_team import LeaderLostError
from reasonbench.trainers.sft import TrainingDiverged
from tests.trainers.rl_tiny import KilledError, Notes, config, weights

CRITIC = {"optimizer": {"name": "adamw", "lr": 1e-4}}
RUNS: dict[str, dict[str, Any]] = {
    # one micro-batch of 16 rows, cut into two; the old policy is scored apart
    "whole": {"steps": 2, "minibatches": 2, "batch_tokens": 8192},
    # three updates of five rows or six: micro-batches of one row, which do not go into two
    "alone": {"steps": 2, "minibatches": 3, "batch_tokens": 2, "recompute": True},
    "critic": {"preset": "ppo", "steps": 2, "minibatches": 2, "critic": CRITIC},
    "reference": {"steps": 2, "loss": {"kl": "k3", "beta": 0.1}, "reference_every": 1},
}
CUT: dict[str, Any] = {"loss": {"kl": "k3", "beta": 0.1}, "reference_every": 2}


def work(rank: int, folder: str) -> None:
    """One process of two."""
    torch.set_num_threads(1)
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    root = Path(folder)
    for name, changes in RUNS.items():
        assert train(config(**changes), root / f"{name}-2").steps == 2
    train(config(**CUT), root / "from-1", resume=True)
    with pytest.raises(LeaderLostError if rank else KilledError):
        train(config(**CUT), root / "from-2", Notes(kill_after=3))
    with pytest.raises(LeaderLostError if rank else UsageError):
        train(config(group=5), root / "from-2", resume=True)
    limits: dict[str, Any] = {"optimizer": {"lr": 0.01}, "minibatches": 4, "drift_limit": 0.01}
    with pytest.raises(LeaderLostError if rank else TrainingDiverged):
        train(config(**limits), root / "diverged")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what one process and two have trained."""
    folder = tmp_path_factory.mktemp("team")
    for name, changes in RUNS.items():
        train(config(**changes), folder / f"{name}-1")
    train(config(**CUT), folder / "uncut")
    with pytest.raises(KilledError):
        train(config(**CUT), folder / "from-1", Notes(kill_after=3))
    mp.spawn(work, args=(str(folder),), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    train(config(**CUT), folder / "from-2", resume=True)
    return folder


def same(one: Path, two: Path) -> None:
    first, second = weights(one), weights(two)
    assert first.keys() == second.keys()
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, rtol=0, atol=1e-6, msg=name)
    rows = [logged(one), logged(two)]
    assert [len(found) for found in rows] == [len(rows[0])] * 2
    for before, after in zip(*rows, strict=True):
        for name in ("loss", "reward", "entropy", "accuracy", "value_loss", "kl"):
            assert after.get(name) == pytest.approx(before.get(name), abs=1e-5), name
        assert after["grad_norm"] == pytest.approx(before["grad_norm"], rel=1e-3)
        for name in ("tokens_trained", "tokens_rollout", "updates"):
            assert after[name] == before[name], name


def logged(folder: Path) -> list[dict[str, float]]:
    with RunStore.open(folder) as store:
        return [dict(row.metrics) for row in store.training() if "loss" in row.metrics]


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_learn_what_one_does(trained: Path, name: str) -> None:
    same(trained / f"{name}-1", trained / f"{name}-2")


@pytest.mark.parametrize("name", ["from-1", "from-2"])
def test_a_checkpoint_is_resumed_by_another_number_of_processes(trained: Path, name: str) -> None:
    same(trained / "uncut", trained / name)
    assert not (trained / name / checkpoint.FILE).exists()
