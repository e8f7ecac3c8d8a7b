"""Holds tests and expected values, in a confined process of its own, and judges a candidate.

A job is JSON (see `..jobs`); the finding goes to a memory file that only this process and the
harness have. What a candidate can send is plain data: no text, exit code or object of its making
can be taken for a verdict.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import math
import os
import random
import signal
import socket
import sys
import traceback
from typing import Any

from .calls import Candidate, CandidateError, Ended, Remote, shown
from .candidate import read_all
from .codec import decode, no_handle
from .observed import text_of

JOB, CONTROL = 3, 4
VALUES_AT_ONCE = 24 << 20
"""Bytes of a reference solution's answers that are handed over at once."""
TEST_SECONDS = 1.0
"""CPU seconds of the checker on one model-written test, the program's own not counted."""
FILENAME = "<tests>"

Finding = dict[str, Any]


def serve() -> None:
    """Judge one candidate after another by the same tests, until the control socket closes.

    Each message brings a candidate's pid, and descriptors of the channel to it and of the file
    that the finding goes to. What one candidate sent is forgotten before the next one comes; the
    zygote replaces a checker that worked long.
    """
    job = json.loads(read_all(JOB))
    control = socket.socket(fileno=CONTROL)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 64, 2)
        if not message:
            os._exit(0)
        channel, result = descriptors
        _check(job, Candidate(channel, int(message), job.get("call_seconds")), _Report(result))
        os.close(channel)
        os.close(result)
        control.send(b"done")


def _check(job: dict[str, Any], candidate: Candidate, report: _Report) -> None:
    finding: Finding
    random.seed(0)  # tests that draw give every program the same
    try:
        finding = _FORMS[job["form"]](candidate, job, report)
    except Ended as end:
        finding = _ended(candidate, end)
    except MemoryError:
        finding = {"kind": "wrong answer", "reason": "its values are too large to compare"}
    report.write(finding)


class _Report:
    """The file that a finding goes to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._length = 0

    def ready(self) -> None:
        """Tell the harness that from here on only the candidate's answers can go wrong."""
        self.write({"kind": "undecided"})

    def write(self, finding: Finding) -> None:
        # in one write over the last one: a checker that is ended here leaves one or the other
        data = json.dumps(finding).encode().ljust(self._length)
        self._length = len(data)
        os.pwrite(self._descriptor, data, 0)


def _ended(candidate: Candidate, end: Ended) -> Finding:
    return {"kind": end.why, "reason": end.reason, "test": candidate.calls}


def _start(candidate: Candidate, entry: str, report: _Report) -> Finding | None:
    """Load the program; a finding where it does not load or lacks what is called."""
    report.ready()
    try:
        candidate.loaded()
    except Exception as error:
        return {**_failed(candidate, error, "while loading"), "started": False}
    except Ended as end:
        return {**_ended(candidate, end), "started": False}
    first, _, method = entry.partition(".")
    if first and not candidate.has(first) and not (method and candidate.has(method)):
        reason = f"NameError: the program defines no {first}"
        return {"kind": "exception", "reason": reason, "started": False}
    return None


def _failed(candidate: Candidate, error: BaseException, where: str) -> Finding:
    """What an exception says: the program's own, or one of the tests over its answer."""
    failure = candidate.failure
    test = candidate.calls
    if failure is not None and failure.error is error:
        name, message = failure.name, failure.message
        if name == "MemoryError":
            return {"kind": "memory limit", "reason": f"MemoryError ({where})", "test": test}
        if name == "RuntimeError" and "start new thread" in message:
            return {"kind": "thread limit", "reason": f"{message} ({where})", "test": test}
        if name == "PermissionError" or message.startswith(("[1] ", "[13] ")):
            return {"kind": "blocked action", "reason": f"{message} ({where})", "test": test}
        return {"kind": "exception", "reason": f"{name}: {message} ({where})", "test": test}
    got = candidate.last
    if isinstance(error, AssertionError):
        reason = got or "the assertion does not hold"
    else:
        reason = f"{type(error).__name__}: {error}"[:200] + (f"; {got}" if got else "")
    return {"kind": "wrong answer", "reason": f"{where}: {reason}", "test": test}


