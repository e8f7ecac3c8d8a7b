"""The run store: every prompt, completion, score and verdict, on disk as it arrives.

SQLite in write-ahead mode with `synchronous=NORMAL`. After `flush` (or 50 ms) a row survives the
death of the process, SIGKILL included; after a power cut the database is intact but may lack the
rows committed since the last checkpoint. Closing the store checkpoints it to disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reasonbench.errors import UsageError
from reasonbench.runs.codec import pack_floats, pack_tokens, storable
from reasonbench.runs.database import connect
from reasonbench.runs.folder import DATABASE, VOLATILE, FolderLock, claim, is_run, read_config
from reasonbench.runs.reader import WHOLE, Reader
from reasonbench.runs.searches import SearchWriter, as_json
from reasonbench.runs.stored import SampleKey
from reasonbench.runs.training import TrainingWriter
from reasonbench.runs.writer import Write, Writer
from reasonbench.types import Completion, Message, Problem, Prompt, Verdict

_ROW_BYTES = 200
"""Roughly what a queued row weighs besides its text and token ids."""


class RunStore(SearchWriter, TrainingWriter, Reader):
    """One run's database. `add_*` return at once; reads see everything that was added before.

    Every `add_*` may be repeated. The first completion, prompt and problem of a key stays; the
    last verdict and the last scores do. All methods belong to one thread.

    Attributes:
        folder: of the run.
        config: what `config.toml` holds.
        resumed: the run existed before.
    """

    def __init__(
        self, folder: Path, config: dict[str, Any], resumed: bool, lock: FolderLock | None
    ) -> None:
        """Use `create_or_resume` or `open`; with a lock the store writes."""
        self.folder = folder
        self.config = config
        self.resumed = resumed
        self._lock = lock
        self._writer: Writer | None = None
        self._dirty = False
        self._digests: dict[str, dict[str, str]] = {}
        path = folder / DATABASE
        try:
            self._connection = connect(path, writable=lock is not None)
            if lock is not None:
                self._writer = Writer(path)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    @classmethod
    def create_or_resume(
        cls, folder: Path, config: Mapping[str, Any], *, volatile: Set[str] = VOLATILE
    ) -> RunStore:
        """Start a run in an empty or new folder, or go on with the one that is there.

        Args:
            config: written to `config.toml` when the run is new; must equal what is there
                otherwise.
            volatile: dotted keys that may differ.

        Raises:
            UsageError: the folder cannot be written, holds something else or a run of another
                configuration or of a newer reasonbench, or another process is writing to it.
                Nothing has been overwritten.
        """
        lock, resumed = claim(folder, config, volatile)
        return cls(folder, read_config(folder), resumed, lock)

    @classmethod
    def open(cls, folder: Path, *, writable: bool = False) -> RunStore:
        """An existing run; reading one that is being written is fine.

        Raises:
            UsageError: there is no run in the folder; or `writable` and another process writes.
        """
        if not is_run(folder):
            raise UsageError(f"{folder} holds no run (no config.toml with a run.db beside it).")
        config = read_config(folder)
        return cls(folder, config, True, FolderLock(folder) if writable else None)

    def set_meta(self, key: str, value: str) -> None:
        """Note a fact about the run; it replaces what was noted before."""
        self._put("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def add_pool(self, pool: str, spec: Mapping[str, Any]) -> None:
        """Say how the samples of a pool are drawn.

        Raises:
            UsageError: the pool is there with another specification.
        """
        text = as_json(spec)
        before = self._rows("SELECT spec FROM pools WHERE pool = ?", pool)
        if before and json.loads(before[0][0]) != json.loads(text):
            raise UsageError(f"pool {pool!r} of {self.folder} is drawn otherwise; use another run.")
        self._put("INSERT OR IGNORE INTO pools VALUES (?, ?)", (pool, text))

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Add problems in their order; those that are there already stay as they are.

        Raises:
            UsageError: a stored problem has the same id and another content (its source changed).
            TypeError: `data` or `hidden` cannot be written as JSON.
        """
        for problem in problems:
            question = problem.question
            row = (
                question.benchmark,
                question.id,
                question.kind,
                _optional(problem.gold),
                _optional(problem.level),
                _optional(problem.subject),
                storable(problem.source),
                storable(question.text),
                storable(question.instruction),
                as_json(question.data),
                as_json(problem.hidden),
            )
            digest = hashlib.sha256(json.dumps(row).encode()).hexdigest()
            known = self._known(question.benchmark)
            before = known.setdefault(question.id, digest)
            if before != digest:
                raise UsageError(
                    f"problem {question.id} of {question.benchmark} is not the one that "
                    f"{self.folder} holds: its source changed; use another folder."
                )
            self._put(
                "INSERT OR IGNORE INTO problems (benchmark, problem_id, kind, gold, level, "
                "subject, source, text, instruction, data, hidden, digest) "
                f"VALUES ({_marks(12)})",
                (*row, digest),
            )

    def add_prompt(
        self,
        benchmark: str,
        problem_id: str,
        pool: str,
        prompt: Prompt,
        messages: Sequence[Message],
    ) -> None:
        """Add what the model is given for a problem, with the hash of its text."""
        text = storable(prompt.text)
        self._put(
            f"INSERT OR IGNORE INTO prompts VALUES ({_marks(9)})",
            (
                benchmark,
                problem_id,
                pool,
                hashlib.sha256(text.encode()).hexdigest(),
                prompt.thinking_open,
                len(prompt.token_ids),
                text,
                as_json([list(message) for message in messages]),
                pack_tokens(prompt.token_ids),
            ),
        )

    def add_completion(self, key: SampleKey, completion: Completion) -> None:
        """Add a completion; one that is stored under the key already stays.

        Raises:
            ValueError: key and completion name different weight versions.
            UsageError: an earlier write failed.
        """
        if completion.weight_version != key.weight_version:
            raise ValueError(f"{key} is not weight version {completion.weight_version}")
        usage = completion.usage
        self._put(
            f"INSERT OR IGNORE INTO completions VALUES ({_marks(23)})",
            (
                *key,
                completion.finish,
                _optional(completion.stop_reason),
                completion.seed,
                completion.thinking_open,
                completion.mean_logprob,
                completion.self_certainty,
                # a log of another harness, or a server, may count tokens that it does not name
                len(completion.token_ids) or usage.decode_tokens,
                usage.prompt_tokens,
                usage.cached_tokens,
                usage.decode_tokens,
                usage.reward_tokens,
                usage.reward_cached_tokens,
                usage.seconds,
                usage.requests,
                storable(completion.text),
                pack_tokens(completion.token_ids),
                pack_floats(completion.token_logprobs),
                pack_floats(completion.token_confidences),
            ),
        )

    def add_verdict(
        self, key: SampleKey, verdict: Verdict, *, answer_class: int | None = None
    ) -> None:
        """Add a verdict; it replaces an earlier one. A failed request has a verdict only."""
        self._put(
            f"INSERT OR REPLACE INTO verdicts VALUES ({_marks(10)})",
            (
                *key,
                verdict.verdict,
                _optional(verdict.answer),
                verdict.layer,
                storable(verdict.reason),
                answer_class,
            ),
        )

    def set_classes(
        self,
        benchmark: str,
        problem_id: str,
        pool: str,
        classes: Mapping[int, int],
        weight_version: int = 0,
    ) -> None:
        """Set the answer class of samples that have a verdict (−1: no answer), all at once.

        Args:
            classes: sample to class.
        """
        sql = (
            "UPDATE verdicts SET answer_class = ? WHERE benchmark = ? AND problem_id = ? "
            "AND pool = ? AND weight_version = ? AND sample = ?"
        )
        self._put(
            sql,
            *(
                (number, benchmark, problem_id, pool, weight_version, sample)
                for sample, number in classes.items()
            ),
        )

    def add_score(
        self,
        key: SampleKey,
        reward: str,
        scores: Sequence[float] = (),
        *,
        whole: float | None = None,
    ) -> None:
        """Add what a reward says of a sample; it replaces what the reward said before.

        Args:
            scores: one per step.
            whole: of the whole solution.
        """
        self._put(
            "DELETE FROM step_scores WHERE benchmark = ? AND problem_id = ? AND pool = ? "
            "AND weight_version = ? AND sample = ? AND reward = ?",
            (*key, reward),
            then=(
                f"INSERT INTO step_scores VALUES ({_marks(8)})",
                [(*key, reward, step, score) for step, score in enumerate(scores)]
                + ([] if whole is None else [(*key, reward, WHOLE, whole)]),
            ),
        )

    def drop_scores(self, *rewards: str, weight_version: int | None = None) -> None:
        """Forget what these rewards said of all samples.

        Args:
            rewards: names; one that ends in `*` stands for all that begin so.
            weight_version: only what they said of this version's samples.
        """
        self._put(
            "DELETE FROM step_scores WHERE reward GLOB ? AND (weight_version = ? OR ? IS NULL)",
            *((reward, weight_version, weight_version) for reward in rewards),
        )

    def flush(self) -> None:
        """Wait until everything added is committed.

        Raises:
            UsageError: a write failed.
        """
        if self._writer is not None and self._dirty:
            self._writer.flush()
            self._dirty = False

    async def drain(self) -> None:
        """Give way until the queue has room, so that `add_*` need not block the event loop."""
        if self._writer is not None and self._writer.full():
            await asyncio.to_thread(self._writer.wait_for_room)

    def close(self) -> None:
        """Commit, checkpoint and unlock. Safe to call twice.

        Raises:
            UsageError: a write failed.
        """
        try:
            if self._writer is not None:
                self._writer.close()
        finally:
            self._writer = None
            # the last connection to close moves the write-ahead log into run.db
            self._connection.close()
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        self.flush()
        return super()._rows(sql, *values)

    def _put(
        self,
        sql: str,
        *rows: Sequence[Any],
        then: tuple[str, Sequence[Sequence[Any]]] | None = None,
    ) -> None:
        if self._writer is None:
            raise RuntimeError(f"the store of {self.folder} is closed or open for reading only")
        writes = [Write(sql, row, _size(row)) for row in rows]
        if then is not None:
            writes += [Write(then[0], row, _size(row)) for row in then[1]]
        if writes:
            self._dirty = True
            self._writer.put(*writes)

    def _known(self, benchmark: str) -> dict[str, str]:
        if benchmark not in self._digests:
            self._digests[benchmark] = dict(
                self._rows("SELECT problem_id, digest FROM problems WHERE benchmark = ?", benchmark)
            )
        return self._digests[benchmark]


def _optional(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _size(row: Sequence[Any]) -> int:
    return _ROW_BYTES + sum(len(value) for value in row if isinstance(value, str | bytes))
