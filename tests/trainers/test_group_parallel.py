"""Preferences and outcome rewards in two processes: the weights and the log of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file

from reasonbench.errors import UsageError
from reasonbench.trainers import checkpoint, orm, preference, prm
from reasonbench.trainers.reward_config import parse_reward
from reasonbench.trainers.sft import LogRow
from tests.trainers import test_orm_rows, test_preference
from tests.trainers.test_preference import rows
from tests.trainers.test_prm import policy

__all__ = ["policy"]

RATES = {"name": "adamw", "lr": 1e-3}
FORMS = {"kto": "label", "ranking": "ranking", "judged": "label"}
PREFERENCES: dict[str, dict[str, Any]] = {
    "dpo": {"holdout": 2, "sft": 0.1},
    "ipo": {"method": "ipo", "batch_tokens": 64, "recompute": True},
    "kto": {"method": "kto", "batch_tokens": 64},
    "orpo": {"method": "orpo"},
    "ranking": {"rankings": "plackett-luce"},
    # an update is one pair: the second process has none
    "alone": {"batch": 1, "epochs": 0.2, "reference": "policy"},
}
REWARDS: dict[str, dict[str, Any]] = {
    "pairs": {"batch_tokens": 64},
    "judged": {"holdout": 2, "extra_layers": 1},
}
NAMES = [*PREFERENCES, *REWARDS]


class KilledError(Exception):
    """Stands for the processes going away."""


def learn(folder: Path, name: str, out: str, **changes: Any) -> None:
    given = {**PREFERENCES, **REWARDS}[name] | {"optimizer": RATES} | changes
    on_log = given.pop("on_log", lambda row: None)
    resume = given.pop("resume", False)
    data, model = str(folder / f"{FORMS.get(name, 'pair')}.jsonl"), folder / "policy"
    if given.get("reference"):
        given["reference"] = str(model)
    if name in PREFERENCES:
        config = test_preference.settings(model, data, **given)
        preference.train(config, folder / out, on_log, resume)
    else:
        orm.train(
            test_orm_rows.settings(model, data=data, **given), folder / out, on_log, resume=resume
        )


def killed(row: LogRow) -> None:
    if row.step == 2:
        raise KilledError


def cut(folder: Path, out: str) -> None:
    """Ends after the checkpoint of the first update; the process that writes is the one to die."""
    with pytest.raises((KilledError, RuntimeError)):
        learn(folder, "dpo", out, checkpoint_every=1, on_log=killed)


def work(rank: int, root: str) -> None:
    """One process of two."""
    torch.set_num_threads(1)
    meet = f"file://{root}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    folder = Path(root)
    for name in NAMES:
        learn(folder, name, f"{name}-2")
    learn(folder, "dpo", "from-1", checkpoint_every=1, resume=True)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, policy: Path) -> Path:
    """The folder of what one process and two have trained."""
    folder = tmp_path_factory.mktemp("groups")
    (folder / "policy").symlink_to(policy)
    for form in ("pair", "label", "ranking"):
        text = "".join(json.dumps(row) + "\n" for row in rows(form))
        (folder / f"{form}.jsonl").write_text(text)
    for name in NAMES:
        learn(folder, name, f"{name}-1")
    cut(folder, "from-1")
    mp.spawn(work, args=(str(folder),), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    return folder


def same(one: Path, two: Path) -> None:
    first, second = (load_file(folder / "model.safetensors") for folder in (one, two))
    assert first.keys() == second.keys()
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, rtol=0, atol=1e-6, msg=name)
    logs = [json.loads((folder / "training.json").read_text()) for folder in (one, two)]
    assert [row["step"] for row in logs[0]["log"]] == [row["step"] for row in logs[1]["log"]]
    for before, after in zip(logs[0]["log"], logs[1]["log"], strict=True):
        assert after["loss"] == pytest.approx(before["loss"], abs=1e-5)
        assert after["grad_norm"] == pytest.approx(before["grad_norm"], rel=1e-3)
        assert after["metrics"] == pytest.approx(before["metrics"], abs=1e-4)
    held = [log["held_out"] for log in logs]
    for moment in ("before", "after"):
        if moment in held[0]:
            assert held[1][moment] == pytest.approx(held[0][moment], abs=1e-4)
    assert not (two / checkpoint.FILE).exists()


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_learn_what_one_does(trained: Path, name: str) -> None:
    same(trained / f"{name}-1", trained / f"{name}-2")


def test_a_checkpoint_is_resumed_by_two_processes(trained: Path) -> None:
    same(trained / "dpo-1", trained / "from-1")


def test_step_labels_are_for_one_process(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = parse_reward(prm.PrmConfig, {"model": str(policy)})
    with pytest.raises(UsageError, match="without torchrun"):
        prm.train(config, tmp_path)
