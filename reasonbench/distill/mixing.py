"""General data mixed in at a share, as R1's 200k general rows beside its 600k of reasoning."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reasonbench.errors import UsageError
from reasonbench.trainers.data import read_jsonl


class Mix(NamedTuple):
    """A file and the share of all rows that are to be from it."""

    path: Path
    share: float


class Taken(NamedTuple):
    """What is taken of a file.

    Attributes:
        mix: the file and the share that was asked for.
        rows: how many it holds.
        chosen: numbers of those that are taken, from 0, in order.
    """

    mix: Mix
    rows: int
    chosen: tuple[int, ...]


def parse_mix(spec: str) -> Mix:
    """FILE:SHARE.

    Raises:
        UsageError: another form, a share outside (0, 1), or no such file.
    """
    name, colon, text = spec.rpartition(":")
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not colon or not name or not 0 < share < 1:
        raise UsageError(
            f"--mix {spec!r} is not of the form FILE:SHARE with a share between 0 and 1."
        )
    if not Path(name).is_file():
        raise UsageError(f"--mix: there is no file {name}.")
    return Mix(Path(name), share)


def parse_mixes(specs: Sequence[str]) -> tuple[Mix, ...]:
    """See `parse_mix`; together they must leave room for what is distilled."""
    mixes = tuple(map(parse_mix, specs))
    if sum(mix.share for mix in mixes) >= 1:
        raise UsageError("the shares of --mix leave no room: they should add up to less than 1.")
    return mixes


def checked(path: Path) -> int:
    """How many rows a file of training records has.

    Raises:
        UsageError: a row is no training record (with its number).
    """
    count = 0
    for number, row in enumerate(read_jsonl(path), 1):
        if not _is_record(row):
            raise UsageError(
                f"{path}, record {number}: a training record needs `messages` with an assistant "
                "turn, or `prompt` and a text `completion`."
            )
        count += 1
    return count


def take(mixes: Sequence[Mix], distilled: int, seed: int) -> tuple[Taken, ...]:
    """Which rows of each file, so that every share is that of all rows.

    Of a file with too few rows all are taken, none twice. Memory holds the chosen numbers.
    """
    own = 1 - sum(mix.share for mix in mixes)
    found = []
    for mix in mixes:
        rows = checked(mix.path)
        wanted = min(rows, round(distilled * mix.share / own))
        rng = random.Random(f"{seed} {mix.path.name}")
        found.append(Taken(mix, rows, tuple(sorted(rng.sample(range(rows), wanted)))))
    return tuple(found)


def rows_of(taken: Taken) -> Iterator[dict[str, Any]]:
    """The chosen rows with where they came from, and an id that no other row has.

    A `source` that a row has already (many data sets name one) stands inside as `own`, an id of its
    own as `id`.
    """
    chosen = iter(taken.chosen)
    wanted = next(chosen, None)
    for number, row in enumerate(read_jsonl(taken.mix.path)):
        if wanted is None:
            return
        if number == wanted:
            name = taken.mix.path.name
            own = {"own": row["source"]} if "source" in row else {}
            own |= {"id": row["id"]} if "id" in row else {}
            source = {"kind": "mix", "file": name, **own}
            yield {**row, "id": f"mix/{name}/{number}", "source": source}
            wanted = next(chosen, None)


def spread(first: Iterator[str], counts: int, others: Iterator[str], more: int) -> Iterator[str]:
    """Two streams of so many rows as one, the second spread evenly over the first."""
    given = 0
    for index, row in enumerate(first, 1):
        yield row
        while given * counts < index * more and given < more:
            given += 1
            yield next(others)
    yield from others


def _is_record(row: Mapping[str, Any]) -> bool:
    messages = row.get("messages")
    if isinstance(messages, list):
        return any(isinstance(m, dict) and m.get("role") == "assistant" for m in messages)
    return isinstance(row.get("prompt"), str | list) and isinstance(row.get("completion"), str)
