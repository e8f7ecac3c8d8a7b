"""What a run store holds of searches and of what rewards read: nodes, traces, scorings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reasonbench.runs.codec import pack_tokens, storable, unpack_tokens
from reasonbench.runs.stored import Reading, SampleKey, StoredSearch
from reasonbench.types import Completion, Usage

FAILED = "failed"
"""How the state of a search begins that an error ended: the next call tries it again."""

Path = tuple[int, ...]

_PROBLEM = "benchmark = ? AND problem_id = ? AND pool = ? AND weight_version = ?"
_NODE_USAGE = "prompt_tokens, cached_tokens, decode_tokens, seconds, requests"
_USAGE = (
    "prompt_tokens, cached_tokens, decode_tokens, reward_tokens, reward_cached_tokens, seconds, "
    "requests"
)


class SearchReader:
    """The reading half."""

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def nodes(
        self, benchmark: str, problem_id: str, pool: str, weight_version: int = 0
    ) -> dict[Path, Completion]:
        """Every step that a search of one problem sampled, by its path."""
        rows = self._rows(
            "SELECT path, token_ids, text, finish, stop_reason, mean_logprob, self_certainty, "
            f"seed, thinking_open, {_NODE_USAGE} FROM nodes WHERE {_PROBLEM}",
            benchmark,
            problem_id,
            pool,
            weight_version,
        )
        return {tuple(json.loads(row[0])): _completion(row[1:], weight_version) for row in rows}

    def trace(
        self, benchmark: str, problem_id: str, pool: str, weight_version: int = 0
    ) -> Any | None:
        """The tree that a search grew, as it was added; None where none is stored."""
        rows = self._rows(
            f"SELECT trace FROM traces WHERE {_PROBLEM}",
            benchmark,
            problem_id,
            pool,
            weight_version,
        )
        return json.loads(rows[0][0]) if rows else None

    def searches(
        self, benchmark: str, pool: str, weight_version: int = 0
    ) -> dict[str, StoredSearch]:
        """How the search of every problem ended and what it cost, by the problem's id."""
        rows = self._rows(
            f"SELECT problem_id, state, policy_tokens, written, judged, {_USAGE} FROM traces "
            "WHERE benchmark = ? AND pool = ? AND weight_version = ?",
            benchmark,
            pool,
            weight_version,
        )
        return {
            problem_id: StoredSearch(state, tokens, written, judged, Usage(*usage))
            for problem_id, state, tokens, written, judged, *usage in rows
        }

    def unscored(
        self, benchmark: str, pool: str, reward: str, most: int, weight_version: int = 0
    ) -> Iterator[SampleKey]:
        """Completions among the first `most` of a problem that a reward has not read."""
        rows = self._rows(
            "SELECT problem_id, sample FROM completions c WHERE benchmark = ? AND pool = ? "
            "AND weight_version = ? AND sample < ? AND NOT EXISTS (SELECT 1 FROM scorings s "
            "WHERE s.benchmark = c.benchmark AND s.problem_id = c.problem_id AND s.pool = c.pool "
            "AND s.weight_version = c.weight_version AND s.sample = c.sample AND s.reward = ?)",
            benchmark,
            pool,
            weight_version,
            most,
            reward,
        )
        return (SampleKey(benchmark, row[0], pool, weight_version, row[1]) for row in rows)

    def readings(
        self, benchmark: str, pool: str, reward: str, weight_version: int = 0
    ) -> dict[tuple[str, int], Reading]:
        """What a reward read of the samples of a pool, by problem id and sample."""
        rows = self._rows(
            "SELECT problem_id, sample, head_tokens, step_tokens FROM scorings "
            "WHERE benchmark = ? AND pool = ? AND weight_version = ? AND reward = ?",
            benchmark,
            pool,
            weight_version,
            reward,
        )
        return {(row[0], row[1]): Reading(row[2], row[3]) for row in rows}

    def search_usage(self) -> Usage:
        """What all searches took, and the tokens that rewards read for them and for samples."""
        sums = ", ".join(f"COALESCE(SUM({column}), 0)" for column in _NODE_USAGE.split(", "))
        ((prompt, cached, decode, seconds, requests),) = self._rows(f"SELECT {sums} FROM nodes")
        total = Usage(prompt, cached, decode, 0, 0, seconds, requests)
        for table in ("scorings", "traces"):  # the policy's part of a trace is that of its nodes
            ((tokens, hits),) = self._rows(
                "SELECT COALESCE(SUM(reward_tokens), 0), COALESCE(SUM(reward_cached_tokens), 0) "
                f"FROM {table}"
            )
            total += Usage(reward_tokens=tokens, reward_cached_tokens=hits)
        return total


