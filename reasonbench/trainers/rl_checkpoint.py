"""The checkpoint of a reinforcement-learning run: one file, replaced atomically."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from reasonbench.trainers.checkpoint import FILE, fixed, read, refuse_others, write
from reasonbench.trainers.grpo_config import VOLATILE, GrpoConfig
from reasonbench.trainers.rl_metrics import Spent
from reasonbench.trainers.rollouts import Rollouts, of_plain, to_plain


@dataclass(slots=True)
class Place:
    """How far a run has come.

    Attributes:
        step: batches trained on; also the version of the weights.
        position: of the next problem in the stream.
        pending: roll-outs that are written and not yet trained on.
        spent: tokens, FLOPs and time so far.
    """

    step: int
    position: int
    pending: Rollouts | None
    spent: Spent


def save(folder: Path, config: GrpoConfig, place: Place, learner: Mapping[str, Any]) -> None:
    """Writes the checkpoint; a kill at any moment leaves the old one or the new one whole.

    Args:
        learner: optimizers with their masters, critic, reference (`Learner.state`).
    """
    state = {
        "config": fixed(config, VOLATILE),
        "step": place.step,
        "position": place.position,
        "pending": None if place.pending is None else to_plain(place.pending),
        "spent": asdict(place.spent),
        "learner": dict(learner),
        "torch_rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python_rng": random.getstate(),
    }
    write(folder, state)


def load(folder: Path, config: GrpoConfig) -> tuple[Place, dict[str, Any]]:
    """Takes up a checkpoint: random states at once; the place, and the state of the learner.

    Raises:
        UsageError: there is none, it is damaged, or it is of a run with other settings.
    """
    path, state = folder / FILE, read(folder)
    refuse_others(path, fixed(config, VOLATILE), state["config"])
    torch.set_rng_state(state["torch_rng"])
    if state["cuda_rng"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_rng"])
    version, internal, gauss = state["python_rng"]
    random.setstate((version, tuple(internal), gauss))
    pending = None if state["pending"] is None else of_plain(state["pending"])
    place = Place(state["step"], state["position"], pending, Spent(**state["spent"]))
    return place, state["learner"]
