"""Metrics also to TensorBoard, Weights & Biases or trackio, where they are installed and asked for.

The run store has everything without them; what they hold is a copy, which nothing reads back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

from reasonbench.errors import UsageError

TrackerName = Literal["tensorboard", "wandb", "trackio"]

PROJECT = "reasonbench"


class Tracker(Protocol):
    """Who keeps a copy of what is logged."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """The metrics of a step."""

    def close(self) -> None:
        """Nothing more comes."""


def open_trackers(
    names: Sequence[TrackerName], folder: Path, config: Mapping[str, Any]
) -> list[Tracker]:
    """The trackers of a run, which is named by its folder.

    Raises:
        UsageError: one is not installed.
    """
    check_trackers(names)
    return [
        _TensorBoard(folder) if name == "tensorboard" else _Runs(name, folder, config)
        for name in names
    ]


def check_trackers(names: Sequence[TrackerName]) -> None:
    """Raises:
    UsageError: one is not installed.
    """
    for name in names:
        if find_spec(name) is None:
            raise UsageError(f"{name} is not installed: `pip install {name}`, or leave it out")


class _TensorBoard:
    """Event files in the run's folder."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Runs:
    """wandb, and trackio, which has its functions: a run with a name and a configuration.

    A resumed run goes on in the same one.
    """

    def __init__(self, name: str, folder: Path, config: Mapping[str, Any]) -> None:
        self._module: Any = import_module(name)
        run = folder.resolve().name
        more: dict[str, Any] = {"resume": "allow"}
        if name == "wandb":
            more |= {"id": run, "dir": str(folder)}
        self._module.init(project=PROJECT, name=run, config=dict(config), **more)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._module.log(dict(metrics), step=step)

    def close(self) -> None:
        self._module.finish()
