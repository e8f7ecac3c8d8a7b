"""Replicas in this process: a toy engine behind the real host, and links that break when told to.

The engine's tokens are a function of the seed, as vLLM's are on CPU. What crosses a link is
pickled, as it is on the way to another process.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from reasonbench.engines.base import EngineDeadError, EngineError, Held, Loaded, Watch
from reasonbench.engines.ending import ending
from reasonbench.engines.replicas import RESTARTS, Replicas, start_replicas
from reasonbench.engines.replicas_connection import PATIENCE, LinkError
from reasonbench.engines.replicas_engine import ENGINE, ReplicatedEngine
from reasonbench.engines.replicas_host import Host
from reasonbench.engines.replicas_messages import Batch, Message
from reasonbench.rewards.backend import Reading
from reasonbench.types import (
    Completion,
    Finish,
    ModelInfo,
    Prompt,
    RequestKey,
    SamplingParams,
    Usage,
)

INFO = ModelInfo("toy", "toy", "1")
PROMPT = Prompt((1, 2, 3), "question")
BAD_SEED, DEADLY_SEED = 1_000_001, 1_000_002


def tokens_of(seed: int) -> tuple[int, ...]:
    """What the toy writes: one to thirteen tokens."""
    return tuple((seed * 7 + i * i) % 50 + 3 for i in range(seed % 13 + 1))


def decode(before: Sequence[int], tokens: Sequence[int]) -> str:
    return "".join(chr(97 + token % 26) for token in tokens)


@dataclass
class Ledger:
    """What all toys together did.

    Attributes:
        computed: tokens.
        began, cancelled: seeds of requests.
        homes: by problem, the hosts that served it.
    """

    computed: int = 0
    began: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    homes: dict[str, set[int]] = field(default_factory=dict)


class Toy:
    """See `Engine` and `Backend`: both, as far as a replica needs them.

    Args:
        host: number of the host that it is in.
        hold: where it is not None, no token is written before it is set.
    """

    def __init__(self, host: int, ledger: Ledger, places: int, hold: asyncio.Event | None) -> None:
        self.info = INFO
        self.in_flight = places
        self.notice: str | None = None
        self.aborted = Usage()
        self.weight_version = 0
        self.closed = False
        self._host = host
        self._ledger = ledger
        self._hold = hold
        self._running: dict[int, list[int]] = {}

    @property
    def unfinished(self) -> Usage:
        rows = self._running.values()
        return Usage(decode_tokens=sum(map(len, rows)), requests=len(rows))

    def max_model_len(self) -> int:
        return 100

    async def sample(
        self, prompt: Prompt, params: SamplingParams, key: RequestKey, watch: Watch | None = None
    ) -> Completion:
        self._ledger.began.append(params.seed)
        self._ledger.homes.setdefault(key.problem_id, set()).add(self._host)
        if params.seed == BAD_SEED:
            raise EngineError("the toy refuses this seed.")
        if params.seed == DEADLY_SEED:
            raise EngineDeadError("the toy died.")
        end = ending(params, watch, decode)
        wrote = self._running[id(params)] = []
        version = self.weight_version
        try:
            if self._hold is not None:
                await self._hold.wait()
            for token in tokens_of(params.seed):
                await asyncio.sleep(0)
                wrote.append(token)
                self._ledger.computed += 1
                if end is not None and end.at is None and end.feed(token, float(token)):
                    break
            if end is not None:
                await end.settle()
        except asyncio.CancelledError:
            self._ledger.cancelled.append(params.seed)
            self.aborted += Usage(decode_tokens=len(wrote), requests=1)
            raise
        finally:
            del self._running[id(params)]
        tokens = tuple(wrote)
        finish: Finish = "stop"
        whole = len(tokens) == len(tokens_of(params.seed))
        if end is not None and end.at is not None and not (whole and end.at == len(tokens)):
            tokens, finish = tokens[: end.at], end.finish
        return Completion(
            tokens,
            decode((), tokens),
            finish,
            seed=params.seed,
            weight_version=version,
            usage=Usage(decode_tokens=len(wrote), requests=1),
        )

    async def read(
        self, ids: Sequence[int], positions: Sequence[int], cuts: Sequence[int]
    ) -> Reading:
        await asyncio.sleep(0)
        return Reading(tuple((float(sum(ids[: p + 1])),) for p in positions), len(ids), 0)

    async def load_weights(self, source: Any, version: int, in_flight: str) -> Loaded:
        self.weight_version = version
        return Loaded("toy", 8, 0.0, 0)

    async def held(self) -> Held:
        return Held((self.weight_version,), {"weight": self.weight_version})

    async def aclose(self) -> None:
        self.closed = True


class BreakingLink:
    """See `Link`: to a host in this process.

    Args:
        steps: how many times something gets through before the host dies, on its way there, at
            its arrival, or on its way back; None for a host that lives.
        hung: nothing comes back, and nobody says why.
    """

    def __init__(self, host: Host, steps: int | None = None, *, hung: bool = False) -> None:
        self.host = host
        self.killed = False
        self.closed = False
        self.puts = 0
        self._steps = steps
        self._hung = hung

    async def _step(self) -> None:
        if self._steps is not None:
            self._steps -= 1
            if self._steps <= 0:
                await self._die()
        if self.killed:
            raise LinkError("its process died")

    async def _die(self) -> None:
        self.killed = True
        await self.host.aclose()

    async def put(self, messages: Sequence[Message]) -> None:
        await self._step()
        await asyncio.sleep(0)
        self.puts += 1
        await self.host.put(pickle.loads(pickle.dumps(list(messages))))
        await self._step()

    async def take(self) -> Batch:
        await self._step()
        if self._hung:
            await asyncio.Event().wait()
        batch: Batch = pickle.loads(pickle.dumps(await self.host.take()))
        await self._step()
        return batch

    async def kill(self) -> None:
        if not self.killed:
            await self._die()

    async def aclose(self) -> None:
        self.closed = True
        await self.host.aclose()


class Toys:
    """Starts hosts with toys in them.

    Args:
        places: requests that one takes at once.
        deaths: for each host that is started, in order, the `steps` of its link; then None.

    Attributes:
        links: of every host that was started.
        ledger: see there.
    """

    def __init__(self, places: int = 4, deaths: Sequence[int | None] = ()) -> None:
        self.places = places
        self.links: list[BreakingLink] = []
        self.toys: list[Toy] = []
        self.ledger = Ledger()
        self.hold: asyncio.Event | None = None
        self.hung: set[int] = set()
        self._deaths: Iterator[int | None] = iter(deaths)

    async def start(self, index: int) -> BreakingLink:
        number = len(self.links)

        async def opened(config: Any) -> Toy:
            toy = Toy(number, self.ledger, self.places, self.hold)
            self.toys.append(toy)
            return toy

        host = Host({"engine": opened, "reward": opened}, beat=0.05)
        link = BreakingLink(host, next(self._deaths, None), hung=number in self.hung)
        self.links.append(link)
        return link

    async def replicas(
        self, count: int, *, restarts: int = RESTARTS, patience: float = PATIENCE
    ) -> Replicas:
        return await start_replicas(self.start, count, restarts=restarts, patience=patience)

    async def engine(
        self, count: int, *, restarts: int = RESTARTS, patience: float = PATIENCE
    ) -> ReplicatedEngine:
        """An engine of so many replicas."""
        replicas = await self.replicas(count, restarts=restarts, patience=patience)
        tokens: Any = None  # nothing is rendered here
        engine = ReplicatedEngine(replicas, ENGINE, tokens)
        await engine.open(None)
        return engine


def key(problem: int | str, sample: int = 0) -> RequestKey:
    return RequestKey("toys", str(problem), (sample,))


async def sample(
    engine: ReplicatedEngine, seed: int, problem: int | str = 0, watch: Watch | None = None
) -> Completion:
    return await engine.sample(PROMPT, SamplingParams(seed=seed), key(problem, seed), watch)
