"""Run databases become one, by SQL alone: rows stream from file to file and memory stays flat."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from reasonbench.errors import UsageError
from reasonbench.runs.database import connect
from reasonbench.runs.folder import DATABASE

TOLERANCE = 0.01
"""Floats of two equal rows may differ by so much: an engine's last bits depend on its batches."""

_PROBLEM = ("benchmark", "problem_id")
_SERIES = (*_PROBLEM, "pool", "weight_version")
_SAMPLE = (*_SERIES, "sample")


class _Table(NamedTuple):
    """What of a table two runs of the same seed must agree on.

    Attributes:
        key: of a row.
        same: columns that are equal in equal rows.
        near: floats that are equal within `TOLERANCE`.
    """

    key: tuple[str, ...]
    same: tuple[str, ...]
    near: tuple[str, ...] = ()


# seconds, and what was cached, depend on the machine and the hour
_TABLES = {
    "problems": _Table(_PROBLEM, ("digest",)),
    "prompts": _Table((*_PROBLEM, "pool"), ("sha256", "token_ids", "messages", "thinking_open")),
    "completions": _Table(
        _SAMPLE,
        ("finish", "stop_reason", "seed", "thinking_open", "decode_tokens", "text", "token_ids"),
        ("mean_logprob", "self_certainty"),
    ),
    "verdicts": _Table(_SAMPLE, ("verdict", "answer")),
    "step_scores": _Table((*_SAMPLE, "reward", "step"), (), ("score",)),
    "scorings": _Table((*_SAMPLE, "reward"), ("head_tokens", "step_tokens")),
    "nodes": _Table(
        (*_SERIES, "path"), ("finish", "stop_reason", "seed", "decode_tokens", "text", "token_ids")
    ),
    "traces": _Table(_SERIES, ("state", "written", "judged")),
}


class Lacking(NamedTuple):
    """A problem that has less than was planned."""

    benchmark: str
    problem_id: str
    pool: str
    stored: int
    wanted: int


def notes(folder: Path) -> dict[str, str]:
    """Every fact that is noted about a run, by its key.

    Raises:
        UsageError: its database cannot be read.
    """
    connection = connect(folder / DATABASE, writable=False)
    try:
        return dict(connection.execute("SELECT key, value FROM meta"))
    finally:
        connection.close()