def _asserts(candidate: Candidate, job: dict[str, Any], report: _Report) -> Finding:
    """The dataset's own test code, over functions that live in the candidate."""
    entry = job["entry"]
    names: dict[str, Any] = {"__builtins__": builtins, "__name__": "tests"}
    try:
        exec(compile(job["setup"], FILENAME, "exec", dont_inherit=True), names)
        tree = ast.parse(job["code"], FILENAME)
        code = compile(tree, FILENAME, "exec", dont_inherit=True)
        if job["check"]:
            exec(code, names)
    except Exception as error:
        reason = f"the tests fail by themselves ({type(error).__name__}: {error})"
        return {"kind": "harness error", "reason": reason[:300]}
    wrong = _start(candidate, entry, report)
    if wrong is not None:
        return wrong
    names[entry] = Remote(candidate, entry)
    for name in _free_names(tree) - names.keys():
        if name in sys.stdlib_module_names:  # imported by the program, and meant by the tests
            names[name] = importlib.import_module(name)
        elif candidate.has(name):
            names[name] = Remote(candidate, name)
    candidate.failure = None
    try:
        if job["check"]:
            names["check"](names[entry])
        else:
            exec(code, names)
    except Exception as error:
        return _failed(candidate, error, _where(error, job["code"]))
    if candidate.ended is not None:  # a bare `except` of the tests took it
        return _ended(candidate, candidate.ended)
    return {"kind": "passed", "test": candidate.calls}


def _free_names(tree: ast.AST) -> set[str]:
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    return {name for name in used if not hasattr(builtins, name)}


def _where(error: BaseException, code: str) -> str:
    """The line of the tests that an exception went through."""
    line = 0
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == FILENAME:
            line = frame.lineno or 0
    lines = code.splitlines()
    text = lines[line - 1].strip() if 0 < line <= len(lines) else "the tests"
    return text if len(text) <= 120 else text[:119] + "…"


def _calls(candidate: Candidate, job: dict[str, Any], report: _Report) -> Finding:
    """Calls with given arguments, compared with the expected values."""
    entry, cases = job["entry"], job["cases"]
    expected = [decode(form, no_handle) for _, form in cases]
    wrong = _start(candidate, entry, report)
    if wrong is not None:
        return {**wrong, "passed": 0, "total": len(cases)}
    passed = 0
    first: Finding | None = None
    for number, ((arguments, _), want) in enumerate(zip(cases, expected, strict=True), start=1):
        try:
            got = decode(candidate.call_encoded(entry, arguments), _opaque)
            right = same(got, want, job)
            where = f"test {number}"
            found: Finding = {} if right else {
                "kind": "wrong answer", "test": number,
                "reason": f"{where}: {_call(entry, arguments)} gave {shown(got)}, "
                f"expected {shown(want)}",
            }  # fmt: skip
        except Exception as error:
            right = False
            found = _failed(candidate, error, f"test {number}")
        except Ended as end:
            first = first or _ended(candidate, end)
            break
        passed += right
        if not right:
            first = first or found
            if not job.get("all"):
                break
    total = {"passed": passed, "total": len(cases)}
    return {"kind": "passed", **total} if first is None else {**first, **total}


def _opaque(description: Any) -> Any:
    return _Opaque(str(description[1])[:60])


