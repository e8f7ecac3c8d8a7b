"""Training in several processes: weights, gradients and optimizer states in shards (FSDP2).

Every process runs the same program under `torchrun` and reads the same data; of the batches of an
update it computes its own part (`deal`). Gradients are summed, not averaged: a loss whose
micro-batches add up to that of the update needs no factor for the number of processes.

The decoder's layers are gathered by FSDP as they are needed. The output head is not part of the
decoder, and shares its weight with the input embedding in tied models, so that it is gathered by
`whole`, whose gradient goes back to the shards. One process alone needs none of this: every
function here then does nothing, or gives back what it got.

ZeRO stage 3 (Rajbhandari et al. 2020, arXiv 1910.02054) as PyTorch's `fully_shard` has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

from reasonbench.errors import UsageError
from reasonbench.trainers.ranks import world_size

if TYPE_CHECKING:
    from transformers import PreTrainedModel

T = TypeVar("T")

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others: the first writes checkpoints while they wait."""

_SPAWN = "VLLM_WORKER_MULTIPROC_METHOD"
"""How vLLM starts its processes: forked off one of a group they would take the group for theirs."""

PATIENCE = timedelta(days=30)
"""How long a process waits for the first one's next order, which writes and evaluates meanwhile."""


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def is_main() -> bool:
    """Whether this process is the one that writes files and talks."""
    return rank() == 0


@contextmanager
def joined(device: str = "auto") -> Iterator[str]:
    """Joins the processes that `torchrun` started, for as long as the block runs.

    Meanwhile the environment does not tell of them: an engine that is started in the block is no
    part of the group.

    Args:
        device: "cpu", "cuda" or "auto": CUDA where there is one.

    Yields:
        The device of this process: its own GPU ("cuda:3"), or what was given where there is only
        one process.

    Raises:
        UsageError: there are fewer GPUs on this machine than processes.
    """
    wanted = int(os.environ.get("WORLD_SIZE", "1"))
    if wanted == 1 or (dist.is_available() and dist.is_initialized()):
        yield device
        return
    mine = "cpu"
    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise UsageError(
                f"torchrun started more processes than the {torch.cuda.device_count()} GPUs here: "
                "lower --nproc-per-node, or set device to cpu"
            )
        mine = f"cuda:{local}"
        torch.cuda.set_device(local)
    dist.init_process_group("gloo" if mine == "cpu" else "nccl", timeout=TIMEOUT)
    told = {name: os.environ.pop(name) for name in [*os.environ] if _is_torchruns(name)}
    spawning = _SPAWN not in os.environ
    if spawning:
        os.environ[_SPAWN] = "spawn"
    try:
        yield mine
    finally:
        if spawning:
            del os.environ[_SPAWN]
        os.environ.update(told)
        dist.destroy_process_group()


def _is_torchruns(name: str) -> bool:
    """Whether it is a variable by which `torchrun` tells a process of the others."""
    stem = name.removeprefix("LOCAL_").removeprefix("GROUP_").removeprefix("ROLE_")
    mine = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return stem in mine or name == "ROLE_NAME" or name.startswith("TORCHELASTIC_")


def orders() -> dist.ProcessGroup | None:
    """A group for orders of the first process, for which the others wait without an end.

    Every process has to call it. It works on the CPU, so that waiting keeps no GPU busy.
    """
    return dist.new_group(backend="gloo", timeout=PATIENCE) if world_size() > 1 else None


