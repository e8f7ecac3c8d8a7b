"""SIGKILL in several places: what is resumed equals what was never interrupted, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reasonbench.trainers.sft_log import LogRow, read_log
from tests.trainers.killing import PLACES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all the runs."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.trainers.killing", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def learned(folder: Path) -> list[tuple[int, float, float, float, int, float]]:
    """The log without its clocks."""

    def fixed(row: LogRow) -> tuple[int, float, float, float, int, float]:
        return row.step, row.loss, row.lr, row.grad_norm, row.tokens, row.flops

    return [fixed(row) for row in read_log(folder, 10**9)]


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_run_ends_as_if_it_had_not_been(killed: Path, place: str) -> None:
    whole = load_file(killed / "whole" / "model.safetensors")
    resumed = load_file(killed / place / "model.safetensors")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert learned(killed / place) == learned(killed / "whole")
    left = {file.name for file in (killed / place).iterdir() if not file.name.endswith(".tmp")}
    assert left == {file.name for file in (killed / "whole").iterdir()}


def test_clocks_go_on_where_they_stood(killed: Path) -> None:
    for folder in killed.iterdir():
        seconds = [row.seconds for row in read_log(folder, 10**9)]
        assert seconds == sorted(seconds)
        assert seconds[0] > 0
