"""Cores and processor time of the engine's processes; what is shown while training."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from reasonbench.cli.terminal import terminal
from reasonbench.cli.train_progress import TrainProgress, describe
from reasonbench.in_loop import EvalPoint
from reasonbench.trainers.rl_cores import bind, cpu_seconds, descendants, split_cores
from reasonbench.trainers.rl_watch import StepRow

_BUSY = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"


@pytest.fixture
def child() -> object:
    """A process that computes for a while and then waits for its input to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BUSY + "print(1, flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    yield process
    process.kill()
    process.communicate()


def test_children_are_found_and_their_time_is_counted(child: subprocess.Popen[bytes]) -> None:
    assert child.pid in descendants()
    before = cpu_seconds() - time.process_time()
    assert child.stdout is not None
    child.stdout.readline()
    assert cpu_seconds() - time.process_time() > before + 0.1


def test_a_process_is_kept_on_its_cores(child: subprocess.Popen[bytes]) -> None:
    one = {min(os.sched_getaffinity(0))}
    bind(child.pid, one)
    assert os.sched_getaffinity(child.pid) == one


def test_engine_and_trainer_get_cores_of_their_own() -> None:
    cores = split_cores(1)
    if cores is None:
        assert len(os.sched_getaffinity(0)) == 1
        return
    engine, trainer = cores
    assert engine
    assert len(trainer) == 1
    assert not engine & trainer
    assert split_cores(10_000)[0]  # type: ignore[index]  # the engine keeps one


ROW = StepRow(3, 9, {"reward": 0.5, "accuracy": 0.25, "length": 81.4}, 1234.0, 3725.0)


def test_a_step_is_described_in_a_line() -> None:
    shown = describe(ROW)
    assert shown == "reward 0.500  accuracy 25.0 %  length 81  1,234 tokens/s  1:02:05 left"


def test_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    point = EvalPoint("made", "cot@8", 3, 3, 0.5, (0.4, 0.6), 81.0, 8, 10)
    with TrainProgress(terminal(stderr=True), 9, quiet=False) as progress:
        progress.starting("m")
        progress.stepped(ROW)
        progress.evaluated([point])
    said = capsys.readouterr().err
    assert "step 3/9  reward 0.500" in said
    assert "step 3: made cot@8 50.0 % [40.0, 60.0], 81 tokens" in said


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainProgress(terminal(stderr=True, quiet=True), 9, quiet=True) as progress:
        progress.starting("m")
        progress.stepped(ROW)
    assert capsys.readouterr().err == ""
