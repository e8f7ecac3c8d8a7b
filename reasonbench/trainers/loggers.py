"""Metrics of training for other programs that draw them: TensorBoard, Weights & Biases, trackio.

The run store has everything without them. They are imported when they are asked for, and a network
is used only by those that need one (W&B: WANDB_MODE=offline keeps it local).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from reasonbench.errors import UsageError, unknown
from reasonbench.runs.files import atomic_write

PROJECT = "reasonbench"


class Logger(Protocol):
    """Where metrics go."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of a step; numbers that are not finite are left out."""
        ...

    def close(self) -> None:
        """Write what waits. Safe to call twice."""
        ...


class Loggers:
    """Several loggers as one; with none, what is logged goes nowhere."""

    def __init__(self, loggers: Sequence[Logger] = ()) -> None:
        self._loggers = tuple(loggers)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        finite = {name: float(v) for name, v in metrics.items() if math.isfinite(v)}
        for logger in self._loggers:
            logger.log(step, finite)

    def close(self) -> None:
        for logger in self._loggers:
            logger.close()


def open_loggers(
    names: Sequence[str], folder: Path, config: Mapping[str, Any], *, after: int | None = None
) -> Loggers:
    """The loggers of a run.

    Args:
        names: of `LOGGERS`, each once or several times.
        folder: of the run, which names it; TensorBoard's files go to `folder/tensorboard`.
        config: of the run, shown beside its curves.
        after: the step of the checkpoint that a resumed run goes on from: TensorBoard forgets later
            ones; W&B and trackio keep what they were told first. None at the beginning of a run.

    Raises:
        UsageError: an unknown name, or one that is not installed.
    """
    opened: list[Logger] = []
    for name in dict.fromkeys(names):
        if name not in LOGGERS:
            raise unknown("logger", name, LOGGERS)
        try:
            opened.append(LOGGERS[name](folder, config, after))
        except ImportError as error:
            for before in opened:
                before.close()
            raise UsageError(
                f"--log {name} needs {error.name or name}: pip install {name}."
            ) from error
    return Loggers(opened)


class _TensorBoard:
    def __init__(self, folder: Path, config: Mapping[str, Any], after: int | None) -> None:
        writer: Any = import_module("torch.utils.tensorboard").SummaryWriter
        purged = None if after is None else after + 1
        self._writer = writer(log_dir=str(folder / "tensorboard"), purge_step=purged)
        self._writer.add_text("config", "\n".join(f"    {k} = {v!r}" for k, v in config.items()))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Hosted:
    """W&B, and trackio, which has the same functions."""

    def __init__(self, module: Any, **given: Any) -> None:
        self._module = module
        module.init(project=PROJECT, **given)
        self._open = True

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._module.log(dict(metrics), step=step)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._module.finish()


def run_id(folder: Path, after: int | None) -> str:
    """Under which id the run in a folder is known to W&B, kept in the folder.

    A name would not do: two folders of one name are two runs. A run that begins again from its
    first step is another one, since W&B takes no step twice.

    Args:
        after: the step that a resumed run goes on from; None at the beginning.
    """
    file = folder / "wandb" / "id"
    if after is None or not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, uuid4().hex)
    return file.read_text(encoding="utf-8")


def _wandb(folder: Path, config: Mapping[str, Any], after: int | None) -> Logger:
    module = import_module("wandb")
    return _Hosted(
        module, name=folder.resolve().name, id=run_id(folder, after), dir=str(folder),
        config=dict(config), resume="allow",
    )  # fmt: skip


def _trackio(folder: Path, config: Mapping[str, Any], after: int | None) -> Logger:
    name = folder.resolve().name
    return _Hosted(import_module("trackio"), name=name, config=dict(config), resume="allow")


LOGGERS: Mapping[str, Callable[[Path, Mapping[str, Any], int | None], Logger]] = {
    "tensorboard": _TensorBoard,
    "wandb": _wandb,
    "trackio": _trackio,
}
