"""Runs of reinforcement learning on the built-in policy that take a few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from reasonbench.in_loop import EvalPoint
from reasonbench.trainers.grpo_config import GrpoConfig, parse_grpo
from reasonbench.trainers.rl_watch import StepRow

RATES = {"name": "adamw", "lr": 1e-4, "adamw_lr": 1e-4}


def config(**changes: Any) -> GrpoConfig:
    """Four problems × four roll-outs of at most 48 tokens, fp32, on the transformers engine."""
    base: dict[str, Any] = {
        "benchmark": ["builtin-arithmetic"],
        "levels": ["1"],
        "preset": "dr-grpo",
        "problems": 4,
        "group": 4,
        "steps": 4,
        "max_tokens": 48,
        "batch_tokens": 1024,
        "optimizer": RATES,
        "dtype": "float32",
        "device": "cpu",
        "threads": 1,
        "engine": "transformers",
        "engine_args": {"max_rows": 16},
        "save_every": 2,
        "seed": 5,
    }
    return parse_grpo(base | changes)


class KilledError(Exception):
    """Stands for the process going away."""


class Notes:
    """Keeps what a run tells; may end it after a step."""

    def __init__(self, kill_after: int | None = None) -> None:
        self.rows: list[StepRow] = []
        self.points: list[EvalPoint] = []
        self.said: list[str] = []
        self.kill_after = kill_after

    def starting(self, model: str) -> None:
        pass

    def noticed(self, sentence: str) -> None:
        self.said.append(sentence)

    def stepped(self, row: StepRow) -> None:
        self.rows.append(row)
        if row.step == self.kill_after:
            raise KilledError

    def evaluated(self, points: Sequence[EvalPoint]) -> None:
        self.points += points


def weights(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return tensors


def equal(one: Path, two: Path) -> bool:
    """Whether two folders hold the same weights, bit for bit."""
    a, b = weights(one), weights(two)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
