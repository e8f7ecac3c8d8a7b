"""Whole commands under torchrun, in two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reasonbench.builtin import model_path
from reasonbench.trainers import checkpoint
from reasonbench.trainers.grpo import train
from tests.trainers.rl_tiny import config

COMMON = ["dtype=float32", "device=cpu", "threads=1", "optimizer.lr=1e-4", "seed=5"]
GRPO = [
    "train", "grpo", "--benchmark", "builtin-arithmetic", "--preset", "dr-grpo",
    *(f"--set={s}" for s in (
        *COMMON, "problems=4", "group=4", "levels=['1']", "max_tokens=48", "batch_tokens=1024",
        "engine=transformers",
    )),
]  # fmt: skip


@contextmanager
def started(arguments: list[str], out: Path) -> Iterator[subprocess.Popen[str]]:
    """Two processes by torchrun; ended with the block."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "reasonbench", *arguments, "--out", str(out),
    ]  # fmt: skip
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        command, env=env, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_reinforcement_learning_ends_as_in_one_process(tmp_path: Path) -> None:
    with started([*GRPO, "--steps", "1"], tmp_path / "two") as process:
        _, said = process.communicate()
        assert process.returncode == 0, said
    train(config(steps=1), tmp_path / "one")
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=0, atol=1e-6, msg=name)
    assert not (tmp_path / "two" / checkpoint.FILE).exists()


def test_a_signal_to_torchrun_ends_all_with_a_checkpoint(tmp_path: Path) -> None:
    with started([*GRPO, "--steps", "1000"], tmp_path / "run") as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("step 1/"):
                process.send_signal(signal.SIGTERM)
        assert "step 1/" in said, said
        assert "stopped after step" in said
        assert process.wait() != 0
    assert (tmp_path / "run" / checkpoint.FILE).is_file()


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_training_on_rows_ends(tmp_path: Path, method: str) -> None:
    answers = [("chosen", 0), ("rejected", 1)] if method == "dpo" else [("completion", 0)]
    rows = [
        {"prompt": f"What is {n}?", **{name: str((n + off) % 10) for name, off in answers}}
        for n in range(32)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    settings = [f"--set={s}" for s in (*COMMON, "batch_tokens=128", "log_every=1")]
    settings += ["--set=accumulate=3"] if method == "sft" else ["--set=batch=8"]
    arguments = ["train", method, "--model", str(model_path()), "--data", str(data), *settings]
    with started(arguments, tmp_path / "two") as process:
        _, said = process.communicate()
        assert process.returncode == 0, said
    log = json.loads((tmp_path / "two" / "training.json").read_text())["log"]
    assert log[-1]["progress"] == 1
    assert (tmp_path / "two" / "model.safetensors").is_file()
