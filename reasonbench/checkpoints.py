"""Checkpoints that a trainer of any kind writes below a folder: which there are, and whole."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reasonbench.errors import UsageError

DEPTH = 4
"""How far below the watched folder a checkpoint may lie (global_step_100/actor/huggingface)."""

SETTLED_SECONDS = 60.0
"""A folder whose files are older than this is no longer being written."""

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_LOADED = (".json", ".jinja", ".model", ".safetensors", ".txt")
"""Endings of the files that a model is loaded from; an optimizer's may still be written."""

Signature = tuple[tuple[str, int, int], ...]


class Checkpoint(NamedTuple):
    """A model that a trainer wrote."""

    step: int
    """The last number in its folder's name, or in that of the nearest folder above that has one."""
    folder: Path


def find(root: Path) -> list[Checkpoint]:
    """The checkpoints below a folder by step, whole or not: config.json beside safetensors files.

    Folders without a number in their names (`best`, `final`) are left out.

    Raises:
        UsageError: two lie at the same step.
    """
    found: dict[int, Path] = {}
    for folder in _folders(root, DEPTH):
        step = _step(folder, root)
        if step is None:
            continue
        if step in found:
            raise UsageError(
                f"{found[step]} and {folder} are both of step {step}: watch the folder of one kind."
            )
        found[step] = folder
    return [Checkpoint(step, found[step]) for step in sorted(found)]


class Ready:
    """Tells checkpoints that are written from those that are being written.

    One is ready when its weights are whole and nothing that is loaded has changed since the look
    before, or for a minute.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, Signature] = {}

    def look(self, folder: Path, now: float) -> bool:
        """Whether it is ready.

        Args:
            now: seconds since the epoch.
        """
        try:
            signature = _signature(folder)
            whole = is_whole(folder)
        except OSError:  # it is being removed
            return False
        before = self._seen.get(folder)
        self._seen[folder] = signature
        newest = max((changed for _, _, changed in signature), default=0) / 1e9
        return whole and (before == signature or newest < now - SETTLED_SECONDS)


def is_whole(folder: Path) -> bool:
    """Whether every byte of a checkpoint's weights is there."""
    if (folder / _SINGLE).is_file():
        return _is_whole_file(folder / _SINGLE)
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        files = set(index["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return bool(files) and all(_is_whole_file(folder / name) for name in files)


def _is_whole_file(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says.

    8 bytes of the header's length (little-endian), the header in JSON, the tensors.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if 8 + length > size:
                return False
            header = json.loads(file.read(length))
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        tensors: int = max((entry["data_offsets"][1] for entry in entries), default=0)
        return bool(size == 8 + length + tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return False


def _folders(root: Path, depth: int) -> Iterator[Path]:
    """Folders of models; what lies below one is no checkpoint of its own."""
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    except OSError:  # removed meanwhile
        return
    for name in names:
        folder = root / name
        if (folder / "config.json").is_file() and any(folder.glob("*.safetensors*")):
            yield folder
        elif depth > 1 and not name.startswith("."):
            yield from _folders(folder, depth - 1)


def _step(folder: Path, root: Path) -> int | None:
    for part in reversed(folder.relative_to(root).parts):
        if numbers := re.findall(r"\d+", part):
            return int(numbers[-1])
    return None


def _signature(folder: Path) -> Signature:
    files = sorted(e for e in folder.iterdir() if e.suffix in _LOADED and e.is_file())
    return tuple((e.name, s.st_size, s.st_mtime_ns) for e in files for s in (e.stat(),))
