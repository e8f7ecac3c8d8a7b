"""New weights for an engine that runs: from the trainer's model to the engine's, versioned.

A push is complete when every completion that comes after it was written by the new weights, and
says so. Whether that is true is what `reasonbench.trainers.verify` finds out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from reasonbench.engines.base import Engine, InFlight, LiveEngine
from reasonbench.engines.config import EngineConfig
from reasonbench.errors import UsageError
from reasonbench.trainers.parallel import is_main

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LIVE = ("load_weights", "logprobs", "held", "sleep", "wake")


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push was.

    Attributes:
        version: of the weights that the engine serves from here on.
        seconds: from the call to the engine's being ready, `waited` included.
        bytes: that were handed over.
        how: "shared memory", "file", "in place", "ipc", "nccl".
        waited: seconds until no request was running.
        restarted: requests that were aborted and sampled again with the new weights.
    """

    version: int
    seconds: float
    bytes: int
    how: str
    waited: float
    restarted: int


def live(engine: Engine) -> LiveEngine:
    """The engine as one whose weights can be replaced.

    Raises:
        UsageError: it cannot take new weights.
    """
    if not all(callable(getattr(engine, name, None)) for name in _LIVE):
        raise UsageError(
            f"the engine {engine.info.engine!r} cannot take new weights: train with vllm or "
            "transformers."
        )
    return cast(LiveEngine, engine)


def for_training(config: EngineConfig, *, shares_gpu: bool = True) -> EngineConfig:
    """How to open an engine that weights are pushed into from a GPU.

    vLLM has to be told at its start that weights will come over the GPU, and that it is to sleep.
    On a machine without GPU, and for other engines, nothing changes: pushes go through shared
    memory. What the user set in `engine_args` stays. On a shared GPU the engine gets most of
    what the trainer's weights and optimizer leave free. NEVER RUN on a GPU.

    Args:
        shares_gpu: the trainer computes on the engine's GPU rather than on one of its own.
    """
    uses_vllm = config.engine == "vllm" or (config.engine == "auto" and find_spec("vllm"))
    # replicas are processes on GPUs of their own, and get weights by messages
    if config.replicas is not None or not uses_vllm or not torch.cuda.is_available():
        return config
    arguments: dict[str, Any] = {
        "weight_transfer_config": {"backend": "ipc" if shares_gpu else "nccl"},
        "enable_sleep_mode": shares_gpu,
    }
    if shares_gpu and config.gpu_memory_utilization is None:
        free, total = torch.cuda.mem_get_info()
        # its share is of the whole GPU; the optimizer's state comes with the first update
        arguments["gpu_memory_utilization"] = round(0.8 * free / total, 3)
    return config.model_copy(update={"engine_args": arguments | config.engine_args})


async def push(
    engine: LiveEngine,
    model: PreTrainedModel | Mapping[str, Tensor],
    version: int,
    *,
    in_flight: InFlight = "wait",
) -> PushReport:
    """Give the engine the weights that the model has now.

    Args:
        model: the trainer's, of the engine's architecture, or its `weights` where gathering them
            takes several processes. It must not change until this returns.
        version: above the engine's; stamped on every completion from here on.
        in_flight: what becomes of requests that are running: see `InFlight`.

    Raises:
        ValueError: the version is not above the engine's.
        EngineError: the weights did not arrive whole; the engine serves nothing until a push does.
    """
    if version <= engine.weight_version:
        raise ValueError(
            f"weights of version {version} cannot follow those of version {engine.weight_version}."
        )
    started = time.perf_counter()
    tensors = model if isinstance(model, Mapping) else weights(model)
    loaded = await engine.load_weights(tensors, version, in_flight)
    return PushReport(version, time.perf_counter() - started, loaded.bytes, loaded.how,
                      loaded.waited, loaded.restarted)  # fmt: skip


@torch.no_grad()
def weights(
    model: PreTrainedModel, *, tied: bool = False, dtype: torch.dtype | None = None
) -> dict[str, Tensor]:
    """The model's weights by the names that its checkpoint has.

    They share memory with the model. Those that are sharded over processes (FSDP) are put
    together one at a time, so that every process has to call this; the first one gets them, the
    others nothing.

    Args:
        tied: list weights that several layers share under each layer's name, not only the first.
        dtype: of sharded weights, which are fp32 themselves.
    """
    from transformers.core_model_loading import revert_weight_conversion

    found: dict[str, Tensor] = {}
    whole: dict[int, Tensor] = {}
    for name, parameter in model.named_parameters(remove_duplicate=not tied):
        if id(parameter) not in whole:
            whole[id(parameter)] = _gathered(parameter, dtype)
        found[name.replace("_orig_mod.", "")] = whole[id(parameter)]
    if not is_main():
        return {}
    stored: dict[str, Tensor] = revert_weight_conversion(model, found)
    return stored


def _gathered(parameter: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A weight put together, in the first process; what is not sharded as it is."""
    gather: Any = getattr(parameter, "full_tensor", None)
    if not callable(gather):
        return parameter.detach()
    together: Tensor = gather()
    return together.to(dtype or together.dtype) if is_main() else together.new_empty(0)
