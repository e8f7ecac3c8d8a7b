"""Loggers of other programs: what is logged arrives, and what is missing is said."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

from reasonbench.errors import UsageError
from reasonbench.trainers.loggers import LOGGERS, Loggers, open_loggers, run_id


def test_without_a_name_nothing_is_opened(tmp_path: Path) -> None:
    loggers = open_loggers([], tmp_path, {})
    loggers.log(1, {"loss": 1.0})
    loggers.close()
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_not_finite_are_left_out() -> None:
    class Kept:
        def __init__(self) -> None:
            self.rows: list[Any] = []

        def log(self, step: int, metrics: Any) -> None:
            self.rows.append((step, metrics))

        def close(self) -> None:
            self.rows.append("closed")

    kept = Kept()
    loggers = Loggers([kept])
    loggers.log(3, {"loss": 0.5, "kl": math.nan, "ratio_max": math.inf})
    loggers.close()
    assert kept.rows == [(3, {"loss": 0.5}), "closed"]


def test_an_unknown_logger_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tensorbord.*tensorboard"):
        open_loggers(["tensorbord"], tmp_path, {})


@pytest.mark.parametrize("name", LOGGERS)
def test_a_missing_package_is_one_sentence(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [m for m in sys.modules if m.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=f"--log {name} needs .*pip install {name}"):
        open_loggers([name], tmp_path, {})


def test_tensorboard_has_what_was_logged(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    loggers = open_loggers(["tensorboard"], tmp_path, {"lr": 0.1})
    for step in (1, 2, 3):
        loggers.log(step, {"loss": step / 2, "reward/format": 1.0})
    loggers.close()
    resumed = open_loggers(["tensorboard"], tmp_path, {"lr": 0.1}, after=1)
    resumed.log(2, {"loss": 9.0})
    resumed.close()
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    assert [(e.step, e.value) for e in read.Scalars("loss")] == [(1, 0.5), (2, 9.0)]
    assert len(read.Scalars("reward/format")) == 1


def test_wandb_has_what_was_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    loggers = open_loggers(["wandb"], tmp_path, {"lr": 0.1})
    loggers.log(1, {"loss": 0.5})
    loggers.close()
    loggers.close()
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def test_only_a_resumed_run_keeps_its_id(tmp_path: Path) -> None:
    first, second = (run_id(tmp_path / where / "dr", None) for where in ("a", "b"))
    assert first != second, "folders of one name are two runs"
    (tmp_path / "a").rename(tmp_path / "moved")
    assert run_id(tmp_path / "moved" / "dr", 20) == first
    assert run_id(tmp_path / "moved" / "dr", None) != first


def test_trackio_has_what_was_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    loggers = open_loggers(["trackio"], tmp_path, {"lr": 0.1})
    loggers.log(1, {"loss": 0.5})
    loggers.close()
    assert list((tmp_path / "trackio").glob("*.db"))
