"""What is sent to vLLM's weight transfer fits the API that is installed. Nothing is sent here."""

from __future__ import annotations

import asyncio
import pickle
from base64 import b64decode
from typing import Any, cast

import pytest
import torch

from reasonbench.engines.vllm_transfer import Client, Source, Transfer

base = pytest.importorskip("vllm.distributed.weight_transfer.base")


class Calls:
    """Stands where `AsyncLLM` would: keeps what is asked of the workers."""

    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, Any]]] = []

    async def collective_rpc(self, method: str, kwargs: dict[str, Any]) -> list[None]:
        self.made.append((method, kwargs))
        return [None]


def test_the_client_is_one_that_vllms_senders_take() -> None:
    calls = Calls()

    async def scene() -> None:
        client = Client(cast(Any, calls), asyncio.get_running_loop())
        assert isinstance(client, base.VLLMWeightSyncClient)
        handles = [{"GPU-0": (1, b"handle")}]
        await asyncio.to_thread(client.init_weight_transfer_engine, {"packed": False})
        await asyncio.to_thread(client.start_weight_update)
        await asyncio.to_thread(client.update_weights, {"names": ["a"], "ipc_handles": handles})
        await asyncio.to_thread(client.finish_weight_update)

    asyncio.run(scene())
    from vllm.v1.worker.gpu_worker import Worker

    assert all(callable(getattr(Worker, method)) for method, _ in calls.made)
    update = dict(calls.made)["update_weights"]["update_info"]
    assert "ipc_handles" not in update
    assert pickle.loads(b64decode(update["ipc_handles_pickled"])) == [{"GPU-0": (1, b"handle")}]


def test_the_source_gives_what_vllms_own_gives() -> None:
    model = torch.nn.Linear(3, 2)
    source = Source()
    source.tensors = dict(model.named_parameters())
    own = base.ModuleSource(model)
    for ours, theirs in zip(source.metadata(), own.metadata(), strict=True):
        assert (ours.name, ours.dtype, ours.shape) == (theirs.name, theirs.dtype, theirs.shape)
    assert [name for name, _ in source] == [name for name, _ in own]


def test_another_way_of_transfer_is_refused() -> None:
    with pytest.raises(ValueError, match="ipc or nccl"):
        Transfer(cast(Any, Calls()), "sparse_nccl")
