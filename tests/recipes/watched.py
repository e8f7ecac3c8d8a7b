"""A watch that keeps what it is told, and may end a chain as a kill would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reasonbench.recipes.record import Record
from reasonbench.trainers.rl_watch import Silent
from reasonbench.types import Completion, Problem, Verdict


class KilledError(Exception):
    """Stands for the process going away."""


class Quiet:
    """An observer that tells nobody."""

    def starting(self, model: str) -> None: ...
    def begin(self, total: int, done: int) -> None: ...
    def advance(
        self, problem: Problem, completion: Completion | None, verdict: Verdict
    ) -> None: ...
    def spare(self, count: int) -> None: ...


class Notes:
    """What a chain told (recipes.Watch).

    Args:
        kill: end it when a trainer logs this row (counted from 1 over the whole call).
        stop: set the stop of this stage as soon as it samples or learns.
    """

    def __init__(self, kill: int | None = None, stop: str | None = None) -> None:
        self.begins: list[tuple[str, str]] = []
        self.kept_names: list[str] = []
        self.ended_names: list[str] = []
        self.rows: list[Any] = []
        self.kill, self.stop = kill, stop

    def begun(self, name: str, what: str, number: int, total: int) -> None:
        self.begins.append((name, what))

    def kept(self, record: Record) -> None:
        self.kept_names.append(record.name)

    def ended(self, record: Record) -> None:
        self.ended_names.append(record.name)

    def _stop(self, stop: asyncio.Event) -> None:
        if self.begins and self.begins[-1][0] == self.stop:
            stop.set()

    @contextmanager
    def sampling(self, stop: asyncio.Event) -> Iterator[Quiet]:
        self._stop(stop)
        yield Quiet()

    @contextmanager
    def learning(self, steps: int, stop: asyncio.Event) -> Iterator[Silent]:
        self._stop(stop)
        yield Silent()

    def logged(self, row: Any) -> None:
        self.rows.append(row)
        if len(self.rows) == self.kill:
            raise KilledError

    def labelled(self, row: Any) -> None:
        self.rows.append(row)
