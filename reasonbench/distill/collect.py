"""From run stores to drafts, one problem at a time: memory holds one problem's samples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reasonbench.distill.draft import Asked, Draft
from reasonbench.distill.response import whole
from reasonbench.engines.chat import plain_text
from reasonbench.errors import UsageError
from reasonbench.runs import RunStore
from reasonbench.runs.stored import Series, StoredPrompt
from reasonbench.summary import MODEL, PLAN
from reasonbench.types import Problem


@dataclass(frozen=True, slots=True)
class Origin:
    """One run that is read.

    Attributes:
        name: as rows call it: "run" for the one that was generated, else the folder as given.
        store: open for reading.
        series: what it holds of answers.
        searched: names of the pools that searches filled.
        model: what is known of the model that wrote it.
        strategies: the strategies that read a pool, by benchmark and pool.
    """

    name: str
    store: RunStore
    series: tuple[Series, ...]
    searched: frozenset[str]
    model: Mapping[str, Any]
    strategies: Mapping[tuple[str, str], tuple[str, ...]]


class Found(NamedTuple):
    """A problem with all that the runs hold of it."""

    problem: Problem
    drafts: tuple[Draft, ...]
    trees: tuple[tuple[Origin, Series], ...]
    """Searches of it."""


def origin(name: str, folder: Path, store: RunStore) -> Origin:
    """What a run says of itself.

    Raises:
        UsageError: it holds no completions.
    """
    pools = store.pools()
    series = tuple(s for s in store.series() if pools.get(s.pool, {}).get("role") != "tests")
    if not series:
        raise UsageError(f"{folder} holds no completions to distil from.")
    plan = json.loads(store.meta(PLAN) or "{}")
    read: dict[tuple[str, str], tuple[str, ...]] = {}
    for benchmark, task in plan.get("benchmarks", {}).items():
        for spelled, pool in task.get("strategies", {}).items():
            read[benchmark, pool] = (*read.get((benchmark, pool), ()), spelled)
    return Origin(
        name,
        store,
        series,
        frozenset(p for p, spec in pools.items() if spec.get("role") == "search"),
        json.loads(store.meta(MODEL) or "null") or {},
        read,
    )


def found(origins: Sequence[Origin]) -> Iterator[Found]:
    """Every problem once, in the order of the runs, with what all runs hold of it."""
    seen = set[tuple[str, str]]()
    for index, first in enumerate(origins):
        for problem in first.store.problems():
            key = (problem.benchmark, problem.id)
            if key in seen:
                continue
            seen.add(key)
            drafts: list[Draft] = []
            trees: list[tuple[Origin, Series]] = []
            for one in origins[index:]:
                for series in one.series:
                    if series.benchmark == problem.benchmark:
                        drafts += _drafts(one, series, problem)
                        if series.pool in one.searched:
                            trees.append((one, series))
            yield Found(problem, tuple(drafts), tuple(trees))


def source(one: Origin, series: Series, problem: Problem, kind: str) -> dict[str, Any]:
    """The part of a row's provenance that all responses of a series share."""
    return {
        "kind": kind,
        "run": one.name,
        "benchmark": problem.benchmark,
        "problem": problem.id,
        "level": problem.level,
        "subject": problem.subject,
        "pool": series.pool,
        "strategy": list(one.strategies.get((series.benchmark, series.pool), ())),
        "weight_version": series.weight_version,
        "model": one.model.get("model"),
        "revision": one.model.get("revision"),
        "engine": one.model.get("engine"),
    }


def name_of(one: Origin, series: Series, problem: Problem, sample: object) -> str:
    """The id of a draft."""
    version = f"@{series.weight_version}" if series.weight_version else ""
    return f"{one.name}/{problem.benchmark}/{problem.id}/{series.pool}{version}/{sample}"


def asked(one: Origin, series: Series, problem: Problem) -> tuple[Asked | None, bool]:
    """How the teacher was asked, and whether its template had opened a thinking span."""
    stored = one.store.prompt(problem.benchmark, problem.id, series.pool)
    if stored is None:
        return None, False
    return Asked(stored.messages, _plain(stored)), stored.prompt.thinking_open


def _plain(stored: StoredPrompt) -> str | None:
    text = stored.prompt.text
    return text if text == plain_text(stored.messages) else None


def _drafts(one: Origin, series: Series, problem: Problem) -> Iterator[Draft]:
    where = (problem.benchmark, problem.id, series.pool, series.weight_version)
    prompt, opened = asked(one, series, problem)
    shared = source(one, series, problem, "sampled")
    for sample in one.store.of_problem(*where, text=True):
        text = sample.text or ""
        yield Draft(
            id=name_of(one, series, problem, sample.sample),
            problem=problem,
            response=whole(text, thinking_open=opened, stop_reason=sample.stop_reason),
            verdict=sample.verdict,
            answer=sample.answer,
            layer=sample.layer or "",
            finish=sample.finish,
            tokens=sample.tokens,
            asked=prompt,
            source={**shared, "sample": sample.sample, "seed": sample.seed},
        )
