"""The process that forks: one warm, single-threaded interpreter for each worker of the pool.

It never reads a program, a test or an answer: these are in memory files that only the fork that
needs them opens. So nothing can be found in the memory that forks inherit from it.

Control socket (SOCK_SEQPACKET), JSON each way. Request: {"mode": "script" | "call", "limits": …,
"numpy": bool, "tests": a name for equal jobs, null where they are not trusted} with descriptors
[program, stdin, stdout, status] or [program, job, result]; anything sent while it runs cancels it.
Reply: {"why", "begun", "wall", "candidate": ended, "checker": ended}, where ended is {"code",
"signal", "cpu", "memory"}.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from . import candidate, checker, packages
from .confine import (
    Limits,
    die_with_parent,
    drop_capabilities,
    drop_privileges,
    forget_environment,
    keep_descriptors,
    limit,
    private_folder,
    shut,
)
from .landlock import READ, READ_DIR, READ_FILE, SCRATCH, Ruleset
from .preloaded import ALWAYS, STRICT
from .seccomp import Filter

SCRATCH_FOLDER = "/tmp"
SLICE = 0.02
"""Seconds between two looks at what a running program uses."""
_CHECKER = Limits(cpu=3600, memory=3 << 30, file_size=64 << 20)
"""Of a checker, over all the programs that it judges."""
_CHECKER_SECONDS = 5.0
"""CPU seconds of a checker for one program, on top of the program's own."""
_LONG, _USES = 0.5, 500
"""A checker that took so many CPU seconds for a program, or judged so many, is replaced."""
_IDLE_SHARE = 0.1
_BLINK = 10 * SLICE
"""Of the seconds between two looks no more count: the machine stood still for the rest."""
_STARVED = 4
"""Times the wall-clock limit after which even a program that never got a processor is ended."""


def main(descriptor: int, settings: dict[str, Any]) -> None:
    """Serve requests on an inherited socket until it is closed."""
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    zygote = _Zygote(control, settings)
    control.send(b'{"ready": true}')
    while zygote.serve_one():
        pass


