"""Ray: the cluster that replicas run on, found or started here, and what it has room for."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reasonbench.engines.failure import first_line
from reasonbench.errors import UsageError

PLACED = 180.0
"""Seconds that a reservation, or the process of a replica, may take to be there."""

_REACHED = 5.0
_STARTS = 3
_FOLDER = "rb-ray-"
_STORE = 512 << 20
"""Bytes of a local cluster's object store: messages alone go through it."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_LOCAL = {
    # Ray's own switch for machines whose firewall asks: every socket is bound to 127.0.0.1
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # a machine short of memory is the user's to judge, as it is with one engine
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",
}


class Share(NamedTuple):
    """What one replica gets, all of it on one node."""

    gpus: int
    cpus: int

    def __str__(self) -> str:
        if self.gpus:
            return "1 GPU" if self.gpus == 1 else f"{self.gpus} GPUs"
        return "1 core" if self.cpus == 1 else f"{self.cpus} cores"


def share(nodes: Sequence[Mapping[str, float]], replicas: int, gpus: int) -> Share:
    """How much of a cluster each of so many equal replicas gets.

    On a cluster with GPUs as many as it asks for, and a core; elsewhere cores alone, as many as
    all can have.

    Args:
        nodes: what each has in all, as Ray says it ("CPU", "GPU").
        gpus: that a replica needs where there are any.

    Raises:
        UsageError: there is not enough, and what is missing.
    """
    have = [int(node.get("GPU", 0)) for node in nodes]
    cores = [int(node.get("CPU", 0)) for node in nodes]
    if any(have):
        room = sum(min(own // gpus, cpu) for own, cpu in zip(have, cores, strict=True))
        if room < replicas:
            raise UsageError(
                f"{replicas} replicas of {Share(gpus, 1)} need {replicas * gpus} GPUs, so many of "
                f"one replica on one node, and a core each: the cluster has {_listed(have)} GPUs "
                f"and {_listed(cores)} cores, room for {room}."
            )
        return Share(gpus, 1)
    for cpus in range(max(cores, default=0), 0, -1):
        if sum(own // cpus for own in cores) >= replicas:
            return Share(0, cpus)
    raise UsageError(
        f"{replicas} replicas need a core each, and the cluster has {sum(cores)} (and no GPU)."
    )


def _listed(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    return f"{sum(numbers)} ({' + '.join(map(str, numbers))})"


class Cluster:
    """This program's connection to Ray. Closing it ends everything that was started through it.

    Attributes:
        local: it was started here, and ends with the connection.
    """

    def __init__(self, ray: Any, folder: str | None) -> None:
        """Args: folder: of a local cluster's files."""
        self.ray = ray
        self.local = folder is not None
        self._folder = folder
        self._group: Any = None

    def reserve(self, replicas: int, gpus: int) -> Share:
        """Set aside what so many replicas need; see `share`.

        Raises:
            UsageError: the cluster has not got it, or others use it.
        """
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        one = share(nodes, replicas, gpus)
        wanted = {"CPU": one.cpus} | ({"GPU": one.gpus} if one.gpus else {})
        from ray.util.placement_group import placement_group

        self._group = placement_group([wanted] * replicas, strategy="PACK")
        if not self._group.wait(int(PLACED)):
            free = self.ray.available_resources()
            raise UsageError(
                f"{replicas} replicas of {one} each find no room: others use the cluster, of which "
                f"{free.get('GPU', 0):g} GPUs and {free.get('CPU', 0):g} cores are free."
            )
        return one

    def place(self, index: int) -> Any:
        """Where replica `index` runs, as Ray's actors take it."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        return PlacementGroupSchedulingStrategy(self._group, index)

    def beside(self, index: int) -> tuple[int, int]:
        """Which of the replicas of its node a replica is, from 0, and how many there are."""
        from ray.util.placement_group import placement_group_table

        nodes = placement_group_table(self._group)["bundles_to_node_id"]
        same = sorted(other for other, node in nodes.items() if node == nodes[index])
        return same.index(index), len(same)

    def close(self) -> None:
        """Leave the cluster; a local one ends."""
        if self._group is not None and not self.local:
            from ray.util.placement_group import remove_placement_group

            remove_placement_group(self._group)
        self._group = None
        self.ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def connect(address: str | None, *, verbose: bool = False) -> Cluster:
    """Join an existing cluster, or start one on this machine.

    Ray prints nothing, sends no statistics, and shows no dashboard. A local cluster can be reached
    from this machine alone, by who knows a secret that only its processes have.

    Args:
        address: of the cluster's head (HOST:PORT), "auto" for the one that runs here, or None.

    Raises:
        UsageError: there is no cluster, or it cannot be joined.
    """
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    if address is None:
        os.environ.update(_LOCAL)
        if "RAY_AUTH_MODE" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            if "ray" not in sys.modules:  # Ray reads it once, and sets it itself where it is new
                os.environ["RAY_AUTH_MODE"] = "token"
    else:
        _check(address)
    import ray

    if address is None:
        # what the variable says, where Ray was imported before it was set
        ray._private.ray_constants.ENABLE_RAY_CLUSTER = False
    if not verbose:
        logging.getLogger("ray").setLevel(logging.CRITICAL + 1)
    options: dict[str, Any] = {
        "log_to_driver": verbose,
        "configure_logging": False,
        "include_dashboard": None if address else False,
    }
    if address is not None:
        try:
            ray.init(address=address, **options)
        except (
            Exception
        ) as error:  # Ray raises ConnectionError, RuntimeError, ValueError, Exception
            raise UsageError(f"--ray {address}: {first_line(error)}") from error
        _hush(ray, verbose)
        return Cluster(ray, None)
    _sweep()
    # sockets' paths have to be short
    folder = tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir="/tmp")
    try:
        _start(ray, folder, options)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _hush(ray, verbose)
    return Cluster(ray, folder)


def _hush(ray: Any, verbose: bool) -> None:
    """Keep Ray from writing to the terminal that a process died, which is told otherwise."""
    if not verbose:
        # a thread of Ray's prints it, whatever its options say
        ray._private.worker.print_to_stdstream = lambda *args, **kwargs: None


def _sweep() -> None:
    """Remove what local clusters left whose programs were killed."""
    for folder in Path("/tmp").glob(f"{_FOLDER}*"):
        pid = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)  # those of other users stay


def own_signals() -> None:
    """Let SIGTERM do what it did before Ray took it, which prints a trace and ends the program.

    To be called in the main thread; elsewhere nothing changes.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGTERM, handler)
        signal.siginterrupt(signal.SIGTERM, False)  # as asyncio wants it


def _start(ray: Any, folder: str, options: dict[str, Any]) -> None:
    """Start a cluster here. Ray gives its processes 30 s, which a busy machine may not keep."""
    for left in reversed(range(_STARTS)):
        try:
            ray.init(
                address="local",
                num_cpus=len(os.sched_getaffinity(0)),
                object_store_memory=_STORE,
                _temp_dir=folder,
                **options,
            )
            break
        except Exception as error:  # as above
            ray.shutdown()
            if not left or "timed out" not in str(error):
                raise UsageError(f"Ray could not be started here: {first_line(error)}") from error
    if (seen := ray.util.get_node_ip_address()) != "127.0.0.1":
        ray.shutdown()
        raise UsageError(f"Ray would be open to other machines here ({seen}): give --ray ADDRESS.")


def _check(address: str) -> None:
    """Raises:
    UsageError: nothing answers at the address.
    """
    if "://" in address:
        raise UsageError(
            f"--ray {address}: run this on a node of the cluster and give its head's address as "
            "HOST:PORT, or auto."
        )
    if address in ("auto", "local"):
        if address == "local":
            raise UsageError("--ray local: leave --ray out to start a cluster here.")
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or not host:
        raise UsageError(f"--ray {address} should look like HOST:PORT, or be auto.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHED).close()
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"--ray {address} cannot be reached ({why}).") from error
