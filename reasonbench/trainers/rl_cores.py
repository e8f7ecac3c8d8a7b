"""Processor cores and processor time of a trainer and of the engine's processes (Linux)."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

_PROC = Path("/proc")


def descendants(parent: int | None = None) -> set[int]:
    """Process ids of all children, their children and so on; empty where /proc is not there."""
    found: set[int] = set()
    waiting = [os.getpid() if parent is None else parent]
    while waiting:
        for task in _tasks(waiting.pop()):
            try:
                children = (task / "children").read_text().split()
            except OSError:  # it ended meanwhile, or the kernel does not list children
                continue
            new = {int(child) for child in children} - found
            found |= new
            waiting += new
    return found


def cpu_seconds() -> float:
    """Processor time of this process, its ended children and its living descendants."""
    ticks = 0
    for pid in descendants():
        try:
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # utime, stime and those of its own ended children: fields 14 to 17 of proc(5)
        ticks += sum(map(int, fields[11:15]))
    times = os.times()
    ended = times.children_user + times.children_system
    return time.process_time() + ended + ticks / os.sysconf("SC_CLK_TCK")


def bind(process: int, cores: Collection[int]) -> None:
    """Keep every thread of a process on some cores; threads that end meanwhile are passed over."""
    for task in _tasks(process):
        try:
            os.sched_setaffinity(int(task.name), cores)
        except ProcessLookupError:
            continue


def split_cores(threads: int) -> tuple[set[int], set[int]] | None:
    """Cores for the engine and for a trainer of so many threads, or None with a single core.

    The engine keeps at least one.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None
    cut = max(1, len(cores) - threads)
    return set(cores[:cut]), set(cores[cut:])


def _tasks(process: int) -> list[Path]:
    try:
        return list((_PROC / str(process) / "task").iterdir())
    except OSError:
        return []
