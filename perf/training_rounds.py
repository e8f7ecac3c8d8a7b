"""Rounds of training steps in processes of their own, told to go by lines of JSON.

A worker trains without end; after each step it calls `Rounds.stepped`, which pauses it when a round
is over, says what the round was, and waits for the next. This module needs the standard library
alone: workers may run under a Python that has no reasonbench.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")


class EndedError(Exception):
    """Thrown through a trainer's loop when no round is wanted any more."""


class Rounds:
    """A worker's side.

    Attributes:
        counts: sums over the round (tokens, say), by name.
        parts: seconds of the round, by what they went to.
        notes: what else is worth saying of the round, by name.
    """

    def __init__(
        self,
        warm: int,
        facts: Mapping[str, Any],
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        """Begin.

        Args:
            warm: steps before the first round.
            facts: said once, when these are done.
            cpu: the processor seconds used so far, of all processes that take part.
        """
        self._facts, self._left, self._steps, self._cpu = dict(facts), warm, warm, cpu
        self._ready = False
        # what trainers print goes to the log; the line to the parent is ours alone
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._clear()

    def _clear(self) -> None:
        self.counts: dict[str, float] = defaultdict(float)
        self.parts: dict[str, float] = defaultdict(float)
        self.notes: dict[str, str] = {}
        self._cpu_started = self._cpu()
        self._started = time.perf_counter()

    def stepped(self) -> None:
        """A step is done; returns when the next one is wanted.

        Raises:
            EndedError: none is.
        """
        self._left -= 1
        if self._left:
            return
        seconds = time.perf_counter() - self._started
        said = {
            "seconds": seconds,
            "cpu_seconds": self._cpu() - self._cpu_started,
            "steps": self._steps,
            "counts": self.counts,
            "parts": self.parts,
            "notes": self.notes,
            "peak_bytes": peak_bytes(),
        }
        print(json.dumps(said if self._ready else self._facts), file=self._out, flush=True)
        self._ready = True
        self._left = self._steps = int(sys.stdin.readline() or 0)
        if not self._left:
            raise EndedError
        self._clear()

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count the seconds of a block, of what it started on a GPU as well."""
        started = time.perf_counter()
        try:
            yield
        finally:
            if (torch := _on_gpu()) is not None:
                torch.cuda.synchronize()
            self.parts[part] += time.perf_counter() - started

    def timing(self, part: str, function: Callable[..., Result]) -> Callable[..., Result]:
        """The function, its seconds counted."""

        @functools.wraps(function)
        def measured(*args: Any, **named: Any) -> Result:
            with self.timed(part):
                return function(*args, **named)

        return measured


def peak_bytes() -> int:
    """Most memory so far: of torch's allocator on a GPU, else of this process."""
    if (torch := _on_gpu()) is not None:
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _on_gpu() -> Any:
    """Torch, where this process has used a GPU by it."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None


class Worker:
    """A parent's side: one process."""

    def __init__(
        self, name: str, python: str, script: Path, settings: Mapping[str, Any], folder: Path
    ) -> None:
        """Start it.

        Args:
            name: for messages.
            python: the interpreter.
            script: one that reads the settings as JSON from its first argument.
            settings: of the worker.
            folder: gets what it prints, in NAME.log; also the worker's own folder, in NAME.
        """
        self.name, self._log = name, folder / f"{name.replace(' ', '-')}.log"
        own = self._log.with_suffix("")
        own.mkdir(exist_ok=True)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [python, str(script), json.dumps({**settings, "out": str(own)})],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
            )
        self.facts = self._read()

    def round(self, steps: int) -> dict[str, Any]:
        """So many steps; what they took."""
        self._tell(str(steps))
        return self._read()

    def close(self) -> None:
        """End it, and wait until it has."""
        if self._process.poll() is None:
            self._tell("0")
        self._process.communicate()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            last = self._log.read_text(errors="replace").strip().splitlines()[-15:]
            raise SystemExit("\n".join([f"{self.name} ended by itself:", *last]))
        found: dict[str, Any] = json.loads(line)
        return found


def alternate(
    workers: Sequence[Worker], rounds: int, steps: int
) -> dict[str, list[dict[str, Any]]]:
    """Rounds of all workers, one after the other, those that wait being idle."""
    found: dict[str, list[dict[str, Any]]] = {worker.name: [] for worker in workers}
    for number in range(rounds):
        for worker in workers:
            one = worker.round(steps)
            found[worker.name].append(one)
            speed = one["counts"]["tokens"] / one["seconds"]
            print(
                f"round {number + 1}  {worker.name:24} {one['seconds'] / steps:7.3f} s a step  "
                f"{speed:8.0f} tokens/s",
                flush=True,
            )
    return found
