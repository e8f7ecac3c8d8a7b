"""Everything a run needs to go on as if it had never stopped, in one file."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from pydantic import BaseModel

from reasonbench.errors import UsageError
from reasonbench.runs.files import replacing
from reasonbench.trainers.batching import Position
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.parallel import everywhere, is_main, rank

FILE = "checkpoint.pt"
RESUMABLE = (
    "log_every", "checkpoint_every", "threads", "device", "log", "recompute", "engine_args",
    "check_benchmarks",
)  # fmt: skip
"""Settings that may differ on resuming: they change what is learned by rounding at most."""


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: updates done.
        examples: examples trained on.
        position: where the data stands.
        sums: numbers that a trainer adds up over the run, by name.
    """

    step: int = 0
    examples: int = 0
    position: Position = Position(0, 0)  # noqa: RUF009 - an immutable tuple
    sums: dict[str, float] = field(default_factory=dict)


def fixed(config: BaseModel, volatile: Collection[str] = RESUMABLE) -> dict[str, Any]:
    """The settings that a resumption must share, as plain values.

    Args:
        config: of the run.
        volatile: those that it need not share.
    """
    return config.model_dump(mode="json", exclude=set(volatile))


def refuse_others(path: Path, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Compares settings with those of a checkpoint, both as `fixed` gives them.

    Raises:
        UsageError: they differ.
    """
    if changed := sorted(k for k in mine if mine[k] != theirs.get(k)):
        raise UsageError(
            f"{path} is of a run with another {', '.join(changed)}: "
            "resume with the same settings, or choose another folder"
        )


def save(folder: Path, config: BaseModel, optimizer: MasterOptimizer, progress: Progress) -> None:
    """Writes the checkpoint; a kill at any moment leaves the old one or the new one whole.

    Every process of a run has to call it; the main one writes. The file does not tell how many
    processes there were, so that any number of them can resume.
    """
    state = {
        "config": fixed(config),
        "optimizer": optimizer.state(),
        "progress": (progress.step, progress.examples, *progress.position),
        "sums": dict(progress.sums),
        "rng": everywhere(_random_states()),
    }
    if not is_main():
        return
    write(folder, state)


def write(folder: Path, state: Mapping[str, Any]) -> None:
    """Writes a checkpoint, whole or not at all; what a kill left half written is removed."""
    for left in folder.glob(f".{FILE}.*.tmp"):
        left.unlink()
    with replacing(folder / FILE) as draft, draft.open("wb") as file:
        torch.save(dict(state), file)


def read(folder: Path) -> dict[str, Any]:
    """What the checkpoint in a folder holds, its `config` among it; tensors on the CPU.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise UsageError(f"there is no checkpoint to resume in {folder}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise UsageError(f"{path} is damaged: train anew in another folder") from error
    if not isinstance(state, dict) or "config" not in state:
        raise UsageError(f"{path} is no checkpoint of a training: train in another folder")
    return state


def load(folder: Path, config: BaseModel, optimizer: MasterOptimizer) -> Progress:
    """Takes up a checkpoint: masters, optimizer, random states; returns the progress.

    Raises:
        UsageError: there is none, it is damaged, or it is of a run with other settings.
    """
    path, state = folder / FILE, read(folder)
    refuse_others(path, fixed(config), state["config"])
    optimizer.load(state["optimizer"])
    states = state["rng"]
    # the states of a run of other size say nothing about this process
    _set_random_states(states[rank()] if rank() < len(states) else states[0])
    step, examples, pools, batches = state["progress"]
    return Progress(step, examples, Position(pools, batches), state["sums"])


def _random_states() -> dict[str, Any]:
    """Of this process: torch's, its GPU's, Python's."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "python": random.getstate(),
    }


def _set_random_states(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