class _Opaque:
    """Stands for an object of the program where only plain values are compared: equals nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name} object>"


def _call(entry: str, arguments: Any) -> str:
    values = decode(arguments, _opaque)
    return f"{entry}({', '.join(shown(v) for v in values)})"


def same(got: Any, want: Any, job: dict[str, Any]) -> bool:
    """Equal as the benchmark compares: exactly, or floats within a tolerance.

    `tuples`: the outermost tuple is a list, as LiveCodeBench's checker has it. `evalplus`: floats
    within 1e-6 where the task names no tolerance (evalplus/eval, relative 1e-7 beside it).
    `floats`: the tolerance is for floats; whole numbers are compared exactly.
    """
    if job.get("tuples") and isinstance(got, tuple):
        got = list(got)
    if got == want:
        return True
    tolerance = float(job.get("atol") or 0.0)
    if not tolerance and job.get("evalplus") and _floats(want):
        tolerance = 1e-6
    return tolerance > 0 and _close(got, want, tolerance, exact=int if job.get("floats") else None)


def _floats(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _close(got: Any, want: Any, tolerance: float, exact: type | None) -> bool:
    if isinstance(want, list | tuple):
        return (
            type(got) is type(want)
            and len(got) == len(want)
            and all(_close(g, w, tolerance, exact) for g, w in zip(got, want, strict=True))
        )
    numbers = (int, float)
    if exact and isinstance(got, exact) and isinstance(want, exact):
        return bool(got == want)
    if not isinstance(got, numbers) or not isinstance(want, numbers):
        return bool(got == want)
    if isinstance(got, float) and not math.isfinite(got):
        return got == want
    if isinstance(want, float) and not math.isfinite(want):  # any distance would be in tolerance
        return False
    return got == want or abs(got - want) <= tolerance + 1e-7 * abs(want)


def _observe(candidate: Candidate, job: dict[str, Any], report: _Report) -> Finding:
    """What the program answers to each of the inputs, as text that equal answers share."""
    outputs: list[str] = []
    wrong = _start(candidate, job["entry"], report)
    if wrong is not None:
        return {**wrong, "outputs": []}
    try:
        for arguments in job["inputs"]:
            outputs.append(
                _output(candidate, job["entry"], arguments, tuples=bool(job.get("tuples")))
            )
    except Ended as end:
        return {"kind": end.why, "reason": end.reason, "outputs": outputs}
    return {"kind": "passed", "outputs": outputs}


def _output(candidate: Candidate, entry: str, arguments: Any, *, tuples: bool) -> str:
    try:
        return text_of(candidate, candidate.call_encoded(entry, arguments), tuples=tuples)
    except Exception as error:
        failure = candidate.failure
        own = failure is not None and failure.error is error
        return "!" + (failure.name if failure is not None and own else type(error).__name__)


def _passes(candidate: Candidate, job: dict[str, Any], report: _Report) -> Finding:
    """Which of the assert statements hold, each by itself; they are not trusted either."""
    entry = job["entry"]
    held: list[bool] = []
    wrong = _start(candidate, entry, report)
    if wrong is not None:
        return {**wrong, "held": []}
    signal.signal(signal.SIGPROF, _late)
    for test in job["tests"]:
        report.write({"kind": "undecided", "held": held})  # should the test end this process
        held = [*held, _holds(candidate, entry, test)]
        if candidate.ended is not None:
            return {**_ended(candidate, candidate.ended), "held": held[:-1]}
    return {"kind": "passed", "held": held}


def _holds(candidate: Candidate, entry: str, test: str) -> bool:
    owner = entry.partition(".")[0]  # of a method: tests make an instance of it
    names = {"__builtins__": builtins, owner: Remote(candidate, owner)}
    signal.setitimer(signal.ITIMER_PROF, TEST_SECONDS)
    try:
        exec(compile(test, FILENAME, "exec", dont_inherit=True), names)
    except BaseException:
        return False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return candidate.ended is None


def _late(_signal: int, _frame: object) -> None:
    raise TimeoutError


def _values(candidate: Candidate, job: dict[str, Any], report: _Report) -> Finding:
    """The answers themselves, of a reference solution that gives the expected values.

    Those to the first inputs, as many as `VALUES_AT_ONCE` holds.
    """
    wrong = _start(candidate, job["entry"], report)
    if wrong is not None:
        return wrong
    values = []
    for number, arguments in enumerate(job["inputs"], start=1):
        try:
            values.append(candidate.call_encoded(job["entry"], arguments))
        except Exception as error:
            return _failed(candidate, error, f"input {number}")
        if candidate.received > VALUES_AT_ONCE:
            break
    return {"kind": "passed", "values": values}


_FORMS = {
    "asserts": _asserts,
    "calls": _calls,
    "observe": _observe,
    "passes": _passes,
    "values": _values,
}

__all__ = ["CandidateError", "serve"]
