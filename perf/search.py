"""Beam search three ways: problems beside each other, in lock-step, and one after another.

    python perf/search.py [--problems 64] [--n 16] [--m 4] [--rounds 5] [--policy P] [--reward R]
        [--bind] [--natural] [--peers] [--one-by-one ROUNDS]
    python perf/search.py --simulate

Same engines, seeds and step lengths; the same trees grow in each way, and the script checks it.

Steps are as long as those of real solutions: the sentences of MATH's 5,000 reference solutions have
a median of 17 tokens and a log-normal spread of 1.0, and one solution in ten has more than 17 of
them. Here the length of each step and the number of steps of a path are drawn from such
distributions by the request's seed (`--median`, `--spread`, `--steps`); the built-in policy writes
whatever it writes in so many tokens. `--natural` keeps the policy's own steps of some ten tokens,
which hardly vary.

- `ours`: a coroutine for each problem over the shared engines; no problem waits for another;
- `barrier`: every problem takes its step, then every step is scored, then all go on (each as one
  concurrent batch), as search-and-learn does;
- `one by one`: a problem is finished before the next begins, as its_hub and OpenR do.

Scores are computed anew for every prefix (as those do), or incrementally (as here); each way is
timed with both. `--peers` leaves out ours with scores anew and one problem after another with
incremental ones, which nobody runs. Rounds alternate. `--bind` gives the policy's and the reward's
process a core each.

`--simulate` replays such searches on two simulated GPUs: a decoding step takes as long for one
request as for many, up to saturation, and a scored token costs a share of that.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from search_lengths import Lengths, endless

from reasonbench import benchmarks
from reasonbench.builtin import model_path
from reasonbench.engines import EngineConfig, open_engine
from reasonbench.engines.vllm import VllmEngine
from reasonbench.grading.ends import ends
from reasonbench.meter import Meter
from reasonbench.policy import Policy
from reasonbench.prompts import configure
from reasonbench.rewards import RewardConfig, open_reward
from reasonbench.rewards.base import Reward, RewardInfo, Scored
from reasonbench.rewards.incremental import IncrementalReward
from reasonbench.rewards.vllm_backend import VllmBackend
from reasonbench.strategies import parse
from reasonbench.strategies.search import Judge, Search
from reasonbench.tree import Node
from reasonbench.types import (
    Problem,
    Question,
    SamplingParams,
    Usage,
)

FAMILIES = ("builtin-arithmetic", "builtin-countdown", "builtin-code")
"""Steps of the first are short and many; of the others a few are long."""


class Anew:
    """The reward as peers use it: every prefix from its beginning, whatever was scored before."""

    def __init__(self, reward: IncrementalReward) -> None:
        self.reward = reward
        self.info: RewardInfo = reward.info

    async def score(self, question: Question, steps: Sequence[str]) -> Scored:
        adapter, backend = self.reward.adapter, self.reward.backend
        parts = [adapter.begin(question), *(adapter.step(i, s) for i, s in enumerate(steps))]
        ids = [token for part in parts for token in part]
        assert isinstance(backend, VllmBackend)
        # past the cache: what `read` does only where it must
        numbers, computed = await backend._encode(ids, skip=True)
        end, scores = len(parts[0]), []
        for part in parts[1:]:
            end += len(part)
            scores.append(adapter.score(tuple(numbers[end - 1])))
        usage = Usage(reward_tokens=computed, requests=1)
        return Scored(tuple(scores), None, tuple(map(len, parts[1:])), len(parts[0]), usage)

    def forget(self, question: Question) -> None:
        pass

    async def aclose(self) -> None:
        pass


class Barrier:
    """Lets its parties go on when all of them have come; those that are done need not come."""

    def __init__(self, parties: int) -> None:
        self.parties = parties
        self.come = 0
        self.opened = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        self.come += 1
        opened = self.opened
        self._check()
        await asyncio.shield(opened)

    def leave(self) -> None:
        self.parties -= 1
        self._check()

    def _check(self) -> None:
        if self.come >= self.parties:
            opened, self.opened = self.opened, asyncio.get_running_loop().create_future()
            self.come = 0
            opened.set_result(None)


class LockstepPolicy(Policy):
    """A policy whose rounds begin, and end, with those of all other problems."""

    barrier: Barrier

    async def grow(self, *args: Any, **options: Any) -> list[list[Node]]:
        await self.barrier.wait()
        grown = await super().grow(*args, **options)
        await self.barrier.wait()
        return grown


class LockstepJudge(Judge):
    """A judge that begins to score when all problems have grown their step."""

    barrier: Barrier

    async def score(self, nodes: Sequence[Node]) -> None:
        await self.barrier.wait()
        await super().score(nodes)
        await self.barrier.wait()


P = TypeVar("P", bound=Policy)


class Searches:
    """The problems, with what is needed to search each of them."""

    def __init__(
        self, engine: Any, problems: Sequence[Problem], strategy: Search, ending: bool = True
    ) -> None:
        self.engine, self.problems, self.strategy = engine, problems, strategy
        self.ending = ending
        self.style = configure("step")

    def policy(self, problem: Problem, kind: type[P]) -> P:
        question = problem.question
        messages = self.style.messages(question, instruction=None, chat=True)
        return kind(
            self.engine,
            question,
            self.engine.render(messages),
            SamplingParams(temperature=0.8),
            boundary=self.strategy.boundary(),
            max_tokens=1024,
            ends=ends(question) if self.ending else None,
            meter=Meter(),
        )

    async def one(self, policy: Policy, judge: Judge, reward: Reward) -> tuple[Any, Usage]:
        """A search: its solutions, and what it took."""
        found = await self.strategy.solve(policy.question, policy, judge)
        reward.forget(policy.question)
        return [node.token_ids() for node in found], policy.meter.usage

    async def ours(self, reward: Reward) -> list[tuple[Any, Usage]]:
        return await asyncio.gather(*(self._alone(p, reward) for p in self.problems))

    async def one_by_one(self, reward: Reward) -> list[tuple[Any, Usage]]:
        return [await self._alone(p, reward) for p in self.problems]

    async def barrier(self, reward: Reward) -> list[tuple[Any, Usage]]:
        barrier = Barrier(len(self.problems))

        async def run(problem: Problem) -> tuple[Any, Usage]:
            policy = self.policy(problem, LockstepPolicy)
            policy.barrier = barrier
            judge = LockstepJudge(reward, problem.question, policy.meter)
            judge.barrier = barrier
            try:
                return await self.one(policy, judge, reward)
            finally:
                barrier.leave()

        return await asyncio.gather(*map(run, self.problems))

    async def _alone(self, problem: Problem, reward: Reward) -> tuple[Any, Usage]:
        policy = self.policy(problem, Policy)
        return await self.one(policy, Judge(reward, problem.question, policy.meter), reward)


Way = Callable[[Reward], Awaitable[list[tuple[Any, Usage]]]]


async def timed(way: Way, reward: Reward, clock: Callable[[], float]) -> tuple[float, Any, Usage]:
    started = clock()
    done = await way(reward)
    total = sum((usage for _, usage in done), Usage())
    return clock() - started, [found for found, _ in done], total


async def compare(
    searches: Searches,
    rewards: dict[str, Reward],
    rounds: int,
    clock: Callable[[], float],
    reset: Callable[[], Awaitable[object]],
    busy: Callable[[], dict[str, float]] = dict,
    without: Collection[tuple[str, str]] = (),
    one_by_one: int | None = None,
) -> None:
    """Every way with every reward, in alternating rounds; prints the table.

    Args:
        clock: seconds, of the wall or of a simulation.
        reset: is called before each search.
        busy: processor seconds of each process so far.
        without: (scores, way) that are not run.
        one_by_one: in how many of the rounds problems go one after another; in all.
    """
    ways: dict[str, Way] = {
        "ours": searches.ours,
        "barrier": searches.barrier,
        "one by one": searches.one_by_one,
    }
    seconds: dict[tuple[str, str], list[float]] = {}
    usages: dict[tuple[str, str], Usage] = {}
    trees: dict[str, Any] = {}
    worked: dict[tuple[str, str], dict[str, list[float]]] = {}
    for number in range(rounds):
        for scoring, reward in rewards.items():
            for name, way in ways.items():
                if (scoring, name) in without:
                    continue
                if name == "one by one" and one_by_one is not None and number >= one_by_one:
                    continue
                await reset()
                before = busy()
                took, found, usage = await timed(way, reward, clock)
                for process, total in busy().items():
                    shares = worked.setdefault((scoring, name), {})
                    shares.setdefault(process, []).append(total - before.get(process, 0.0))
                seconds.setdefault((scoring, name), []).append(took)
                usages[scoring, name] = usage
                same = trees.setdefault(scoring, found) == found
                print(f"round {number + 1}, {scoring}, {name}: {took:.2f} s"
                      f"{'' if same else '  OTHER TREES'}", flush=True)  # fmt: skip
    print(f"\n{len(searches.problems)} problems, {searches.strategy.name}@{searches.strategy.n}, "
          "median of the rounds")  # fmt: skip
    best = statistics.median(seconds["incremental", "ours"])
    for scoring in rewards:
        print(f"  scores {scoring}")
        same = statistics.median(seconds.get((scoring, "ours"), [math.nan]))
        for name in ways:
            if (scoring, name) in without:
                continue
            times, usage = seconds[scoring, name], usages[scoring, name]
            middle = statistics.median(times)
            beside = "" if math.isnan(same) else f"x{middle / same:.2f} of ours, {scoring}, "
            print(
                f"    {name:<11} {middle:>8.2f} s  x{middle / best:.2f} of ours, incremental, "
                f"{beside}{min(times):.2f} – {max(times):.2f} in {len(times)} rounds  "
                f"{usage.decode_tokens:,} decoded, {usage.reward_tokens:,} scored tokens"
            )
            if parts := worked.get((scoring, name)):
                each = ", ".join(f"{p} {statistics.median(v):.1f}" for p, v in parts.items())
                print(f"{'':16}processor seconds: {each}")


def children() -> set[int]:
    """Processes that this one started."""
    found = set[int]()
    for task in Path("/proc/self/task").iterdir():
        found |= set(map(int, (task / "children").read_text().split()))
    return found


def bind(processes: set[int], core: int) -> None:
    """Keep processes, with all their threads, on one core."""
    for process in processes:
        for task in Path(f"/proc/{process}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})


def processor_seconds(processes: Iterable[int]) -> float:
    """What processes have used so far, all their threads together."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def measure(args: argparse.Namespace) -> None:
    folder = Path(args.policy) if args.policy else model_path()
    # a policy that never ends by itself is ended by `Lengths`
    with nullcontext(folder) if args.natural else endless(folder) as policy:
        await search_with(args, policy)


