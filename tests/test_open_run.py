"""Opening a run: what is left of one that came to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonbench.errors import UsageError
from reasonbench.open_run import open_run


def test_a_run_that_came_to_nothing_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such model"), open_run(tmp_path / "run", {}):
        raise UsageError("no such model.")
    assert not (tmp_path / "run").exists()


def test_files_of_others_in_the_folder_hide_no_error(tmp_path: Path) -> None:
    events = tmp_path / "run" / "tensorboard" / "events"

    def fails() -> None:
        with open_run(tmp_path / "run", {}):
            events.parent.mkdir()
            events.touch()
            raise UsageError("no such model.")

    with pytest.raises(UsageError, match="no such model"):
        fails()
    assert events.exists()
    assert [entry.name for entry in (tmp_path / "run").iterdir()] == ["tensorboard"]
