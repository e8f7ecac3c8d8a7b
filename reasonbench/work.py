"""What of a run is missing in its store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reasonbench.in_order import certain, enough_key, rules_of
from reasonbench.plan import Pool, Task
from reasonbench.runs.store import RunStore
from reasonbench.searching import is_failed
from reasonbench.strategies.adaptive import Adaptive
from reasonbench.types import Problem


class Draw(NamedTuple):
    """One completion of a pool to be sampled."""

    rank: int
    """Of its problem among all: the engine serves the first problems first."""
    problem: Problem
    pool: Pool
    sample: int


class Solve(NamedTuple):
    """One search to be run."""

    rank: int
    problem: Problem
    pool: Pool


class Unit(NamedTuple):
    """One problem's completions, drawn in order until every rule has enough."""

    rank: int
    problem: Problem
    pool: Pool
    rules: Sequence[Adaptive]
    certain: int


def is_finished(tasks: Sequence[Task], store: RunStore, weight_version: int = 0) -> bool:
    """Whether the store holds every completion and every search that the tasks need."""
    enough = store.meta(enough_key(weight_version)) == "enough"
    done = finished(tasks, store, weight_version)
    for item in work(tasks, done):
        if not enough or not isinstance(item, Unit):
            return False
        if (
            done[item.problem.benchmark, item.pool.id].get(item.problem.id, 0).bit_count()
            < item.certain
        ):
            return False
    return True


def work(
    tasks: Sequence[Task], stored: Mapping[tuple[str, str], Mapping[str, int]]
) -> Iterator[Draw | Solve | Unit]:
    """What is missing, problem by problem so that a prompt's prefix stays cached."""
    rank = 0
    for task in tasks:
        for problem in task.problems:
            rank += 1
            for pool in task.pools:
                done = stored[task.benchmark.name, pool.id].get(problem.id, 0)
                if pool.search is not None:
                    if not done:
                        yield Solve(rank, problem, pool)
                    continue
                if rules := rules_of(task, pool):
                    if done.bit_count() < pool.n:
                        yield Unit(rank, problem, pool, rules, certain(task, pool))
                    continue
                for sample in range(pool.n):
                    if not done >> sample & 1:
                        yield Draw(rank, problem, pool, sample)


def finished(
    tasks: Sequence[Task], store: RunStore, weight_version: int = 0
) -> dict[tuple[str, str], dict[str, int]]:
    """By benchmark and pool, then by problem: a number whose bit i says that sample i is stored.

    Problems that are none of the tasks' are not read. Of a search it is 1 where it ended, other
    than by errors.
    """
    found: dict[tuple[str, str], dict[str, int]] = {}
    for task in tasks:
        ids = [problem.id for problem in task.problems]
        for pool in task.pools:
            at = (task.benchmark.name, pool.id)
            if pool.search is None:
                stored = store.finished(*at, weight_version, problems=ids)
                found.setdefault(at, {}).update(_bits(stored))
            else:
                ended = store.searches(*at, weight_version).items()
                found[at] = {problem: 1 for problem, s in ended if not is_failed(s.state)}
    return found


def _bits(finished: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for problem_id, sample in finished:
        found[problem_id] = found.get(problem_id, 0) | 1 << sample
    return found
