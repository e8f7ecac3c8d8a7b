"""Roll-outs by replicas: the trainer learns what it learns from one vLLM."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from reasonbench.errors import UsageError
from reasonbench.trainers.grpo_config import VOLATILE, parse_grpo

pytest.importorskip("safetensors")

SMALL = {
    "steps": 2,
    "problems": 4,
    "group": 4,
    "max_tokens": 64,
    "batch_tokens": 2048,
    "seed": 1,
    "threads": 1,
    "dtype": '"float32"',
    "device": '"cpu"',
    "engine_args": "{kv_cache_memory_bytes=268435456}",
    "optimizer.lr": "1e-4",
    "optimizer.adamw_lr": "1e-4",
}


def trained(out: Path, *more: str) -> dict[str, bytes]:
    """The bytes of every weight."""
    from safetensors.torch import load_file

    command = [sys.executable, "-m", "reasonbench", "train", "grpo", "--preset", "dr-grpo",
               "--benchmark", "builtin-arithmetic", "--out", str(out)]  # fmt: skip
    for name, value in SMALL.items():
        command += ["--set", f"{name}={value}"]
    done = subprocess.run([*command, *more], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = load_file(out / "model.safetensors")
    return {name: value.numpy().tobytes() for name, value in found.items()}


@pytest.mark.skipif(
    find_spec("ray") is None or find_spec("vllm") is None,
    reason="ray or vllm is not installed (pip install 'reasonbench[ray,vllm]')",
)
@pytest.mark.timeout(1800)
def test_two_replicas_write_what_one_vllm_writes(tmp_path: Path) -> None:
    """The second step's roll-outs come from weights that were pushed to both and verified."""
    alone = trained(tmp_path / "one")
    together = trained(tmp_path / "two", "--replicas", "2")
    assert together.keys() == alone.keys()
    assert [name for name in alone if together[name] != alone[name]] == []


def test_replicas_of_what_cannot_be_replicated_are_refused() -> None:
    given = {"benchmark": "builtin-arithmetic"}
    with pytest.raises(UsageError, match="replicas run vLLM"):
        parse_grpo({**given, "engine": "transformers", "replicas": 2})
    with pytest.raises(UsageError, match="no meaning without --replicas"):
        parse_grpo({**given, "ray": "auto"})
    assert {"replicas", "ray"} <= VOLATILE
