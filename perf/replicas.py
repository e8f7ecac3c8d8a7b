"""What a driver's end of replicas takes: requests and answers, without Ray and without models.

    python perf/replicas.py --requests 8000 --replicas 8

The hosts are in this process and answer at once; what crosses a link is pickled. Each part is
timed by the CPU it takes: pickling at the hosts' end is left out, since they have cores of
their own.
"""

from __future__ import annotations

import argparse
import asyncio
import pickle
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reasonbench.engines.replicas import start_replicas
from reasonbench.engines.replicas_engine import ENGINE, ReplicatedEngine
from reasonbench.engines.replicas_host import Host
from reasonbench.engines.replicas_messages import Batch, Message
from reasonbench.types import Completion, ModelInfo, Prompt, RequestKey, SamplingParams, Usage

PROMPT = Prompt(tuple(range(100, 300)), "question " * 100)


class Instant:
    """Writes `tokens` tokens at once."""

    info = ModelInfo("instant", "instant", "1")
    in_flight = 256

    def __init__(self, tokens: int) -> None:
        ids = tuple(range(1000, 1000 + tokens))
        scores = tuple(-1.0 / (1 + i) for i in range(tokens))
        self._completion = Completion(
            ids, "word " * tokens, "stop", token_logprobs=scores, usage=Usage(decode_tokens=tokens)
        )

    def max_model_len(self) -> int:
        return 1 << 20

    async def sample(self, prompt: Prompt, params: SamplingParams, key: RequestKey) -> Completion:
        await asyncio.sleep(0)
        # of its own, so that it is pickled as often as it would be
        return replace(
            self._completion,
            token_ids=tuple(map(int, self._completion.token_ids)),
            token_logprobs=tuple(x + 0.0 for x in self._completion.token_logprobs or ()),
            text=self._completion.text + str(params.seed),
        )

    async def aclose(self) -> None: ...


class Pickled:
    """A link to a host in this process.

    Attributes:
        theirs: CPU seconds at the host's end.
        messages, bytes: that came back.
    """

    theirs = 0.0
    messages = 0
    bytes = 0

    def __init__(self, host: Host) -> None:
        self._host = host

    async def put(self, messages: Sequence[Message]) -> None:
        sent = pickle.dumps(list(messages))
        started = time.process_time()
        received = pickle.loads(sent)
        Pickled.theirs += time.process_time() - started
        await self._host.put(received)

    async def take(self) -> Batch:
        batch = await self._host.take()
        started = time.process_time()
        sent = pickle.dumps(batch)
        Pickled.theirs += time.process_time() - started
        Pickled.messages += 1
        Pickled.bytes += len(sent)
        received: Batch = pickle.loads(sent)
        return received

    async def kill(self) -> None: ...

    async def aclose(self) -> None:
        await self._host.aclose()


async def measure(requests: int, replicas: int, tokens: int) -> None:
    """Print what so many requests take."""

    async def start(index: int) -> Pickled:
        async def opened(config: Any) -> Instant:
            return Instant(tokens)

        return Pickled(Host({"engine": opened}))

    nobody: Any = None
    engine = ReplicatedEngine(await start_replicas(start, replicas), ENGINE, nobody)
    await engine.open(None)
    Pickled.theirs, Pickled.messages, Pickled.bytes = 0.0, 0, 0
    started = time.process_time()
    asked = (
        engine.sample(PROMPT, SamplingParams(seed=i), RequestKey("b", str(i // 64), (i % 64,)))
        for i in range(requests)
    )
    await asyncio.gather(*asked)
    took = time.process_time() - started
    await engine.aclose()
    print(f"{requests} requests of {tokens} tokens, {replicas} replicas")
    rate = requests / (took - Pickled.theirs)
    print(f"CPU with the hosts' event loops: {1e3 * took / requests:.3f} ms a request")
    print(f"without the hosts' pickling: {rate:,.0f} requests a second")
    back = Pickled.messages
    print(f"messages back: {back}, {requests / back:.0f} answers each")
    print(f"bytes back: {Pickled.bytes / requests:,.0f} a request")
    print(f"stolen: {engine.replicas.routers[ENGINE].stolen}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=400)
    given = parser.parse_args()
    asyncio.run(measure(given.requests, given.replicas, given.tokens))


if __name__ == "__main__":
    main()
