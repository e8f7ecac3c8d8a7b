"""The log and the summary of a training."""

from __future__ import annotations

import json
from pathlib import Path

from reasonbench.trainers.run_record import LOG, append, log_until, write_summary
from reasonbench.trainers.sft import LogRow


def row(step: int) -> LogRow:
    return LogRow(step, step / 9, 0.5, 1e-3, 1.0, 100.0, 0.1)


def test_a_resumed_log_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        append(tmp_path, row(step))
    with (tmp_path / LOG).open("a") as file:
        file.write('{"step": 4, "prog')
    assert log_until(tmp_path, 2, LogRow) == [row(1), row(2)]
    append(tmp_path, row(3))
    assert log_until(tmp_path, 9, LogRow) == [row(1), row(2), row(3)]


def test_a_new_run_has_an_empty_log(tmp_path: Path) -> None:
    append(tmp_path, row(1))
    assert log_until(tmp_path, 0, LogRow) == []
    assert (tmp_path / LOG).read_text() == ""


def test_what_is_no_number_is_null_in_the_summary(tmp_path: Path) -> None:
    write_summary(tmp_path, {"held_out": {"auc": float("nan"), "steps": 3.0}, "log": [[1, -1e999]]})
    found = json.loads((tmp_path / "training.json").read_text(), parse_constant=str)
    assert found == {"held_out": {"auc": None, "steps": 3.0}, "log": [[1, None]]}
