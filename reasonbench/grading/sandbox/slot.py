"""Our end of one zygote: memory files in, a finding out."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import select
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

LAYERS = frozenset(
    {"private", "capabilities", "rlimits", "landlock", "seccomp", "nofiles", "watch"}
)
"""What can be put on. `nofiles`: without Landlock, no file at all can be opened."""

PACKAGES = (
    "numpy", "numpy.libs", "scipy", "scipy.libs", "pandas", "sympy", "mpmath", "networkx",
    "sortedcontainers", "more_itertools", "dateutil", "pytz", "six", "regex", "typing_extensions",
)  # fmt: skip
"""Third-party packages that programs may import where they are installed; nothing else of
site-packages can be read, this package with its problems and their answers least of all."""

START_SECONDS = 60.0
_GRACE_SECONDS = 30.0
_STARVED = 4
"""Times the wall-clock limit after which the zygote ends any program; as in `inside.zygote`."""
_MAX_RESULT = 64 << 20


class SlotError(RuntimeError):
    """The zygote could not be started or was lost: nothing is known of the program."""


class Ended(NamedTuple):
    """How a process of a job ended.

    Attributes:
        code: exit code; 0 where a signal ended it.
        signal: the signal, or 0.
        cpu: CPU seconds.
        memory: peak resident bytes.
    """

    code: int
    signal: int
    cpu: float
    memory: int


class Ran(NamedTuple):
    """A job that was run.

    Attributes:
        why: "ended", or the limit that ended it: "wall", "idle", "threads".
        wall: seconds.
        candidate: the program's process.
        checker: that of its tests; None where there was none.
        output: the program's standard output; empty in call mode.
        status: what the program or the checker said at its end, or None.
    """

    why: str
    wall: float
    candidate: Ended
    checker: Ended | None
    output: bytes
    status: Any


class Slot:
    """One zygote; runs one job at a time.

    Args:
        layers: what to put on, of `LAYERS`; anything less than a mode of `..mode` is for tests.
        python: the interpreter to run, this one by default.
        user: uid to run as, for tests as root.

    Raises:
        SlotError: it does not start.
    """

    def __init__(
        self,
        layers: Iterable[str],
        *,
        python: str = sys.executable,
        user: int | None = None,
        inside: Path | None = None,
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # above the standard descriptors, which may be closed and would otherwise be reused
        descriptor = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, 10)
        theirs.close()
        folder = str(inside or Path(__file__).resolve().parent)
        settings = {"layers": sorted(layers), **_readable()}
        begin = (
            f"import sys; sys.path.insert(0, {folder!r}); from inside.zygote import main; "
            "import json; main(int(sys.argv[1]), json.loads(sys.argv[2]))"
        )
        identity: dict[str, Any] = {}
        if user is not None:
            identity = {"user": user, "group": user, "extra_groups": []}
        try:
            self._process = subprocess.Popen(
                [python, "-s", "-S", "-P", "-B", "-X", "utf8", "-c", begin, str(descriptor),
                 json.dumps(settings)],
                pass_fds=(descriptor,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,
                **identity,
            )  # fmt: skip
        except OSError as error:
            ours.close()
            raise SlotError(f"{python} does not start: {error.strerror}") from None
        finally:
            os.close(descriptor)
        self._control = ours
        self._control.settimeout(START_SECONDS)
        try:
            self._receive()
        except SlotError:
            self.close()
            raise

    def run_script(
        self,
        program: bytes,
        stdin: bytes,
        limits: Mapping[str, Any],
        *,
        numpy: bool = False,
    ) -> Ran:
        """A whole program with this standard input.

        Raises:
            SlotError: the zygote was lost.
        """
        with contextlib.ExitStack() as files:
            given = [_memory(files, data) for data in (program, stdin, b"", b"")]
            request = {"mode": "script", "limits": limits, "numpy": numpy}
            reply = self._exchange(request, given, limits["wall"])
            most = limits["process"]["file_size"]
            return _ran(reply, _content(given[2], most), _content(given[3], 4096))

    def run_calls(
        self,
        program: bytes,
        job: bytes,
        limits: Mapping[str, Any],
        *,
        numpy: bool = False,
        trusted: bool = True,
    ) -> Ran:
        """A program whose functions the checker's job calls.

        A job that equals the last one is judged by the same checker, which is still there; one
        that runs tests of a model (not `trusted`) gets a checker for itself.

        Raises:
            SlotError: the zygote was lost.
        """
        with contextlib.ExitStack() as files:
            given = [_memory(files, data) for data in (program, job, b"")]
            tests = hashlib.blake2b(job, digest_size=16).hexdigest() if trusted else None
            request = {"mode": "call", "limits": limits, "numpy": numpy, "tests": tests}
            reply = self._exchange(request, given, limits["wall"])
            ran = _ran(reply, b"", _content(given[2], _MAX_RESULT))
        if ran.status is None and ran.why in ("ended", "idle", "wall"):
            raise SlotError("the checker ended before it had read anything of the program's")
        return ran

    def cancel(self) -> None:
        """End the program that runs now; may be called from another thread."""
        with contextlib.suppress(OSError):
            self._control.send(b"cancel")

    def close(self) -> None:
        """End the zygote and whatever it runs. Safe to call twice."""
        self._control.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _exchange(self, request: Any, given: list[int], wall: float) -> dict[str, Any]:
        self._control.settimeout(_STARVED * wall + _GRACE_SECONDS)
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], given)
        except OSError as error:
            raise SlotError(f"the zygote is gone ({error.strerror})") from None
        return self._receive()

    def _receive(self) -> dict[str, Any]:
        try:
            message = self._control.recv(1 << 16)
        except TimeoutError:
            raise SlotError("the zygote does not answer") from None
        except OSError as error:
            raise SlotError(f"the zygote is gone ({error.strerror})") from None
        if not message:
            raise SlotError(f"the zygote ended{self._last_words()}")
        reply: dict[str, Any] = json.loads(message)
        if reply.get("begun") is False:
            raise SlotError("a process could not be shut in, so nothing was run")
        return reply

    def _last_words(self) -> str:
        """The end of what it wrote to its standard error."""
        stream = self._process.stderr
        if stream is None or not select.select([stream], [], [], 1)[0]:
            return ""
        lines = os.read(stream.fileno(), 1 << 16).decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f" ({said[-1][:200]})" if said else ""


_ENVIRONMENT = {
    # one thread in numpy, or a fork would leave it without its others
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # each arena reserves address space, of which a program has little
    "MALLOC_ARENA_MAX": "1",
    # the order of a set of strings, and with it an answer, must not change from run to run
    "PYTHONHASHSEED": "0",
    "LC_ALL": "C.UTF-8",
}


def _readable() -> dict[str, list[str]]:
    """What programs may read: the standard library, shared libraries, some packages.

    Of directories that hold more than these only the entries are named: a rule on the directory
    would open all that lies below it, site-packages with the answers of our own problems included.
    """
    paths = sysconfig.get_paths()
    standard = {paths["stdlib"], paths["platstdlib"]}
    sites = list(dict.fromkeys([paths["purelib"], paths["platlib"]]))
    modules = [
        entry.path
        for folder in standard
        for entry in _entries(folder)
        if entry.name not in ("site-packages", "dist-packages")
    ]
    packages = [
        str(found)
        for site in sites
        for name in PACKAGES
        for found in (Path(site) / name, Path(site) / f"{name}.py")
        if found.exists()
    ]
    shared = [
        entry.path for folder in _LIBRARIES for entry in _entries(folder) if ".so" in entry.name
    ]
    return {
        "readable": [*modules, *packages, *shared, *_SYSTEM],
        "listed": [*standard, *sites],
        "paths": sites,
        "packages": list(PACKAGES),
    }


_MULTIARCH = sysconfig.get_config_var("MULTIARCH") or "."
_LIBRARIES = sorted(
    {
        str(Path(root) / sub)
        for root in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
        for sub in (".", _MULTIARCH)
    }
    | {str(Path(sys.base_prefix) / "lib")}
)
_SYSTEM = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/locale")


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _memory(files: contextlib.ExitStack, data: bytes) -> int:
    """A file in memory that holds the data and closes with `files`."""
    descriptor = os.memfd_create("reasonbench", os.MFD_CLOEXEC)
    files.callback(os.close, descriptor)
    view = memoryview(data)
    at = 0
    while at < len(view):
        at += os.pwrite(descriptor, view[at:], at)
    return descriptor


def _content(descriptor: int, most: int) -> bytes:
    size = min(os.fstat(descriptor).st_size, most)
    data = bytearray()
    while len(data) < size and (part := os.pread(descriptor, size - len(data), len(data))):
        data += part
    return bytes(data)


def _ran(reply: dict[str, Any], output: bytes, status: bytes) -> Ran:
    try:
        said = json.loads(status) if status else None
    except (ValueError, RecursionError):  # the program wrote there itself
        said = None
    checker = reply.get("checker")
    return Ran(
        reply["why"],
        reply["wall"],
        Ended(**reply["candidate"]),
        None if checker is None else Ended(**checker),
        output,
        said,
    )
