"""The engine for servers: CPU of the client per request, and what a faulty server costs.

    python perf/served.py                         # the tests' small server, and a faulty one
    python perf/served.py --clients               # aiohttp, httpx and the openai client, bare
    python perf/served.py --url URL --model NAME  # a server of yours
    python perf/served.py --vllm 10 [--rounds 3]  # every strategy through a real vLLM server

The small server runs in a process of its own. Times are of CPU (user and system) of this process,
so a busy machine changes them little; wall-clock is given beside them. With `--vllm` so many
problems are evaluated through `vllm serve` of the built-in model, and through a server before it
that spoils 30 % of the requests (refusals, errors, hangs, cut, broken and dripping answers), in
turn; tables and completions must be equal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from reasonbench.engines import EngineConfig, open_engine
from reasonbench.engines.base import Engine
from reasonbench.types import Message, RequestKey, SamplingParams

AT_ONCE = 64
SERVER = """
import sys
from tests.engines.faulty_server import FaultyServer
from tests.engines.served_model import ServedModel
model = ServedModel()
print(model.url, FaultyServer(model.url).url, flush=True)
sys.stdin.read()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", action="store_true")
    parser.add_argument("--url")
    parser.add_argument("--model", default="toy")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--vllm", type=int, metavar="PROBLEMS")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.vllm:
        through_vllm(given.vllm, given.rounds)
        return
    if given.url:
        asyncio.run(measure("given", given.url, given.model, given.requests))
        return
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        clean, faulty = server.stdout.readline().split()
        try:
            if given.clients:
                for client in (with_aiohttp, with_httpx, with_openai):
                    asyncio.run(bare(client, clean, given.requests))
            else:
                before = asyncio.run(measure("clean", clean, given.model, given.requests))
                after = asyncio.run(measure("faulty", faulty, given.model, given.requests))
                print(f"faulty / clean: {after / before:.2f} x wall-clock")
        finally:
            server.terminate()


def through_vllm(problems: int, rounds: int) -> None:
    """The same evaluation through a real server and through a faulty one before it."""
    from tests.engines.faulty_server import FaultyServer
    from tests.engines.vllm_server import vllm_server

    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder, vllm_server(Path(folder) / "log") as url:
        faulty = FaultyServer(url)
        asyncio.run(evaluated(url, Path(folder) / "warm", problems))
        for turn in range(rounds):
            clean, first = asyncio.run(evaluated(url, Path(folder) / f"clean{turn}", problems))
            spoiled = faulty.spoiled.total()
            seconds, found = asyncio.run(
                evaluated(faulty.url, Path(folder) / f"faulty{turn}", problems)
            )
            if first != found:
                raise SystemExit("the completions differ")
            ratios.append(seconds / clean)
            print(
                f"clean {clean:.1f} s, faulty {seconds:.1f} s: {ratios[-1]:.2f} x; "
                f"{len(found):,} completions and nodes, equal; "
                f"{faulty.spoiled.total() - spoiled} requests spoiled",
                flush=True,
            )
        faulty.close()
    print(f"faulty / clean: median {statistics.median(ratios):.2f} x wall-clock")


async def evaluated(url: str, folder: Path, problems: int) -> tuple[float, list[Any]]:
    """Wall-clock seconds of an evaluation, and its completions and nodes."""
    from reasonbench.config import EvalConfig
    from reasonbench.evaluate import evaluate
    from tests.engines.vllm_server import STRATEGIES
    from tests.evaluation.logged_eval import Silent

    config = EvalConfig(
        benchmark=["builtin-arithmetic"],
        limit=problems,
        strategy=STRATEGIES,
        reward="builtin-orm",
        reward_engine="transformers",
    )
    engine = await open_engine(EngineConfig(model="openai:tiny", base_url=(url,)))
    begun = time.perf_counter()
    try:
        await evaluate(config, folder, Silent(), engine=engine)
    finally:
        await engine.aclose()
    seconds = time.perf_counter() - begun
    with sqlite3.connect(folder / "run.db") as database:
        key = "benchmark, problem_id, pool"
        flat = f"SELECT {key}, sample, finish, text, token_ids FROM completions"
        tree = f"SELECT {key}, path, finish, text, token_ids FROM nodes"
        return seconds, sorted(database.execute(flat)) + sorted(database.execute(tree))


async def measure(name: str, url: str, model: str, count: int) -> float:
    """Wall-clock seconds of so many completions by the engine."""
    engine = await open_engine(EngineConfig(model=f"openai:{model}", base_url=(url,)))
    prompts = [engine.render([Message("user", f"{i} + {i}?")]) for i in range(64)]
    try:
        return await _timed(name, count, lambda i: _sample(engine, prompts[i % 64], i))
    finally:
        await engine.aclose()


async def _sample(engine: Engine, prompt: Any, i: int) -> None:
    params = SamplingParams(max_tokens=128, seed=i)
    await engine.sample(prompt, params, RequestKey("perf", str(i % 64), (i,)))


async def _timed(name: str, count: int, one: Callable[[int], Awaitable[None]]) -> float:
    places = asyncio.Semaphore(AT_ONCE)

    async def placed(i: int) -> None:
        async with places:
            await one(i)

    await placed(0)
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(placed(i) for i in range(count)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{name}: {1e3 * cpu / count:.2f} ms of CPU a request, {wall:.1f} s, {count / wall:.0f}/s"
    )
    return wall


Send = Callable[[str, dict[str, Any]], Awaitable[None]]


async def bare(client: Callable[[], Awaitable[tuple[Send, Any]]], url: str, count: int) -> None:
    """A client without our engine around it."""
    send, close = await client()
    body = {"model": "toy", "prompt": list(range(97, 122)) * 4, "max_tokens": 128, "logprobs": 0,
            "return_token_ids": True}  # fmt: skip
    try:
        await _timed(client.__name__, count, lambda i: send(url, {**body, "seed": i}))
    finally:
        with suppress(RuntimeError):
            await close()


async def with_aiohttp() -> tuple[Send, Any]:
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    headers = {"Content-Type": "application/json"}

    async def send(url: str, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        async with session.post(f"{url}/completions", data=data, headers=headers) as answer:
            json.loads(await answer.read())

    return send, session.close


async def with_httpx() -> tuple[Send, Any]:
    import httpx

    session = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60)
    headers = {"Content-Type": "application/json"}

    async def send(url: str, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        answer = await session.post(f"{url}/completions", content=data, headers=headers)
        json.loads(answer.content)

    return send, session.aclose


async def with_openai() -> tuple[Send, Any]:
    import openai

    clients: dict[str, openai.AsyncOpenAI] = {}

    async def send(url: str, body: dict[str, Any]) -> None:
        client = clients.setdefault(url, openai.AsyncOpenAI(base_url=url, api_key="none"))
        extra = {"return_token_ids": body["return_token_ids"]}
        own = {name: value for name, value in body.items() if name not in extra}
        await client.completions.create(**own, extra_body=extra)

    async def close() -> None:
        for client in clients.values():
            await client.close()

    return send, close


if __name__ == "__main__":
    main()
