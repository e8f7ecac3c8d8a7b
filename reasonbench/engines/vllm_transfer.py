"""Weights from a trainer's GPU into vLLM's workers by vLLM's own weight transfer.

Written against vLLM 0.32 (`vllm.distributed.weight_transfer`). NEVER RUN: the machines that this
project was built on have no GPU; its control flow alone is tested.

Used where vLLM was started with a `weight_transfer_config`: "ipc" where trainer and worker share a
GPU (the worker maps the trainer's memory), "nccl" where they have GPUs of their own.
"""

from __future__ import annotations

import asyncio
import pickle
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

BACKENDS = ("ipc", "nccl")

ENVIRONMENT = {"VLLM_ALLOW_INSECURE_SERIALIZATION": "1"}
"""What vLLM has to be started with for "ipc": the handles of memory travel as a pickle, from this
process to its own children."""


class Transfer:
    """Sends tensors on a GPU to every worker of one vLLM, pushing as often as is asked for.

    Attributes:
        backend: one of `BACKENDS`.
    """

    def __init__(self, llm: AsyncLLM, backend: str) -> None:
        if backend not in BACKENDS:
            raise ValueError(f"weights are sent by {' or '.join(BACKENDS)}, not by {backend!r}")
        self.backend = backend
        self._llm = llm
        self._source = Source()
        self._sender: Any = None

    async def send(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> int:
        """Give the workers these weights of a checkpoint; returns the bytes that were sent.

        Args:
            tensors: on the GPU that is the current one of this thread's process.
            dtype: numbers with a fraction are sent in it.
        """
        if self._sender is None:
            client = Client(self._llm, asyncio.get_running_loop())
            self._sender = await asyncio.to_thread(self._open, client, _device(tensors))
        return await asyncio.to_thread(self._send, tensors, dtype)

    def _send(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> int:
        self._source.tensors = {
            name: tensor.detach().to(dtype if tensor.is_floating_point() else tensor.dtype)
            for name, tensor in tensors.items()
        }
        try:
            with torch.cuda.device(_device(tensors)):
                self._sender.send_weights()
            return sum(tensor.nbytes for tensor in self._source.tensors.values())
        finally:
            self._source.tensors = {}

    def _open(self, client: Client, device: torch.device) -> Any:
        """vLLM's sender, met with its workers: once for all pushes."""
        from vllm.distributed.weight_transfer import WeightTransferTrainerFactory
        from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo
        from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo
        from vllm.utils.network_utils import get_ip, get_open_port

        meeting: Any
        if self.backend == "ipc":
            meeting = IPCTrainerInitInfo(rank=0)
        else:
            parallel = self._llm.vllm_config.parallel_config
            workers = parallel.world_size * parallel.data_parallel_size
            meeting = NCCLTrainerInitInfo(
                rank=0, master_address=get_ip(), master_port=get_open_port(), world_size=workers + 1
            )
        with torch.cuda.device(device):
            return WeightTransferTrainerFactory.trainer_init(
                meeting, client=client, source=self._source
            )


class Meta(NamedTuple):
    """What vLLM's sender asks to know of a tensor before it is sent."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]


class Source:
    """The tensors of a push, as vLLM's `WeightSource`: in the same order each time it is read."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def metadata(self) -> list[Meta]:
        return [Meta(name, t.dtype, tuple(t.shape)) for name, t in self.tensors.items()]

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        return iter(list(self.tensors.items()))


class Client:
    """vLLM's `VLLMWeightSyncClient` over an `AsyncLLM` of this process.

    Its methods are called in other threads than the event loop's, and block them.
    """

    def __init__(self, llm: AsyncLLM, loop: asyncio.AbstractEventLoop) -> None:
        self._llm = llm
        self._loop = loop

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        self._call("init_weight_transfer_engine", {"init_info": init_info})

    def start_weight_update(self) -> None:
        self._call("start_weight_update", {})

    def update_weights(self, update_info: dict[str, Any]) -> None:
        handles = update_info.pop("ipc_handles", None)
        if handles is not None:
            update_info["ipc_handles_pickled"] = b64encode(pickle.dumps(handles)).decode()
        self._call("update_weights", {"update_info": update_info})

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        self._call("finish_weight_update", {})

    def _call(self, method: str, arguments: dict[str, Any]) -> None:
        call = self._llm.collective_rpc(method, kwargs=arguments)
        asyncio.run_coroutine_threadsafe(call, self._loop).result()


def _device(tensors: Mapping[str, Tensor]) -> torch.device:
    """Where the tensors lie, all on one GPU."""
    return next(iter(tensors.values())).device
