"""Tensors handed from one process to another through a file in shared memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

SHARED_MEMORY = Path("/dev/shm")


class Written(NamedTuple):
    """A file of tensors.

    Attributes:
        path: where it is.
        bytes: its tensors' size.
        how: "shared memory", or "file" where there is none, or none left.
    """

    path: Path
    bytes: int
    how: str


@contextmanager
def written(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Iterator[Written]:
    """A safetensors file of the tensors that is there as long as the block.

    Args:
        dtype: numbers with a fraction are written in it.
    """
    ready = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None).contiguous()
        for name, tensor in tensors.items()
    }
    size = sum(tensor.nbytes for tensor in ready.values())
    free = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else 0
    room = free > size + (64 << 20)
    with tempfile.NamedTemporaryFile(
        prefix="reasonbench-", suffix=".safetensors", dir=SHARED_MEMORY if room else None
    ) as file:
        save_file(ready, file.name)
        yield Written(Path(file.name), size, "shared memory" if room else "file")


def folder_files(folder: Path) -> list[str]:
    """The safetensors files of a model's folder.

    Raises:
        FileNotFoundError: it holds none.
    """
    files = sorted(str(path.resolve()) for path in folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"there is no safetensors file in {folder}")
    return files