class SearchWriter:
    """The writing half."""

    def _put(
        self,
        sql: str,
        *rows: Sequence[Any],
        then: tuple[str, Sequence[Sequence[Any]]] | None = None,
    ) -> None:
        raise NotImplementedError

    def add_node(
        self,
        benchmark: str,
        problem_id: str,
        pool: str,
        path: Path,
        completion: Completion,
    ) -> None:
        """Add a step that a search sampled; one that is stored under the path already stays."""
        usage = completion.usage
        self._put(
            f"INSERT OR IGNORE INTO nodes VALUES ({', '.join('?' * 18)})",
            (
                benchmark,
                problem_id,
                pool,
                completion.weight_version,
                json.dumps(path, separators=(",", ":")),
                completion.finish,
                None if completion.stop_reason is None else storable(completion.stop_reason),
                completion.seed,
                completion.thinking_open,
                completion.mean_logprob,
                completion.self_certainty,
                usage.prompt_tokens,
                usage.cached_tokens,
                usage.decode_tokens,
                usage.seconds,
                usage.requests,
                storable(completion.text),
                pack_tokens(completion.token_ids),
            ),
        )

    def drop_solutions(
        self, benchmark: str, problem_id: str, pool: str, weight_version: int = 0
    ) -> None:
        """Forget what an earlier search of the problem found; its steps stay."""
        for table in ("completions", "verdicts", "step_scores"):
            self._put(
                f"DELETE FROM {table} WHERE {_PROBLEM}",
                (benchmark, problem_id, pool, weight_version),
            )

    def add_trace(
        self,
        benchmark: str,
        problem_id: str,
        pool: str,
        trace: Any,
        weight_version: int = 0,
        *,
        search: StoredSearch | None = None,
    ) -> None:
        """Add the tree that a search grew (anything JSON holds); it replaces an earlier one.

        Args:
            search: how it ended and what it cost.
        """
        found = search or StoredSearch("finished")
        usage = found.usage
        self._put(
            f"INSERT OR REPLACE INTO traces VALUES ({', '.join('?' * 16)})",
            (
                benchmark,
                problem_id,
                pool,
                weight_version,
                storable(found.state),
                found.policy_tokens,
                found.written,
                found.judged,
                usage.prompt_tokens,
                usage.cached_tokens,
                usage.decode_tokens,
                usage.reward_tokens,
                usage.reward_cached_tokens,
                usage.seconds,
                usage.requests,
                as_json(trace),
            ),
        )

    def add_scoring(self, key: SampleKey, reward: str, reading: Reading, usage: Usage) -> None:
        """Note what a reward read of a sample; it replaces what was noted before."""
        self._put(
            f"INSERT OR REPLACE INTO scorings VALUES ({', '.join('?' * 12)})",
            (
                *key,
                reward,
                *reading,
                usage.reward_tokens,
                usage.reward_cached_tokens,
                usage.seconds,
                usage.requests,
            ),
        )


def as_json(value: Any) -> str:
    """JSON in ASCII: its escapes keep lone surrogates, which SQLite would refuse."""
    return json.dumps(_plain(value), separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _completion(row: tuple[Any, ...], weight_version: int) -> Completion:
    ids, text, finish, stop, logprob, certainty, seed, thinking, *usage = row
    prompt, cached, decode, seconds, requests = usage
    return Completion(
        token_ids=unpack_tokens(ids),
        text=text,
        finish=finish,
        stop_reason=stop,
        mean_logprob=logprob,
        self_certainty=certainty,
        seed=seed,
        weight_version=weight_version,
        thinking_open=bool(thinking),
        usage=Usage(prompt, cached, decode, 0, 0, seconds, requests),
    )