class _Zygote:
    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self.control = control
        self.layers = frozenset(settings["layers"])
        self.paths: list[str] = settings["paths"]
        self.numpy = False
        strict = "landlock" not in self.layers
        self._begun = -1
        for name in [*ALWAYS, *(STRICT if strict else ())]:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        if "capabilities" in self.layers:
            drop_privileges()
        self.null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self.rules = [
            *((p, READ) for p in settings["readable"]),
            *((p, READ_DIR) for p in settings["listed"]),
            ("/dev/null", READ_FILE | 1 << 1),
            *((p, READ_FILE) for p in ("/dev/urandom", "/dev/random", "/dev/zero")),
        ]
        self.ruleset = Ruleset(self.rules) if "landlock" in self.layers else None
        files = self.ruleset is not None or "nofiles" not in self.layers
        filtered = "seccomp" in self.layers
        self.filter = Filter(files=files) if filtered else None
        self.checker_filter = Filter(files=files, receive=True) if filtered else None
        self.checker: _Checker | None = None
        sys.path[:] = [*sys.path[1:], *self.paths]  # without the folder of this package
        packages.only(self.paths, settings["packages"])
        random.seed(0)  # the same in every zygote, so that a program draws the same everywhere
        gc.collect()
        gc.freeze()

    def serve_one(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self.control, 1 << 16, 4)
        if not message:
            return False
        try:
            request = json.loads(message)
            if request["numpy"] and not self.numpy:
                self._load_numpy()
            reply = self._run(request, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self.control.send(json.dumps(reply).encode())
        return True

    def _load_numpy(self) -> None:
        """A library that starts no thread when told so by the environment; see `..slot`."""
        self.numpy = True
        with contextlib.suppress(Exception):
            importlib.import_module("numpy")
        gc.collect()
        gc.freeze()

    def _run(self, request: dict[str, Any], given: list[int]) -> dict[str, Any]:
        limits = Limits(**request["limits"]["process"])
        started = time.monotonic()
        ruleset, filter_ = self.ruleset, self.filter
        heard, self._begun = os.pipe()
        if request["mode"] == "script":
            program, stdin, stdout, status = given
            kept = {0: stdin, 1: stdout, 2: self.null, 3: program, 5: status}
            judge = None
            child = self._fork(
                lambda: candidate.run_script(self._begin(kept, limits, ruleset, filter_, request))
            )
        else:
            program, job, result = given
            judge = self._checker(request["tests"], job)
            ours, theirs = socket.socketpair()
            inner = {0: self.null, 1: self.null, 2: self.null, 3: program, 4: theirs.fileno()}
            child = self._fork(
                lambda: candidate.serve(self._begin(inner, limits, ruleset, filter_, request))
            )
            with contextlib.suppress(BrokenPipeError):  # it ended: `_watch` sees it
                socket.send_fds(judge.control, [str(child).encode()], [ours.fileno(), result])
            ours.close()
            theirs.close()
        os.close(self._begun)
        why, ended = self._watch(child, judge, request["limits"], started)
        begun = os.read(heard, 1) == b"b"  # no exit code could say it: programs choose theirs
        os.close(heard)
        return {"why": why, "begun": begun, "wall": time.monotonic() - started, **ended}

    def _fork(self, body: Callable[[], None]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            self._parent = parent
            body()
        except BaseException:
            # it could not be shut in, so nothing was run: `begun` stays empty
            os._exit(71)
        os._exit(70)

    def _begin(
        self,
        kept: dict[int, int],
        limits: Limits,
        ruleset: Ruleset | None,
        filter_: Filter | None,
        request: dict[str, Any] | None,
    ) -> bytes:
        """In the fork: shut it in; gives the program's text. The ruleset's descriptor goes last."""
        folder = "/"
        if request is not None and request["limits"]["scratch"]:
            folder = SCRATCH_FOLDER
            private_folder(folder, request["limits"]["scratch"])
            if ruleset is not None:
                ruleset = Ruleset([*self.rules, (folder, SCRATCH)])
            filter_ = Filter(files=True, scratch=True) if filter_ is not None else None
        if "private" in self.layers:
            die_with_parent(self._parent)
            held = {6: ruleset.descriptor} if ruleset is not None else {}
            keep_descriptors({**kept, **held, 7: self._begun})
            self._begun = 7
            forget_environment()
            if ruleset is not None:
                ruleset = _At6(ruleset)
        else:
            for new, old in kept.items():
                os.dup2(old, new)
        text = candidate.read_all(3) if request is not None else b""
        os.chdir(folder)
        if "capabilities" in self.layers:
            drop_capabilities()
        if "rlimits" in self.layers:
            limit(limits)
        shut(ruleset, filter_)
        if isinstance(ruleset, _At6):
            os.close(6)
        if request is not None:
            os.write(self._begun, b"b")
        os.close(self._begun)
        return text

    def _checker(self, tests: str | None, job: int) -> _Checker:
        """The process that judges by these tests: the one there is, or a new one."""
        if self.checker is not None and self.checker.tests == tests and self.checker.lives():
            return self.checker
        if self.checker is not None:
            self.checker.end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept = {0: self.null, 1: self.null, 2: self.null, 3: job, 4: theirs.fileno()}

        def judge() -> None:
            self._begin(kept, _CHECKER, self.ruleset, self.checker_filter, None)
            checker.serve()

        self.checker = _Checker(tests, self._fork(judge), ours)
        theirs.close()
        return self.checker

    def _watch(
        self, child: int, judge: _Checker | None, limits: dict[str, Any], started: float
    ) -> tuple[str, dict[str, Any]]:
        """Wait for the one that decides, ending what passes a limit."""
        handle = os.pidfd_open(child)
        poll = select.poll()
        awaited = handle if judge is None else judge.control.fileno()
        poll.register(awaited, select.POLLIN | select.POLLHUP)
        poll.register(self.control, select.POLLIN | select.POLLHUP)
        before = 0.0 if judge is None else judge.cpu()
        waited = 0.0 if judge is None else _queued(judge.pid)
        why, seen, looked = "", 0.0, started
        while not why:
            for descriptor, _ in poll.poll(1000 * SLICE):
                why = "ended" if descriptor == awaited else "cancelled"
            now = time.monotonic()
            seen, looked = seen + min(now - looked, _BLINK), now
            if not why and "watch" in self.layers:
                judging = queued = 0.0
                if (
                    judge is not None
                ):  # a candidate that waits for its checker waits for nothing else
                    judging, queued = judge.cpu() - before, _queued(judge.pid) - waited
                if now - started > _STARVED * limits["wall"]:
                    why = "wall"
                else:
                    why = self._excess(child, judge, judging, queued, limits, seen)
        if why == "cancelled":
            self.control.recv(64)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)
        _, status, used = os.wait4(child, 0)
        ended = {"candidate": _ended(status, used.ru_utime + used.ru_stime, used.ru_maxrss)}
        if judge is not None:
            ended["checker"] = self._judged(judge, why, before)
        return why, ended

    def _judged(self, judge: _Checker, why: str, before: float) -> dict[str, Any]:
        """How the checker ended; one that has done its work goes on to the next program."""
        judge.uses += 1
        used = judge.cpu() - before
        done = why == "ended" and judge.control.recv(64) == b"done"
        if done and judge.tests is not None and used < _LONG and judge.uses < _USES:
            return _ended(0, used, 0)
        self.checker = None
        status = judge.end(wait=done)
        return _ended(0 if done else status, used, 0)

    def _excess(
        self,
        child: int,
        judge: _Checker | None,
        judging: float,
        queued: float,
        limits: dict[str, Any],
        elapsed: float,
    ) -> str:
        """Which limit that the kernel does not keep is passed, "" for none.

        Args:
            judging: CPU seconds of the checker on this child.
            queued: seconds that the checker was ready to run and got no processor.
            elapsed: seconds since the start in which the machine was seen to run.
        """
        if judging > limits["process"]["cpu"] + _CHECKER_SECONDS:
            return "checker"
        used = judging
        with contextlib.suppress(OSError), open(f"/proc/{child}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
            used += (int(fields[11]) + int(fields[12])) / _TICKS
            if int(fields[17]) > limits["threads"]:
                return "threads"
        # a busy machine fails no program: time in the processor's queue does not count, and who
        # stands in it now waits for nothing else
        if _runnable(child) or (judge is not None and _runnable(judge.pid)):
            return ""
        elapsed -= _queued(child) + queued
        if elapsed > limits["wall"]:
            return "wall"
        if elapsed > limits["idle"] and used < _IDLE_SHARE * elapsed:
            return "idle"
        return ""


class _Checker:
    """A checker that lives: by which tests it judges, and the socket that it listens on."""

    def __init__(self, tests: str | None, pid: int, control: socket.socket) -> None:
        self.tests, self.pid, self.control = tests, pid, control
        self.uses = 0

    def cpu(self) -> float:
        """CPU seconds so far."""
        try:
            return time.clock_gettime((~self.pid << 3) | 2)  # CPUCLOCK_SCHED of another process
        except OSError:
            return 0.0

    def lives(self) -> bool:
        """Whether nothing has ended it meanwhile."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def end(self, *, wait: bool = True) -> int:
        """End it; its status. With `wait` it listens, and closing is enough."""
        self.control.close()
        if not wait:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        return os.waitpid(self.pid, 0)[1]


def _ended(status: int, cpu: float, memory: int) -> dict[str, Any]:
    code = os.waitstatus_to_exitcode(status)
    return {"code": max(code, 0), "signal": max(-code, 0), "cpu": cpu, "memory": memory << 10}


class _At6(Ruleset):
    """A ruleset under the number that it has in the fork."""

    def __init__(self, ruleset: Ruleset) -> None:
        self.descriptor = 6


def _runnable(pid: int) -> bool:
    """Whether a thread of the process computes, would if it could, or waits for a disk."""
    with contextlib.suppress(OSError, IndexError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
                if file.read().rpartition(b")")[2].split()[0] in b"RD":
                    return True
    return False


def _queued(pid: int) -> float:
    """Seconds that the process was ready to run and got no processor: of the thread with most."""
    most = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file:
                most = max(most, int(file.read().split()[1]))
    return most / 1e9


_TICKS = os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
