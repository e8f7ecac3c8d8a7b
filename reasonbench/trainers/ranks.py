"""Sums over the processes of a distributed run; the identity where there is one process."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """How many processes train together: 1 without torch.distributed."""
    return dist.get_world_size() if _running() else 1


def total(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes, in float64, on its device, without gradient.

    Every process must call it, with equal shapes; all receive the same numbers.
    """
    summed = values.detach().to(torch.float64, copy=True)
    if _running():
        # NCCL speaks only of what lies on a GPU.
        if dist.get_backend() == "nccl" and summed.device.type == "cpu":
            summed = summed.cuda()
        dist.all_reduce(summed)
    return summed.to(values.device)


def _running() -> bool:
    return dist.is_available() and dist.is_initialized()
