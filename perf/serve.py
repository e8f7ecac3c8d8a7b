"""Many clients of `reasonbench serve` at once: calls a second, errors, and memory as it goes on.

    python perf/serve.py                                  # 64 clients, 60 s, maj@4, built-in model
    python perf/serve.py --strategy beam@4 --reward builtin-prm
    python perf/serve.py --no-model                       # an engine that answers at once

With `--no-model` what is left is the server itself: its CPU time for a call is printed too.

Every client asks one question after another, each question another one; one in eight asks for a
stream. Memory is the resident set of the server and of all its children (vLLM's core is one).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from reasonbench.grading.graders import Graders
from reasonbench.server.app import Service, application
from reasonbench.server.catalogue import Catalogue
from reasonbench.server.counted import Counted
from reasonbench.server.listen import Listener
from reasonbench.server.solving import Solver
from reasonbench.types import (
    Completion,
    Message,
    ModelInfo,
    Prompt,
    RequestKey,
    SamplingParams,
    Usage,
)


@dataclass
class Load:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    tokens: int = 0


def question(number: int) -> str:
    """A sum that nobody has asked yet."""
    chance = random.Random(number)
    name = chance.choice(["Tom", "Ana", "Li", "Sam"])
    have, more = chance.randrange(2, 99), chance.randrange(2, 99)
    return f"{name} has {have} apples and buys {more} more. How many apples does {name} have?"


async def client(http: httpx.AsyncClient, model: str, first: int, load: Load, end: float) -> None:
    """One client: calls until the end."""
    number = first
    while time.monotonic() < end:
        stream = number % 8 == 0
        body = {
            "model": model,
            "messages": [{"role": "user", "content": question(number)}],
            "stream": stream,
            **({"stream_options": {"include_usage": True}} if stream else {}),
        }
        number += 1
        began = time.monotonic()
        try:
            answer = await http.post("/v1/chat/completions", json=body)
        except httpx.HTTPError as error:
            load.statuses[type(error).__name__] += 1
            continue
        load.seconds.append(time.monotonic() - began)
        found = answer.json() if not stream else last(answer.text)
        fine = answer.status_code == 200 and "usage" in found
        load.statuses["200" if fine else f"{answer.status_code} {str(found)[:200]}"] += 1
        load.tokens += found["usage"]["completion_tokens"] if fine else 0


def last(text: str) -> dict[str, object]:
    """The last chunk of a stream, which must be whole."""
    events = [event for event in text.split("\n\n") if event.startswith("data: ")]
    if not events or events[-1] != "data: [DONE]":
        return {"stream": "not whole"}
    found: dict[str, object] = json.loads(events[-2].removeprefix("data: "))
    return found


def resident(pid: int) -> float:
    """Resident MiB of a process and all below it."""
    below: dict[int, list[int]] = {}
    pages: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            pages[int(folder.name)] = int((folder / "statm").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        below.setdefault(int(stat[1]), []).append(int(folder.name))
    waiting, total = [pid], 0
    while waiting:
        one = waiting.pop()
        total += pages.get(one, 0)
        waiting += below.get(one, [])
    return total * os.sysconf("SC_PAGE_SIZE") / 2**20


class Instant:
    """An engine that answers at once."""

    def __init__(self) -> None:
        self.info = ModelInfo("instant", "instant", "0", active_parameters=1)
        self.in_flight = 1024
        self.notice: str | None = None
        self.aborted = Usage()

    def render(self, messages: Sequence[Message], **more: object) -> Prompt:
        return Prompt(tuple(range(40)), messages[-1].content)

    async def sample(self, prompt: Prompt, params: SamplingParams, key: RequestKey) -> Completion:
        await asyncio.sleep(0)
        text = f"We add both.\n\n\\boxed{{{params.seed % 3}}}"
        return Completion((1,) * 12, text, "stop", usage=Usage(0, 40, 12, requests=1))

    def max_model_len(self) -> int:
        return 4096

    async def aclose(self) -> None:
        pass


async def listen(strategy: str) -> None:
    """Serve the engine that answers at once."""
    engine, graders = Counted(Instant()), Graders()
    service = Service(Solver(engine, graders), Catalogue([strategy], reward=False), engine)
    listener = Listener(application(service), "127.0.0.1", 0)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, listener.stop)
    print(f"serving at http://127.0.0.1:{listener.port}/v1", file=sys.stderr, flush=True)
    await listener.run_until_stopped()


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def start(args: argparse.Namespace) -> tuple[subprocess.Popen[str], str]:
    """The server and its address."""
    command = [sys.executable, "-m", "reasonbench", "serve", "--port", "0", "--model", args.model,
               "--engine", args.engine, "--strategy", args.strategy]  # fmt: skip
    if args.reward:
        command += ["--reward", args.reward]
    if args.no_model:
        command = [sys.executable, __file__, "--listen", "--strategy", args.strategy]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        print(line, end="", file=sys.stderr)
        if found := re.search(r"at (http://\S+)/v1", line):
            return process, found.group(1)
    raise SystemExit("the server did not start")


async def measure(args: argparse.Namespace, pid: int, url: str) -> None:
    """Warm up, load, and print."""
    limits = httpx.Limits(max_connections=args.clients, max_keepalive_connections=args.clients)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as http:
        warm = Load()
        await asyncio.gather(
            *(client(http, args.strategy, 10**9 + 1000 * i, warm, time.monotonic() + args.warm)
              for i in range(args.clients))
        )  # fmt: skip
        load, memory, used = Load(), [resident(pid)], cpu(pid)
        began = time.monotonic()
        end = began + args.seconds
        clients = [
            asyncio.ensure_future(client(http, args.strategy, 10**6 * (i + 1), load, end))
            for i in range(args.clients)
        ]
        for part in range(1, args.parts + 1):
            await asyncio.sleep(
                max(0.0, began + args.seconds * part / args.parts - time.monotonic())
            )
            memory.append(resident(pid))
        await asyncio.gather(*clients)
        used = cpu(pid) - used
        took = time.monotonic() - began
    calls = sum(load.statuses.values())
    errors = calls - load.statuses["200"]
    ordered = sorted(load.seconds)
    model = "no model" if args.no_model else args.url or args.model
    print(f"{args.clients} clients, {took:.1f} s, {args.strategy}, {model}")
    print(f"calls {calls:,} ({calls / took:.1f}/s), errors {errors}: {dict(load.statuses)}")
    print(f"decoded tokens {load.tokens:,} ({load.tokens / took:,.0f}/s)")
    print(
        f"seconds a call: median {statistics.median(ordered):.2f}, "
        f"95 % {ordered[int(0.95 * len(ordered))]:.2f}, most {ordered[-1]:.2f}"
    )
    print(f"CPU of the server's own process: {1000 * used / calls:.2f} ms a call")
    print(f"resident MiB, start to end: {', '.join(f'{m:,.0f}' for m in memory)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--strategy", default="maj@4")
    parser.add_argument("--reward")
    parser.add_argument("--no-model", action="store_true", help="an engine that answers at once")
    parser.add_argument("--listen", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--url", help="of a server that runs already, without /v1")
    parser.add_argument("--pid", type=int, default=os.getpid(), help="its process")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm", type=float, default=10, help="seconds before memory counts")
    parser.add_argument("--parts", type=int, default=4, help="how often memory is read")
    args = parser.parse_args()
    if args.listen:
        asyncio.run(listen(args.strategy))
        return
    if args.url:
        asyncio.run(measure(args, args.pid, args.url))
        return
    process, url = start(args)
    try:
        asyncio.run(measure(args, process.pid, url))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    print(f"exit code after SIGTERM: {process.returncode}")


if __name__ == "__main__":
    main()
