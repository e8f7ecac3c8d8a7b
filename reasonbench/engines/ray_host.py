"""The process of a replica on a Ray cluster: a `Host` with an engine, and a reward model beside it.

It is imported where the replica runs, which needs the same version of this package.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from reasonbench import __version__
from reasonbench.engines.replicas_host import Host
from reasonbench.engines.replicas_messages import Batch, Message

THREADS = "OMP_NUM_THREADS"
"""Ray sets it for its workers; vLLM decides by it how many cores a small model computes on."""


class Greeting(NamedTuple):
    """Who a replica is."""

    node: str
    pid: int
    version: str


class RayHost:
    """The actor."""

    def __init__(
        self, folder: str, variables: Mapping[str, str], cores: tuple[int, int] | None
    ) -> None:
        """Args:
        folder: in which the driver was called: relative paths mean the same where it is there.
        variables: of the driver's environment, those that an engine starts by.
        cores: which part of this machine's cores is its own, of how many; None for all.
        """
        with suppress(OSError):
            os.chdir(folder)
        os.environ.pop(THREADS, None)
        os.environ.update(variables)
        end_together()
        if cores is not None:
            keep_to(own_cores(sorted(os.sched_getaffinity(0)), *cores))
        self._host = Host({"engine": _engine, "reward": _reward})

    async def hello(self) -> Greeting:
        import ray

        node: Any = ray.util.get_node_ip_address  # untyped
        return Greeting(node(), os.getpid(), __version__)

    async def put(self, messages: Sequence[Message]) -> None:
        await self._host.put(messages)

    async def take(self) -> Batch:
        return await self._host.take()

    async def aclose(self) -> None:
        await self._host.aclose()


def own_cores(cores: Sequence[int], rank: int, count: int) -> list[int]:
    """The part of a machine's cores that belongs to one of the replicas on it.

    All of them where there are fewer cores than replicas.

    Args:
        rank: of the replica, from 0.
        count: of the replicas.
    """
    if len(cores) < count:
        return list(cores)
    return list(cores[rank * len(cores) // count : (rank + 1) * len(cores) // count])


def keep_to(cores: Sequence[int]) -> None:
    """Have this process, and those that it starts, compute on these cores.

    vLLM's own binding of threads picks among the cores that it may use.
    """
    for thread in Path("/proc/self/task").iterdir():
        try:
            os.sched_setaffinity(int(thread.name), cores)
        except ProcessLookupError:  # it has just ended
            continue


def end_together() -> None:
    """Have all processes that are started from here end with this one, however it ends.

    vLLM's core outlives an actor that is killed while the core starts, and holds its memory. Ray
    gives an actor a process group of its own; a shell in it waits for the end of a pipe that this
    process alone holds open.
    """
    if os.getpgid(0) == os.getpid():
        subprocess.Popen(["/bin/sh", "-c", "read _; kill -KILL 0"], stdin=subprocess.PIPE)


async def _engine(config: Any) -> Any:
    from reasonbench.engines import open_engine

    return await open_engine(config)


async def _reward(config: Any) -> Any:
    """The backend alone: texts become tokens at the driver's, where scores are remembered."""
    from reasonbench.rewards import open_reward

    reward: Any = await open_reward(config)
    return reward.backend
