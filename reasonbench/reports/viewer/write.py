"""The viewer as a folder: index.html, the list of problems, and shards of samples."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from reasonbench.errors import UsageError
from reasonbench.reports.page import GENERATOR, as_json
from reasonbench.reports.viewer import tally
from reasonbench.reports.viewer.book import Book, ProblemKey, header
from reasonbench.reports.viewer.records import Record, problem_record, unit_records
from reasonbench.reports.viewer.script import (
    html,
    index_file,
    listed,
    record_text,
    shard_file,
)
from reasonbench.runs import RunStore
from reasonbench.types import Problem

INDEX, DATA = "index.html", "data"

SHARD_BYTES = 512 << 10
"""A shard ends before it holds more; only a single longer sample makes a longer shard."""
LISTED_BYTES = 128 << 10
"""The same for a part of the list: the first is what the page waits for."""


class Written(NamedTuple):
    """What was written."""

    page: Path
    problems: int
    samples: int
    files: int
    size: int
    """Bytes of all files."""


class _Parts:
    """Files of one kind, each ended before it grows too long. One part is in memory, no more."""

    def __init__(self, folder: Path, name: str, most: int) -> None:
        self._folder, self._name, self._most = folder, name, most
        self._waiting: list[str] = []
        self._length = 0
        self._first = 0
        self.number = 0
        """Of the part that is being filled."""
        self.items = 0
        self.size = 0

    def put(self, text: str) -> int:
        """Add one item; returns the number of its part."""
        if self._waiting and self._length + len(text) > self._most:
            self.end()
        self._waiting.append(text)
        self._length += len(text) + 2
        self.items += 1
        return self.number

    def end(self) -> None:
        """Write the part that is being filled."""
        if not self._waiting:
            return
        if self._name == "index":
            text = index_file(self.number, self._first, self._waiting)
        else:
            text = shard_file(self.number, self._waiting)
        path = self._folder / f"{self._name}-{self.number}.js"
        self.size += path.write_text(text, encoding="ascii", newline="\n")
        self.number += 1
        self._first = self.items
        self._waiting, self._length = [], 0


def write_viewer(book: Book, folder: Path, *, title: str) -> Written:
    """Write the viewer. Memory does not grow with the samples.

    An older viewer in the folder is replaced when the new one is whole.

    Raises:
        UsageError: the folder holds something else or cannot be written; jinja2 is not installed.
    """
    html(title, header(book, chunks=0))  # what is missing is said before anything is written
    _check(folder)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        (partial / DATA).mkdir(parents=True)
        written = _write(book, partial, title)
        _replace(folder, partial)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return written._replace(page=folder / INDEX)


def _write(book: Book, folder: Path, title: str) -> Written:
    shards = _Parts(folder / DATA, "shard", SHARD_BYTES)
    index = _Parts(folder / DATA, "index", LISTED_BYTES)
    samples = 0
    with book.stores() as stores:
        numbers = {key: number for number, key in enumerate(book.problems)}
        for store in stores:
            for problem in store.problems():
                key = ProblemKey(problem.benchmark, problem.id)
                number = numbers.pop(key, None)
                if number is None:  # an earlier run has it too
                    continue
                assert number == index.items, "problems stand in the order of their numbers"
                row, drawn = _problem(book, stores, number, problem, shards)
                index.put(row)
                samples += drawn
    shards.end()
    index.end()
    text, _ = html(title, header(book, chunks=index.number))
    size = (folder / INDEX).write_text(text, encoding="utf-8", newline="\n")
    return Written(
        folder / INDEX,
        index.items,
        samples,
        shards.number + index.number + 1,
        size + shards.size + index.size,
    )


def _problem(
    book: Book, stores: Sequence[RunStore], number: int, problem: Problem, shards: _Parts
) -> tuple[str, int]:
    """Write the records of one problem; returns its row of the list, and how many samples."""

    def put(record: Record) -> int:
        return shards.put(record_text(record))

    own = put(problem_record(number, problem))
    tallies, count = [], 0
    for place, source in book.drawn_for(problem.benchmark):
        store = stores[source.run]
        where = (problem.benchmark, problem.id, source.pool, source.weight_version)
        samples = store.of_problem(*where, text=True)
        if not samples:
            continue
        known = book.ends_known(source, problem.benchmark)
        found = tally.tally(samples, ends_known=known)
        made = unit_records(number, place, store, where, samples, found.letters, ends_known=known)
        used = [put(record) for record in made]
        tallies.append(tally.as_row(place, (used[0], used[-1]), found))
        count += len(samples)
    return as_json(listed(problem, own, tallies)), count


def _check(folder: Path) -> None:
    """Raises UsageError where something else than an older viewer would be overwritten."""
    if not folder.exists() or _is_viewer(folder):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise UsageError(f"{folder} holds something else than a viewer: choose another --out.")


def _is_viewer(folder: Path) -> bool:
    page = folder / INDEX
    if not page.is_file() or {path.name for path in folder.iterdir()} != {INDEX, DATA}:
        return False
    return f'name="generator" content="{GENERATOR}' in page.read_text("utf-8", "replace")[:4_000]


def _replace(folder: Path, partial: Path) -> None:
    older = folder.with_name(f".{folder.name}.{os.getpid()}.old.tmp")
    if folder.exists():
        os.replace(folder, older)
    os.replace(partial, folder)
    shutil.rmtree(older, ignore_errors=True)
