"""What one driver can take, measured on the real loop and store, and a plan for many GPUs from it.

    python perf/scaling.py measure [--problems 500] [--samples 64] [--tokens 400] [--shards 4]
    python perf/scaling.py simulate [--gpus 1000] [--problems 156250] [--samples 64]

`measure` needs no model: an engine answers at once, so what is left is the driver itself. Printed
are rows a second of the store alone; samples a second of the whole loop (plan, seeds, requests,
grading, store); of `merge`; of the table; the bytes of a sample on disk; and the peak of memory.

`simulate` shares problems out as `eval --shard` does; a GPU takes one shard after another: up to
`--batch` sequences at once that share the GPU's tokens a second evenly, each no faster than
`--single`. Lengths are lognormal, by problem and by sample, cut at `--longest`. The figures of a
GPU are assumptions, given as options; only what `measure` prints was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reasonbench.config import make
from reasonbench.evaluate import evaluate
from reasonbench.merging import merge
from reasonbench.runs import RunStore, SampleKey
from reasonbench.types import (
    Completion,
    Message,
    ModelInfo,
    Prompt,
    RequestKey,
    SamplingParams,
    Usage,
    Verdict,
)


class Instant:
    """An engine that answers at once with text of a given length; three in four answers are right.

    Args:
        tokens: of a completion.
    """

    def __init__(self, tokens: int) -> None:
        self.info = ModelInfo("instant", "instant", "0", active_parameters=10**9)
        self.in_flight = 1024
        self.notice: str | None = None
        self.aborted = Usage()
        chance = random.Random(0)
        self._ids = tuple(chance.randrange(150_000) for _ in range(tokens))
        self._body = "Then we add the two numbers and carry.\n\n" * (tokens // 10)

    def render(self, messages: Sequence[Message], **more: Any) -> Prompt:
        return Prompt(tuple(range(80)), messages[-1].content)

    async def sample(self, prompt: Prompt, params: SamplingParams, key: RequestKey) -> Completion:
        await asyncio.sleep(0)
        right = int(key.problem_id) * 2
        said = right + (params.seed % 4 == 0)
        usage = Usage(0, 80, len(self._ids), requests=1)
        return Completion(
            self._ids, f"{self._body}\\boxed{{{said}}}", "stop", None, -0.5, seed=params.seed,
            usage=usage,
        )  # fmt: skip

    def max_model_len(self) -> int:
        return 32_768

    async def aclose(self) -> None:
        pass


class Quiet:
    """An observer of nothing."""

    def starting(self, model: str) -> None: ...
    def begin(self, total: int, done: int) -> None: ...
    def advance(self, problem: object, completion: object, verdict: object) -> None: ...
    def spare(self, count: int) -> None: ...


def timed(what: str, count: int, unit: str, job: Callable[[], Any]) -> Any:
    """Run a job and print its rate by the clock and by its own CPU time."""
    began, cpu = time.perf_counter(), time.process_time()
    found = job()
    took, used = time.perf_counter() - began, time.process_time() - cpu
    print(
        f"{what:<24} {count / took:>10,.0f} {unit}/s   {count / used:>10,.0f} {unit}/s of CPU   "
        f"({took:.1f} s, {used:.1f} s CPU)"
    )
    return found


def store_alone(folder: Path, count: int, tokens: int) -> None:
    """Completions and verdicts straight into a store."""
    engine = Instant(tokens)
    key = RequestKey("b", "1", (0,))
    made = asyncio.run(engine.sample(Prompt((), ""), SamplingParams(), key))
    verdict = Verdict("correct", "2", "exact", "2 is 2")
    with RunStore.create_or_resume(folder, {"model": "instant"}) as store:
        for number in range(count):
            at = SampleKey("b", str(number // 64), "p", 0, number % 64)
            store.add_completion(at, made)
            store.add_verdict(at, verdict)


def measure(args: argparse.Namespace) -> None:
    """The driver without a model."""
    work = Path(tempfile.mkdtemp(prefix="scaling-", dir=args.folder))
    count = args.problems * args.samples
    try:
        lines = (
            f'{{"id": "{i}", "p": "{i} + {i}?", "a": "{2 * i}"}}\n'
            for i in range(1, args.problems + 1)
        )
        (work / "sums.jsonl").write_text("".join(lines))
        base = {
            "model": "instant",
            "benchmark": [str(work / "sums.jsonl")],
            "fields": {"prompt": "p", "answer": "a", "id": "id"},
            "strategy": [f"cot@{args.samples}", f"maj@{args.samples}"],
        }
        timed(
            "store alone",
            2 * count,
            "rows",
            lambda: store_alone(work / "store", count, args.tokens),
        )
        size = (work / "store/run.db").stat().st_size / count
        print(f"{'on disk':<24} {size:>10,.0f} bytes a sample")

        async def run(folder: str, **more: Any) -> None:
            await evaluate(make(base | more), work / folder, Quiet(), engine=Instant(args.tokens))

        for i in range(1, args.shards + 1):
            part = count // args.shards
            shard = f"{i}/{args.shards}"
            timed(
                f"eval --shard {shard}",
                part,
                "samples",
                lambda i=i, s=shard: asyncio.run(run(f"s{i}", shard=s)),
            )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{'peak memory so far':<24} {peak:>10,.0f} MiB")
        runs = [work / f"s{i}" for i in range(1, args.shards + 1)]
        timed("merge and its table", count, "samples", lambda: asyncio.run(merge(runs, work / "m")))
        timed("the table again", count, "samples", lambda: asyncio.run(run("m")))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{'peak memory':<24} {peak:>10,.0f} MiB, {count:,} samples")
    finally:
        shutil.rmtree(work)


def served(lengths: Sequence[float], batch: int, total: float, single: float) -> float:
    """Seconds until a GPU has written sequences of these lengths, in their order.

    All that run get equal shares, so one clock of attained service orders their ends.
    """
    ends: list[float] = []
    now = attained = 0.0
    waiting = iter(lengths)
    for length in waiting:
        heapq.heappush(ends, attained + length)
        if len(ends) == batch:
            now, attained = _end(ends, now, attained, total, single)
    while ends:
        now, attained = _end(ends, now, attained, total, single)
    return now


def _end(
    ends: list[float], now: float, attained: float, total: float, single: float
) -> tuple[float, float]:
    """The next sequence ends: when, and how much service each had by then."""
    rate = min(single, total / len(ends))
    end = heapq.heappop(ends)
    return now + (end - attained) / rate, end


def simulate(args: argparse.Namespace) -> None:
    """Every GPU takes the next shard when it has finished one."""
    chance = random.Random(args.seed)
    own = args.spread / 2**0.5
    shards = args.shards or args.gpus

    def drawn(mean: float) -> float:
        return mean * chance.lognormvariate(-own * own / 2, own)

    seconds, tokens = [], 0.0
    for shard in range(shards):
        means = [drawn(args.mean) for _ in range(shard, args.problems, shards)]
        lengths = [min(args.longest, drawn(m)) for m in means for _ in range(args.samples)]
        tokens += sum(lengths)
        seconds.append(args.start + served(lengths, args.batch, args.rate, args.single))
    free = [0.0] * args.gpus
    for took in seconds:
        heapq.heapreplace(free, free[0] + took)
    samples, last = args.problems * args.samples, max(free)
    ideal = tokens / (args.gpus * args.rate)
    print(
        f"{samples:,} samples, {tokens / samples:,.0f} tokens each, {args.gpus:,} GPUs at "
        f"{args.rate:,.0f} tokens/s, {shards:,} shards"
    )
    print(f"no GPU ever idle     {ideal / 3600:8.2f} h")
    print(f"a shard, median      {statistics.median(seconds) / 3600:8.2f} h")
    print(f"the last GPU ends    {last / 3600:8.2f} h  (they write {ideal / last:.0%} of it)")
    rate = samples / last
    print(f"samples a second     {rate:8,.0f} in all, {rate / args.gpus:.2f} a GPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("measure")
    one.add_argument("--problems", type=int, default=500)
    one.add_argument("--samples", type=int, default=64)
    one.add_argument("--tokens", type=int, default=400)
    one.add_argument("--shards", type=int, default=4)
    one.add_argument("--folder", help="where to work; the system's temporary folder")
    one.set_defaults(run=measure)
    two = commands.add_parser("simulate")
    two.add_argument("--gpus", type=int, default=1000)
    two.add_argument("--shards", type=int, help="as many as GPUs where not given")
    two.add_argument("--start", type=float, default=90, help="seconds until an engine is ready")
    two.add_argument("--problems", type=int, default=156_250)
    two.add_argument("--samples", type=int, default=64)
    two.add_argument("--batch", type=int, default=256, help="sequences of a GPU at once")
    two.add_argument("--rate", type=float, default=2500, help="tokens/s of a GPU, all together")
    two.add_argument("--single", type=float, default=60, help="tokens/s of one sequence at most")
    two.add_argument("--mean", type=float, default=2000, help="tokens of a sample")
    two.add_argument("--spread", type=float, default=0.8, help="sigma of log(length)")
    two.add_argument("--longest", type=float, default=16_384, help="token limit")
    two.add_argument("--seed", type=int, default=0)
    two.set_defaults(run=simulate)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
