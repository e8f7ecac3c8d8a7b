"""A program that trains, is killed in several places (SIGKILL), resumes, and leaves the folders.

Run as `python -m tests.trainers.killing FOLDER`: every run is a process of its own, forked off one
that has loaded torch.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from reasonbench.trainers import checkpoint, sft, start
from reasonbench.trainers.sft import train
from tests.trainers.tiny import config, records

EVERY = 2
SETTINGS = config(checkpoint_every=EVERY, accumulate=2, log_every=3)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def between_checkpoints(row: sft.LogRow) -> None:
    if row.step == EVERY + 1:
        die()


def in_the_second_checkpoint() -> None:
    """Half of the file is written."""
    saved = torch.save
    seen: list[int] = []

    def save(state: Any, file: Any) -> None:
        seen.append(1)
        if len(seen) < 2:
            saved(state, file)
            return
        file.write(b"half a checkpoint")
        file.flush()
        die()

    torch.save = save  # type: ignore[assignment]


def before_the_second_checkpoint() -> None:
    """The log is written, the checkpoint is not."""
    saved = checkpoint.save
    seen: list[int] = []

    def save(*given: Any) -> None:
        seen.append(1)
        if len(seen) == 2:
            die()
        saved(*given)

    checkpoint.save = save  # type: ignore[assignment]


def in_the_model_folder() -> None:
    """One file of the model is there."""

    def move(draft: Path, out: Path) -> None:
        first = min(draft.iterdir())
        first.replace(out / first.name)
        die()

    start.move_files = move


def in_an_update() -> None:
    """Gradients are there, weights are about to change."""
    from reasonbench.trainers.masters import MasterOptimizer

    stepped = MasterOptimizer.step
    seen: list[int] = []

    def step(self: MasterOptimizer, scale: float) -> float:
        seen.append(1)
        if len(seen) == EVERY + 2:
            die()
        return stepped(self, scale)

    MasterOptimizer.step = step  # type: ignore[method-assign]


PLACES: dict[str, Callable[[], None] | None] = {
    "between checkpoints": None,
    "in an update": in_an_update,
    "in the second checkpoint": in_the_second_checkpoint,
    "before the second checkpoint": before_the_second_checkpoint,
    "in the model folder": in_the_model_folder,
}


def forked(action: Callable[[], object]) -> int:
    """How a process that does it ended: 0, or the signal."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path) -> None:
    """Trains all of it."""
    torch.set_num_threads(1)
    assert forked(lambda: train(SETTINGS, folder / "whole", records)) == 0
    for place, prepare in PLACES.items():
        out = folder / place
        assert forked(functools.partial(killed, out, prepare)) == -signal.SIGKILL, place
        assert (out / checkpoint.FILE).is_file(), place
        assert forked(functools.partial(train, SETTINGS, out, records, resume=True)) == 0, place


def killed(out: Path, prepare: Callable[[], None] | None) -> None:
    """Trains until it dies."""
    if prepare is not None:
        prepare()
    train(SETTINGS, out, records, ignore if prepare else between_checkpoints)


def ignore(row: sft.LogRow) -> None:
    pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
