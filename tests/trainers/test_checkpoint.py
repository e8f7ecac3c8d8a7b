"""Checkpoints that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reasonbench.errors import UsageError
from reasonbench.trainers import checkpoint


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    torch.save({"config": {"seed": 3}}, tmp_path / checkpoint.FILE)
    assert checkpoint.read(tmp_path) == {"config": {"seed": 3}}


@pytest.mark.parametrize("size", [0, 1, 300, -30])
def test_a_damaged_checkpoint_is_told(tmp_path: Path, size: int) -> None:
    path = tmp_path / checkpoint.FILE
    torch.save({"config": {}, "weights": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UsageError, match="is damaged"):
        checkpoint.read(tmp_path)


def test_a_file_of_another_kind_is_told(tmp_path: Path) -> None:
    path = tmp_path / checkpoint.FILE
    path.write_text("weights")
    with pytest.raises(UsageError, match="is damaged"):
        checkpoint.read(tmp_path)
    torch.save([1, 2], path)
    with pytest.raises(UsageError, match="no checkpoint of a training"):
        checkpoint.read(tmp_path)
