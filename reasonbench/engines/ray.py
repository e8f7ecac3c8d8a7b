"""The `ray` engine: one vLLM per actor of a Ray cluster, as one engine.

Ray places the processes, tells when one is gone and carries the messages; who gets which request,
and what becomes of it when a replica is lost, is `reasonbench.engines.replicas`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonbench import __version__
from reasonbench.engines.config import EngineConfig
from reasonbench.engines.locate import locate
from reasonbench.engines.openai_tokenizer import LocalTokens
from reasonbench.engines.ray_cluster import PLACED, Cluster, Share, connect, own_signals
from reasonbench.engines.replicas import Replicas, start_replicas
from reasonbench.engines.replicas_connection import Link, LinkError
from reasonbench.engines.replicas_engine import ENGINE, REWARD, ReplicatedBackend, ReplicatedEngine
from reasonbench.engines.replicas_messages import Batch, Message
from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from reasonbench.rewards.config import RewardConfig

_TO_CLOSE = 30.0
"""Seconds that a replica has to end in peace."""

_PASSED_ON = ("VLLM_", "HF_", "TRANSFORMERS_", "TOKENIZERS_", "REASONBENCH_", "OMP_", "KMP_")
_SECRET = ("_TOKEN", "_KEY", "SECRET", "PASSWORD")


async def open_engine(config: EngineConfig, beside: Replicas | None = None) -> ReplicatedEngine:
    """Start the replicas, each with a vLLM of its own, and wait until all are ready.

    Args:
        beside: replicas that have an engine already, and get this one too: it writes verdicts.

    Raises:
        UsageError: no cluster, not enough of it, or a model that cannot be opened.
    """
    located = locate(config.model, config.revision)
    own = engine_config(config)
    tokens = await asyncio.to_thread(_tokens, config, located.source, located.revision)
    if beside is not None:
        judge = ReplicatedEngine(beside, REWARD, tokens, config.max_in_flight, owned=False)
        await judge.open(own)
        return judge
    replicas = await open_replicas(config.replicas, config.ray, gpus_of(own), config.verbose)
    engine = ReplicatedEngine(replicas, ENGINE, tokens, config.max_in_flight)
    try:
        await engine.open(own)
    except BaseException:
        await engine.aclose()
        raise
    return engine


async def open_backend(config: RewardConfig, beside: Replicas | None) -> ReplicatedBackend:
    """Load a reward model on every replica.

    Args:
        beside: the policy's replicas; without a policy the reward has replicas of its own.

    Raises:
        UsageError: it cannot be opened.
    """
    if config.engine not in ("auto", "vllm"):
        raise UsageError(f"replicas judge in vLLM, not in {config.engine}: leave that out.")
    if config.device is not None:
        raise UsageError(
            "a reward model runs on the GPUs of its replica: leave its device out with --replicas."
        )
    own = config.model_copy(update={"engine": "vllm", "replicas": None, "ray": None})
    owned = beside is None
    if beside is None:
        size = config.tensor_parallel_size
        beside = await open_replicas(config.replicas, config.ray, size, config.verbose)
    backend = ReplicatedBackend(beside, owned=owned)
    try:
        await backend.open(own)
    except BaseException:
        await backend.aclose()
        raise
    return backend


def engine_config(config: EngineConfig) -> EngineConfig:
    """What each replica opens.

    Raises:
        UsageError: the number of replicas is missing, or something else than vLLM was asked for.
    """
    if config.replicas is None:
        raise UsageError(
            "the engine 'ray' is for evaluation, with --replicas N: a trainer's roll-outs come "
            "from one vLLM."
        )
    if config.engine not in ("auto", "ray", "vllm"):
        raise UsageError(f"replicas run vLLM, not {config.engine}: leave --engine out.")
    arguments = dict(config.engine_args)
    if gpus_of(config) > 1:
        # inside an actor vLLM would ask Ray for its workers, and find no room for them
        arguments.setdefault("distributed_executor_backend", "mp")
    return config.model_copy(
        update={"engine": "vllm", "replicas": None, "ray": None, "engine_args": arguments}
    )


def gpus_of(config: EngineConfig) -> int:
    """How many GPUs one vLLM computes on.

    Raises:
        UsageError: a size that is no number.
    """
    sizes = {
        "tensor_parallel_size": config.tensor_parallel_size,
        "pipeline_parallel_size": config.pipeline_parallel_size,
        "data_parallel_size": 1,
    }
    count = 1
    for name, size in sizes.items():
        given = config.engine_args.get(name, size)
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            raise UsageError(f"--engine-arg {name} should be a number of GPUs (got {given!r}).")
        count *= given
    return count


async def open_replicas(
    count: int | None, address: str | None, gpus: int, verbose: bool
) -> Replicas:
    """So many actors, without any model.

    Raises:
        UsageError: see `connect`, `Cluster.reserve`.
    """
    assert count is not None
    cluster = await asyncio.to_thread(connect, address, verbose=verbose)
    own_signals()
    try:
        share = await asyncio.to_thread(cluster.reserve, count, gpus)
        replicas = await start_replicas(partial(_start, cluster, share), count)
    except BaseException:
        await asyncio.to_thread(cluster.close)
        raise
    replicas.ended = partial(asyncio.to_thread, cluster.close)
    return replicas


async def _start(cluster: Cluster, share: Share, index: int) -> Link:
    """Start the process of a replica.

    Raises:
        LinkError: it is not there in time, or is not like this one.
    """
    from ray.exceptions import RayError

    from reasonbench.engines.ray_host import RayHost

    beside = await asyncio.to_thread(cluster.beside, index)
    actor_class: Any = cluster.ray.remote(RayHost)
    actor = actor_class.options(
        num_cpus=share.cpus,
        num_gpus=share.gpus,
        max_restarts=0,
        max_task_retries=0,
        scheduling_strategy=cluster.place(index),
    ).remote(os.getcwd(), environment(), None if share.gpus else beside)
    link = RayLink(cluster.ray, actor)
    try:
        link.who = await asyncio.wait_for(_told(actor.hello), PLACED)
    except TimeoutError:
        await link.kill()
        raise LinkError(f"its process was not there after {PLACED:g} s") from None
    except RayError as error:
        raise LinkError(f"its process did not start ({_said(error)})") from error
    except BaseException:
        await link.kill()
        raise
    if link.who.version != __version__:
        await link.kill()
        raise LinkError(
            f"reasonbench {link.who.version} is installed on {link.who.node}, not {__version__}"
        )
    return link


def environment() -> dict[str, str]:
    """The variables that engines start by, without secrets: those lie on each node already."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_PASSED_ON) and not any(part in name for part in _SECRET)
    }


