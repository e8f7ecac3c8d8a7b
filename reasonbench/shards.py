"""One evaluation on many machines: which problems each of n shards asks.

Problems are counted level by level, each level in its own order, and shard i of n takes every n-th
of that count, from the i-th on. So every shard holds each level in its share of the whole, within
one problem, whatever the order of the benchmark, and nothing but the benchmark, i and n decides it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reasonbench.errors import UsageError
from reasonbench.types import Problem

POSITIONS = "positions"
"""meta key: by benchmark, where in the whole the problems of a part stand (from 0, in order)."""


class Shard(NamedTuple):
    """One of several parts of an evaluation."""

    number: int
    """From 1."""
    of: int
    """How many there are."""

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class Part(NamedTuple):
    """What of a benchmark a run asks, where that is not all."""

    shards: tuple[str, ...]
    """As `i/n`: one, or those that were merged."""
    problems: int
    """Of the whole."""
    problem_ids: str
    """`ids_digest` of the whole."""
    positions: tuple[int, ...]
    """Of the part's problems in the whole, from 0, increasing."""

    def recorded(self) -> dict[str, Any]:
        """What the run's protocol says of it; the positions are kept beside it."""
        return {
            "shards": list(self.shards),
            "problems": self.problems,
            "problem_ids": self.problem_ids,
        }


def parse(text: str) -> Shard:
    """The shard that `i/n` spells.

    Raises:
        UsageError: it is not of that form, or i is not among 1 … n.
    """
    number, _, of = text.partition("/")
    if not (text.isascii() and number.isdecimal() and of.isdecimal()):
        raise UsageError(f"--shard {text!r} is not of the form i/n, as 2/8.")
    shard = Shard(int(number), int(of))
    if not 1 <= shard.number <= shard.of:
        raise UsageError(f"--shard {text}: the shards of {shard.of} are 1/{of} to {of}/{of}.")
    return shard


def part(benchmark: str, problems: Sequence[Problem], shard: Shard) -> Part:
    """The part of a benchmark that a shard asks.

    Raises:
        UsageError: there are more shards than problems.
    """
    if len(problems) < shard.of:
        raise UsageError(
            f"benchmark {benchmark} has {len(problems):,} problems, too few for {shard.of} shards."
        )
    levels: dict[str | None, list[int]] = {}
    for position, problem in enumerate(problems):
        levels.setdefault(problem.level, []).append(position)
    counted = [position for members in levels.values() for position in members]
    return Part(
        (str(shard),),
        len(problems),
        ids_digest(problem.id for problem in problems),
        tuple(sorted(counted[shard.number - 1 :: shard.of])),
    )


def ids_digest(ids: Iterable[str]) -> str:
    """sha256 of problem ids in their order: equal for equal subsets."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def note(benchmark: str, recorded: Mapping[str, Any], count: int) -> str:
    """The sentence by which a table says that it is not of the whole.

    Args:
        recorded: as `Part.recorded` says it.
        count: problems of the part.
    """
    shards = recorded["shards"]
    named = f"shard {shards[0]}" if len(shards) == 1 else f"shards {', '.join(shards)}"
    return (
        f"{benchmark}: {named}, {count:,} of {recorded['problems']:,} problems "
        "(`reasonbench merge` puts shards together)"
    )


def positions_json(parts: Mapping[str, Part]) -> str:
    """What is kept under `POSITIONS`."""
    return json.dumps({name: one.positions for name, one in parts.items()}, separators=(",", ":"))