class Merging:
    """The database of a new run, to which others are added; nothing else may use it meanwhile.

    It is written without a journal: until `close` has returned it is no database to rely on.

    Args:
        path: of a database with the run's tables and no rows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sources: list[Path] = []
        self._connection = sqlite3.connect(f"{path.as_uri()}", uri=True, isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -65536"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        self._connection.executescript(
            "CREATE TEMP TABLE owner (benchmark, problem_id, source, "
            "PRIMARY KEY (benchmark, problem_id)) WITHOUT ROWID;"
            "CREATE TEMP TABLE place (benchmark, rank, position, "
            "PRIMARY KEY (benchmark, rank)) WITHOUT ROWID;"
            "CREATE TEMP TABLE again (benchmark, problem_id, "
            "PRIMARY KEY (benchmark, problem_id)) WITHOUT ROWID;"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, folder: Path, positions: Mapping[str, Iterable[int]]) -> None:
        """Add a run: what is there already must be the same, and stays.

        Args:
            folder: of the run; it is only read.
            positions: by benchmark, where its problems stand in the merged run, from 1 and
                increasing, in the order of the run's own.

        Raises:
            UsageError: a row contradicts one that is there, or a file cannot be read or written.
        """
        try:
            self._attach(folder / DATABASE)
            try:
                self._connection.execute("BEGIN")
                self._place(positions)
                self._note_again()
                for table, rule in _TABLES.items():
                    self._compare(folder, table, rule)
                self._copy(len(self._sources))
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._connection.execute("DETACH source")
        except sqlite3.Error as error:
            raise UsageError(f"cannot merge {folder} into {self._path.parent}: {error}.") from error
        self._sources.append(folder)

    def forget_classes(self, rewards: Sequence[str]) -> None:
        """Let answers of problems that several runs held be classed anew.

        Each run numbered the classes of the samples that it had.

        Args:
            rewards: names (`*` at the end stands for all that begin so) of scores that say what
                class a program is of: they go too.
        """
        here = "(benchmark, problem_id) IN (SELECT benchmark, problem_id FROM again)"
        self._connection.execute(f"UPDATE verdicts SET answer_class = NULL WHERE {here}")
        for name in rewards:
            self._connection.execute(
                f"DELETE FROM step_scores WHERE {here} AND reward GLOB ?", (name,)
            )

    def lacking(
        self, benchmark: str, pool: str, wanted: int, kind: str = "verdicts"
    ) -> list[Lacking]:
        """Problems with fewer rows than wanted.

        Args:
            kind: the table that counts: "verdicts" of answers, "completions" of tests, "traces"
                of searches.
        """
        rows = self._connection.execute(
            "SELECT problem_id, (SELECT COUNT(*) FROM "
            f"{kind} t WHERE t.benchmark = p.benchmark AND t.problem_id = p.problem_id "
            "AND t.pool = ?) AS stored FROM problems p WHERE benchmark = ? AND stored < ? "
            "ORDER BY position",
            (pool, benchmark, wanted),
        )
        return [Lacking(benchmark, problem, pool, stored, wanted) for problem, stored in rows]

    def close(self) -> None:
        """Bring the database to the disk. Safe to call twice."""
        self._connection.close()
        handle = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _attach(self, path: Path) -> None:
        address = path.resolve().as_uri()
        try:
            self._connection.execute("ATTACH ? AS source", (f"{address}?mode=ro",))
            self._connection.execute("SELECT COUNT(*) FROM source.sqlite_master").fetchall()
        except sqlite3.OperationalError:
            # a closed run on a read-only file system: no log lies beside it and none can be made
            log = path.with_name(f"{path.name}-wal")
            if not path.is_file() or (log.exists() and log.stat().st_size):
                raise
            with suppress(sqlite3.OperationalError):  # it may not have come so far
                self._connection.execute("DETACH source")
            self._connection.execute("ATTACH ? AS source", (f"{address}?mode=ro&immutable=1",))

    def _place(self, positions: Mapping[str, Iterable[int]]) -> None:
        self._connection.execute("DELETE FROM place")
        self._connection.executemany(
            "INSERT INTO place VALUES (?, ?, ?)",
            (
                (benchmark, rank, position)
                for benchmark, places in positions.items()
                for rank, position in enumerate(places, 1)
            ),
        )

    def _note_again(self) -> None:
        """Which problems of the source are here already."""
        self._connection.execute(
            "INSERT OR IGNORE INTO again SELECT benchmark, problem_id FROM source.problems "
            "INTERSECT SELECT benchmark, problem_id FROM main.problems"
        )

    def _compare(self, folder: Path, table: str, rule: _Table) -> None:
        differs = [f"a.{c} IS NOT b.{c}" for c in rule.same] + [
            f"((a.{c} IS NULL) <> (b.{c} IS NULL) OR ABS(a.{c} - b.{c}) > {TOLERANCE})"
            for c in rule.near
        ]
        names = ", ".join(f"CASE WHEN {d} THEN 1 ELSE 0 END" for d in differs)
        # the problems that both have come first: mostly there are none, and nothing is read
        found = self._connection.execute(
            f"SELECT {', '.join(f'a.{c}' for c in rule.key)}, {names} FROM again o "
            f"JOIN source.{table} a USING (benchmark, problem_id) "
            f"JOIN main.{table} b USING ({', '.join(rule.key)}) "
            f"WHERE {' OR '.join(differs)} LIMIT 1"
        ).fetchone()
        if found is None:
            return
        key = dict(zip(rule.key, found, strict=False))
        columns = (*rule.same, *rule.near)
        flags = found[len(rule.key) :]
        what = ", ".join(c for c, flag in zip(columns, flags, strict=True) if flag)
        ((owner,),) = self._connection.execute(
            "SELECT source FROM owner WHERE benchmark = ? AND problem_id = ?",
            (key["benchmark"], key["problem_id"]),
        ).fetchall()
        more = ", ".join(f"{name} {key[name]}" for name in rule.key[2:] if name != "weight_version")
        raise UsageError(
            f"{self._sources[owner]} and {folder} contradict each other on problem "
            f"{key['problem_id']} of {key['benchmark']}: {what} of {table.replace('_', ' ')}"
            f"{f' ({more})' if more else ''} differs."
        )

    def _copy(self, source: int) -> None:
        run = self._connection.execute
        columns = [
            row[1] for row in run("PRAGMA main.table_info(problems)") if row[1] != "position"
        ]
        listed = ", ".join(f"s.{column}" for column in columns)
        run(
            f"INSERT OR IGNORE INTO main.problems (position, {', '.join(columns)}) "
            f"SELECT p.position, {listed} FROM (SELECT position AS line, benchmark, ROW_NUMBER() "
            "OVER (PARTITION BY benchmark ORDER BY position) AS rank FROM source.problems) "
            "JOIN place p USING (benchmark, rank) JOIN source.problems s ON s.position = line"
        )
        run("INSERT OR IGNORE INTO owner SELECT benchmark, problem_id, ? FROM source.problems",
            (source,))  # fmt: skip
        for table in ("pools", *(name for name in _TABLES if name != "problems")):
            run(f"INSERT OR IGNORE INTO main.{table} SELECT * FROM source.{table}")