@dataclass
class RayLink:
    """See `Link`: method calls of an actor.

    Attributes:
        who: the actor, once it has answered.
    """

    ray: Any
    actor: Any
    who: Any = field(default=None)

    async def put(self, messages: Sequence[Message]) -> None:
        await self._ask(self.actor.put, list(messages))

    async def take(self) -> Batch:
        batch: Batch = await self._ask(self.actor.take)
        return batch

    async def _ask(self, method: Any, *arguments: Any) -> Any:
        from ray.exceptions import RayActorError, RayError

        try:
            return await _told(method, *arguments)
        except RayActorError as error:
            raise LinkError(f"its process on {self.who.node} died") from error
        except RayError as error:
            raise LinkError(_said(error)) from error

    async def kill(self) -> None:
        if self.who is not None and _is_here(self.who.pid):
            # a process that was stopped does not hear of Ray's request
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.who.pid, signal.SIGKILL)
        await asyncio.to_thread(self.ray.kill, self.actor)

    async def aclose(self) -> None:
        from ray.exceptions import RayError

        with suppress(TimeoutError, RayError):
            await asyncio.wait_for(_told(self.actor.aclose), _TO_CLOSE)
        await self.kill()


def _is_here(pid: int) -> bool:
    """Whether the process of that number on this machine is an actor of this kind."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::RayHost")
    except OSError:
        return False


async def _told(method: Callable[..., Any], *arguments: Any) -> Any:
    """What a method of an actor returns."""
    remote: Any = method
    return await remote.remote(*arguments)


def _said(error: Exception) -> str:
    """The first line of one of Ray's errors, whose messages are pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def _tokens(config: EngineConfig, source: str, revision: str | None) -> LocalTokens:
    """The tokenizer, as vLLM loads it too.

    Raises:
        UsageError: it cannot be opened.
    """
    from transformers import AutoTokenizer

    from reasonbench.engines.failure import first_line

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            config.tokenizer or source,
            revision=revision if config.tokenizer is None else None,
            trust_remote_code=config.trust_remote_code,
        )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise UsageError(
            f"the tokenizer of {config.model} could not be opened: {first_line(error)}"
        ) from error
    return LocalTokens(tokenizer, config.model)