def shard(
    model: PreTrainedModel, device: str, dtype: torch.dtype, head: nn.Module | None = None
) -> None:
    """Leaves each process its part of the weights, in fp32; nothing with one process.

    What replaces modules or weights (adapters, `use_short_attention`, activation checkpointing)
    comes before, the optimizer after. Only what goes through `model.get_decoder()` and the output
    head (its forward pass, or `whole` of its weight) can be computed from here on.

    Args:
        model: in fp32, the same in all processes; on the CPU, if it is to be larger than a device.
        device: of this process ("cuda:0", "cpu").
        dtype: to compute in; gradients are summed in fp32.
        head: what the decoder's hidden states go to, where that is no vocabulary.
    """
    if world_size() == 1:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(torch.device(device).type, (world_size(),))
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    decoder = model.get_decoder()
    head = model.get_output_embeddings() if head is None else head
    tied = [
        m
        for m in decoder.modules()
        if isinstance(m, nn.Embedding) and head is not None and m.weight is head.weight
    ]
    for part in (*_layers(model, decoder), decoder):
        # the root too is freed after its forward pass: what is left gathered would be read again,
        # unchanged, after the optimizer's step
        fully_shard(part, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
    for part in decoder.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
    if head is None:
        return
    for name, weight in list(head.named_parameters(recurse=False)):
        if tied and name == "weight":
            head.weight = tied[0].weight
        else:
            there = weight.detach().to(device)
            cut = distribute_tensor(there, mesh, [Shard(0)], src_data_rank=None)
            setattr(head, name, nn.Parameter(cut, requires_grad=weight.requires_grad))
    if type(head) is nn.Linear:
        # of this head alone, not of its class
        head.forward = _GatheredHead(head)  # type: ignore[method-assign, assignment]


def whole(weight: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A weight put together from its shards; differentiable, gradients are summed over processes.

    Every process has to call it. A weight that is not sharded comes back as it is.

    Args:
        dtype: of the result; the weight's own by default.
    """
    if not isinstance(weight, DTensor):
        return weight
    together = weight.redistribute(
        placements=[Replicate()] * weight.device_mesh.ndim,
        forward_dtype=dtype,
        backward_dtype=weight.dtype,
    )
    return together.to_local(grad_placements=[Partial()] * weight.device_mesh.ndim)


@torch.no_grad()
def collected(value: Tensor) -> Tensor:
    """For a checkpoint: a tensor put together, on the CPU; an empty one where it is not written.

    Every process has to call it. A tensor that is not sharded comes back as it is.
    """
    if not isinstance(value, DTensor):
        return value.detach()
    together = value.full_tensor()
    return together.cpu() if is_main() else together.new_empty(0)


def placed(value: Tensor, like: Tensor) -> Tensor:
    """The part of a whole tensor that this process holds, laid out like another tensor."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    there = value.to(device=like.device, dtype=like.dtype)
    return distribute_tensor(there, like.device_mesh, like.placements, src_data_rank=None)


def assembled(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel | None:
    """An ordinary model on the CPU with the weights of a sharded one, in the main process only.

    Every process has to call it. A model that is not sharded comes back itself.
    """
    if not any(isinstance(p, DTensor) for p in model.parameters()):
        return model if is_main() else None
    state = {name: collected(p) for name, p in model.named_parameters(remove_duplicate=False)}
    stored = model.state_dict().keys()
    state |= {name: b.detach().cpu() for name, b in model.named_buffers() if name in stored}
    if not is_main():
        return None
    plain = _plain_class(model)
    with torch.device("meta"):
        copy: PreTrainedModel = plain(model.config)
    named = {n: t.to(dtype) if t.is_floating_point() else t for n, t in state.items()}
    copy.load_state_dict(named, strict=True, assign=True)
    copy.tie_weights()
    if model.can_generate():
        copy.generation_config = model.generation_config
    return copy


def everywhere(value: T, group: dist.ProcessGroup | None = None) -> list[T]:
    """The values of all processes, by their number. Every process has to call it.

    Args:
        group: how they speak; of all processes, too (`orders`).
    """
    if world_size() == 1:
        return [value]
    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, value, group)
    return found


def from_main(value: T, group: dist.ProcessGroup | None = None) -> T:
    """The main process's value, in every process: roll-outs of its engine, a decision to stop.

    Every process has to call it; what the others give is dropped.

    Args:
        group: how they speak; of all processes, too (`orders`).
    """
    held = [value]
    if world_size() > 1:
        dist.broadcast_object_list(held, src=0, group=group)
    return held[0]


def deal(group: Sequence[Sequence[T]], world: int, rank: int) -> list[list[T]]:
    """The micro-batches that one process computes of an update's.

    Whole ones go round; of the k that are left over each is cut into parts for world/k processes,
    so that none grows beyond its budget. Every process gets the same number of micro-batches, as
    they meet in each; where rows are fewer than processes, the last one of some is empty.

    Args:
        group: micro-batches of an update, as rows sorted by length.
        world: how many processes there are.
        rank: the number of this one.
    """
    full = len(group) // world * world
    mine = [list(group[place]) for place in range(rank, full, world)]
    left = group[full:]
    if left:
        taken = [place * len(left) // world for place in range(world)]
        parts = [place for place in range(world) if taken[place] == taken[rank]]
        mine.append(list(left[taken[rank]][parts.index(rank) :: len(parts)]))
    return mine


class _GatheredHead:
    """The forward pass of an output head whose weight is sharded."""

    def __init__(self, head: nn.Linear) -> None:
        self.head = head

    def __call__(self, states: Tensor) -> Tensor:
        bias = self.head.bias
        given = None if bias is None else whole(bias, states.dtype)
        return nn.functional.linear(states, whole(self.head.weight, states.dtype), given)


def _layers(model: PreTrainedModel, decoder: nn.Module) -> list[nn.Module]:
    """The blocks that are gathered one at a time."""
    names = set(getattr(model, "_no_split_modules", None) or ())
    return [m for m in decoder.modules() if type(m).__name__ in names and m is not decoder]


def _plain_class(model: PreTrainedModel) -> Any:
    """The class of a model before `fully_shard` put another in front of it."""
    return next(c for c in type(model).__mro__ if not c.__name__.startswith("FSDP"))
