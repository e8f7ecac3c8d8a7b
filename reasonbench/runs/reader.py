"""Reading run.db: one problem at a time, so that memory does not grow with the samples."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.runs.codec import unpack_floats, unpack_tokens
from reasonbench.runs.folder import DATABASE
from reasonbench.runs.searches import SearchReader
from reasonbench.runs.stored import (
    Counts,
    SampleKey,
    Scores,
    Series,
    StoredProblem,
    StoredPrompt,
    StoredSample,
)
from reasonbench.runs.training import TrainingReader
from reasonbench.types import Completion, Message, Problem, Prompt, Question, Usage

_PAGE = 64
"""Problems read at once; each read ends before its rows are handed out."""

_USAGE = (
    "prompt_tokens, cached_tokens, decode_tokens, reward_tokens, reward_cached_tokens, "
    "seconds, requests"
)
_COLUMNS = (
    "problem_id, benchmark, text, instruction, kind, data, gold, level, subject, source, hidden"
)
_SERIES = "benchmark = ? AND problem_id = ? AND pool = ? AND weight_version = ?"
_COMPLETION = (
    "token_ids, text, finish, stop_reason, mean_logprob, token_logprobs, token_confidences, "
    f"self_certainty, seed, weight_version, thinking_open, {_USAGE}"
)


class Reader(SearchReader, TrainingReader):
    """The reading half of a run store."""

    folder: Path
    _connection: sqlite3.Connection

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query; a store that also writes commits what waits first."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
            raise
        except sqlite3.DatabaseError as error:
            raise UsageError(f"cannot read {self.folder / DATABASE}: {error}.") from error

    def meta(self, key: str) -> str | None:
        """A fact about the run that `set_meta` wrote; None where nothing did."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    def usage(self) -> Usage:
        """What all stored completions, searches and scores cost together."""
        sums = ", ".join(f"COALESCE(SUM({column}), 0)" for column in _USAGE.split(", "))
        ((*values,),) = self._rows(f"SELECT {sums} FROM completions")
        return Usage(*values) + self.search_usage()

    def uncounted(self) -> int:
        """How many completions a model wrote whose tokens nobody counted."""
        sql = "SELECT COUNT(*) FROM completions WHERE decode_tokens = 0 AND requests > 0"
        ((count,),) = self._rows(sql)
        return int(count)

    def pools(self) -> dict[str, dict[str, Any]]:
        """The specification of every pool by its name."""
        rows = self._rows("SELECT pool, spec FROM pools ORDER BY pool")
        return {pool: json.loads(spec) for pool, spec in rows}

    def problems(self, benchmark: str | None = None) -> Iterator[Problem]:
        """The problems in the order they were added. Lists inside `data` come back as lists."""
        position = 0
        while rows := self._rows(
            f"SELECT position, {_COLUMNS} FROM problems "
            "WHERE position > ? AND (benchmark = ? OR ? IS NULL) ORDER BY position LIMIT ?",
            position,
            benchmark,
            benchmark,
            _PAGE,
        ):
            for row in rows:
                yield _problem(row[1:])
            position = rows[-1][0]

    def problem(self, benchmark: str, problem_id: str) -> Problem | None:
        """One problem; None where it is not stored. See `problems`."""
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM problems WHERE benchmark = ? AND problem_id = ?",
            benchmark,
            problem_id,
        )
        return _problem(rows[0]) if rows else None

    def prompt(self, benchmark: str, problem_id: str, pool: str) -> StoredPrompt | None:
        """The prompt of a problem in a pool; None where none is stored."""
        rows = self._rows(
            "SELECT token_ids, text, thinking_open, sha256, messages FROM prompts "
            "WHERE benchmark = ? AND problem_id = ? AND pool = ?",
            benchmark,
            problem_id,
            pool,
        )
        for ids, text, thinking_open, digest, messages in rows:
            return StoredPrompt(
                Prompt(unpack_tokens(ids), text, bool(thinking_open)),
                digest,
                tuple(Message(*message) for message in json.loads(messages)),
            )
        return None

    def series(self) -> list[Series]:
        """Every benchmark, pool and weight version that has completions or verdicts."""
        rows = self._rows(
            "SELECT benchmark, pool, weight_version FROM completions UNION "
            "SELECT benchmark, pool, weight_version FROM verdicts ORDER BY 1, 2, 3"
        )
        return [Series(*row) for row in rows]

    def finished(
        self,
        benchmark: str,
        pool: str,
        weight_version: int = 0,
        *,
        problems: Sequence[str] | None = None,
    ) -> set[tuple[str, int]]:
        """(problem id, sample) of every stored completion: what need not be generated again.

        Args:
            problems: only of these, by their ids; the rest of the series is not read.
        """
        values, among = list[Any]((benchmark, pool, weight_version)), ""
        if problems is not None:
            among = " AND problem_id IN (SELECT value FROM json_each(?))"
            values.append(json.dumps(problems))
        rows = self._rows(
            "SELECT problem_id, sample FROM completions "
            f"WHERE benchmark = ? AND pool = ? AND weight_version = ?{among}",
            *values,
        )
        return set(rows)

    def completion(self, key: SampleKey) -> Completion:
        """One completion, its token values rounded to float32.

        Raises:
            KeyError: it is not stored.
        """
        rows = self._rows(
            f"SELECT {_COMPLETION} FROM completions WHERE {_SERIES} AND sample = ?", *key
        )
        if not rows:
            raise KeyError(key)
        return _completion(rows[0])

    def completions(
        self, benchmark: str, pool: str, weight_version: int = 0
    ) -> Iterator[tuple[SampleKey, Completion]]:
        """Every stored completion of a series, problem by problem."""
        for key, completion, _ in self._graded(benchmark, pool, weight_version):
            yield key, completion

    def completions_without_verdict(
        self, benchmark: str, pool: str, weight_version: int = 0, *, ungraded: bool = True
    ) -> Iterator[tuple[SampleKey, Completion]]:
        """Completions still to be graded; verdicts may be added while iterating.

        Args:
            ungraded: also those where the grader failed the last time.
        """
        for key, completion, verdict in self._graded(benchmark, pool, weight_version):
            if verdict is None or (ungraded and verdict == "ungraded"):
                yield key, completion

    def samples(
        self, benchmark: str, pool: str, weight_version: int = 0, *, text: bool = False
    ) -> Iterator[StoredProblem]:
        """Every problem of a benchmark with its samples, which may be none.

        Args:
            text: load the completions' texts too.
        """
        for problem in self.problems(benchmark):
            series = (benchmark, problem.id, pool, weight_version)
            yield StoredProblem(problem, self._samples(series, text))

    def of_problem(
        self,
        benchmark: str,
        problem_id: str,
        pool: str,
        weight_version: int = 0,
        *,
        text: bool = False,
        scores: bool = True,
    ) -> tuple[StoredSample, ...]:
        """The samples of one problem in the order of their index; see `samples`.

        Args:
            text: load the completions' texts too.
            scores: load what rewards say of them.
        """
        return self._samples((benchmark, problem_id, pool, weight_version), text, scores)

    def count(
        self,
        benchmark: str | None = None,
        pool: str | None = None,
        weight_version: int | None = None,
    ) -> Counts:
        """How much is stored, of everything or of what the arguments name."""
        where, values = [], []
        for column, value in (
            ("benchmark", benchmark),
            ("pool", pool),
            ("weight_version", weight_version),
        ):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        chosen = f"WHERE {' AND '.join(where)}" if where else ""
        ((completions, tokens),) = self._rows(
            f"SELECT COUNT(*), COALESCE(SUM(decode_tokens), 0) FROM completions {chosen}",
            *values,
        )
        verdicts = dict(
            self._rows(f"SELECT verdict, COUNT(*) FROM verdicts {chosen} GROUP BY verdict", *values)
        )
        ((problems,),) = self._rows(
            "SELECT COUNT(*) FROM problems WHERE benchmark = ? OR ? IS NULL", benchmark, benchmark
        )
        return Counts(
            problems,
            completions,
            verdicts.get("correct", 0),
            verdicts.get("incorrect", 0),
            verdicts.get("ungraded", 0),
            tokens,
        )

    def _graded(
        self, benchmark: str, pool: str, weight_version: int
    ) -> Iterator[tuple[SampleKey, Completion, str | None]]:
        for (problem_id,) in self._rows(
            "SELECT DISTINCT problem_id FROM completions "
            "WHERE benchmark = ? AND pool = ? AND weight_version = ?",
            benchmark,
            pool,
            weight_version,
        ):
            series = (benchmark, problem_id, pool, weight_version)
            verdicts = dict(
                self._rows(f"SELECT sample, verdict FROM verdicts WHERE {_SERIES}", *series)
            )
            for (sample,) in self._rows(
                f"SELECT sample FROM completions WHERE {_SERIES} ORDER BY sample", *series
            ):
                key = SampleKey(*series, sample)
                yield key, self.completion(key), verdicts.get(sample)

    def _samples(
        self, series: tuple[str, str, str, int], text: bool, scores: bool = True
    ) -> tuple[StoredSample, ...]:
        columns = f"finish, stop_reason, tokens, seed, mean_logprob, self_certainty, {_USAGE}"
        found: dict[int, dict[str, Any]] = {}
        for row in self._rows(
            f"SELECT sample, {'text' if text else 'NULL'}, {columns} FROM completions "
            f"WHERE {_SERIES}",
            *series,
        ):
            sample, body, finish, stop, tokens, seed, logprob, certainty, *usage = row
            found[sample] = {
                "text": body,
                "finish": finish,
                "stop_reason": stop,
                "tokens": tokens,
                "seed": seed,
                "mean_logprob": logprob,
                "self_certainty": certainty,
                "usage": Usage(*usage),
            }
        for sample, verdict, answer, layer, reason, answer_class in self._rows(
            "SELECT sample, verdict, answer, layer, reason, answer_class FROM verdicts "
            f"WHERE {_SERIES}",
            *series,
        ):
            found.setdefault(sample, {}).update(
                verdict=verdict,
                answer=answer,
                layer=layer,
                reason=reason,
                answer_class=answer_class,
            )
        for sample, by_reward in (self._scores(series) if scores else {}).items():
            found.setdefault(sample, {})["scores"] = by_reward
        return tuple(StoredSample(sample, **found[sample]) for sample in sorted(found))

    def _scores(self, series: tuple[str, str, str, int]) -> dict[int, dict[str, Scores]]:
        found: dict[int, dict[str, Scores]] = {}
        # ordered by step, in which the whole (−1) comes first
        for sample, reward, step, score in self._rows(
            f"SELECT sample, reward, step, score FROM step_scores WHERE {_SERIES} "
            "ORDER BY sample, reward, step",
            *series,
        ):
            value = float("nan") if score is None else score
            by_reward = found.setdefault(sample, {})
            before = by_reward.get(reward, Scores())
            if step == WHOLE:
                by_reward[reward] = Scores(before.steps, value)
            else:
                by_reward[reward] = Scores((*before.steps, value), before.whole)
        return found


WHOLE = -1
"""The step under which the score of a whole solution is stored."""


def _problem(row: tuple[Any, ...]) -> Problem:
    problem_id, benchmark, text, instruction, kind, data, gold, level, subject, source, hidden = row
    question = Question(problem_id, benchmark, text, instruction, kind, json.loads(data))
    return Problem(question, gold, level, subject, source, json.loads(hidden))


def _completion(row: tuple[Any, ...]) -> Completion:
    ids, text, finish, stop, logprob, logprobs, confidences, certainty, seed, version = row[:10]
    return Completion(
        token_ids=unpack_tokens(ids),
        text=text,
        finish=finish,
        stop_reason=stop,
        mean_logprob=logprob,
        token_logprobs=unpack_floats(logprobs),
        token_confidences=unpack_floats(confidences),
        self_certainty=certainty,
        seed=seed,
        weight_version=version,
        thinking_open=bool(row[10]),
        usage=Usage(*row[11:]),
    )