async def search_with(args: argparse.Namespace, policy: Path) -> None:
    before = children()
    engine = await open_engine(EngineConfig(model=str(policy), engine="vllm"))
    writing = children() - before
    reward = await open_reward(RewardConfig(model=args.reward, engine="vllm"))
    assert isinstance(reward, IncrementalReward)
    judging = reward.backend
    assert isinstance(engine, VllmEngine)
    assert isinstance(judging, VllmBackend)
    judges = children() - before - writing
    if args.bind:
        cores = sorted(os.sched_getaffinity(0))
        bind(writing, cores[0])
        bind(judges, cores[-1])
    problems: list[Problem] = []
    share = -(-args.problems // len(FAMILIES))
    for family in FAMILIES:
        loaded = benchmarks.load(benchmarks.get(family), None)
        problems += benchmarks.limit(loaded.problems, share)
    strategy = parse(f"beam@{args.n}:m={args.m}")
    assert isinstance(strategy, Search)
    drawn = (args.steps[0], args.steps[1])
    writer = engine if args.natural else Lengths(engine, args.median, args.spread, drawn)
    searches = Searches(writer, problems[: args.problems], strategy, ending=args.natural)

    async def reset() -> None:
        """Nothing cached of the rounds before."""
        await engine.llm.reset_prefix_cache()
        await judging.llm.reset_prefix_cache()

    def busy() -> dict[str, float]:
        return {
            "searches": time.process_time(),
            "policy": processor_seconds(writing),
            "reward": processor_seconds(judges),
        }

    warm = Searches(writer, problems[:8], strategy, ending=args.natural)
    await warm.ours(reward)
    await warm.ours(Anew(reward))
    try:
        await compare(
            searches,
            {"anew": Anew(reward), "incremental": reward},
            args.rounds,
            time.perf_counter,
            reset,
            busy,
            {("anew", "ours"), ("incremental", "one by one")} if args.peers else (),
            args.one_by_one,
        )
    finally:
        await engine.aclose()
        await reward.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--m", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one-by-one", type=int, metavar="ROUNDS",
                        help="rounds with the slowest way (all)")  # fmt: skip
    parser.add_argument("--policy", help="folder of the policy; the built-in one")
    parser.add_argument("--reward", default="builtin-prm")
    parser.add_argument("--bind", action="store_true", help="a core for each engine")
    parser.add_argument("--peers", action="store_true", help="only what ours or a peer does")
    parser.add_argument("--natural", action="store_true", help="the policy's own steps")
    parser.add_argument("--median", type=float, default=17.0, help="tokens of a step")
    parser.add_argument("--spread", type=float, default=1.0, help="of their logarithm")
    parser.add_argument("--steps", type=int, nargs=2, default=(5, 17), help="of a path")
    parser.add_argument("--simulate", action="store_true")
    args = parser.parse_args()
    if args.simulate:
        from search_simulation import simulate

        simulate(args, compare, Searches)
    else:
        asyncio.run(measure(args))


if __name__ == "__main__":
    main()
