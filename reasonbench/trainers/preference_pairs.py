"""Preferences that a run already holds: its graded samples as rows for the preference trainers.

Prompts are the text that the samples' model was given, so that what is learned stands where it was
written. The rows have the forms of `preference_data` and say where they came from (`run`,
`benchmark`, `problem_id`, `samples`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from reasonbench.errors import UsageError, unknown
from reasonbench.runs import RunStore
from reasonbench.runs.files import replacing
from reasonbench.runs.stored import Series, StoredSample
from reasonbench.trainers.config import _Strict
from reasonbench.trainers.preference_rows import crossed

PairKind = Literal["right-wrong", "short-long", "label"]


class PairsConfig(_Strict):
    """Which samples of a run become rows."""

    kind: PairKind = "right-wrong"
    """`right-wrong`: a right against a wrong solution of the same problem; `short-long`: the
    shortest right one against the longest right one, then the next ones; `label`: every solution by
    itself, good or bad (for KTO and pointwise rewards)."""
    per_problem: int = Field(default=4, ge=1)
    """The most rows of a problem: without a cap a few problems of even odds would dominate."""
    gap: float = Field(default=1.2, ge=1)
    """`short-long`: how many times as long the longer one must be."""
    truncated: bool = False
    """Also take solutions that a token limit cut, as wrong ones."""
    benchmarks: tuple[str, ...] = ()
    """Only samples of these benchmarks; of all where none is named."""
    pool: str | None = None
    """Only samples of this pool."""
    weight_version: int | None = Field(default=None, ge=0)
    """Only samples of these weights."""
    seed: int = 0
    """Of which samples are taken."""


def write_pairs(runs: Sequence[Path], config: PairsConfig, out: Path) -> int:
    """Writes the rows of some runs as JSONL, problem by problem; how many.

    Raises:
        UsageError: a folder holds no run, nothing has the benchmark or pool that was asked for, or
            no problem gives a row. An older file is replaced only when the new one is whole.
    """
    count = 0
    with replacing(out) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for run in runs:
            for row in rows_of_run(run, config):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        if not count:
            wanted = {
                "right-wrong": "problem has both a right and a wrong solution",
                "short-long": f"problem has right solutions of which one is {config.gap:g} times "
                "as long as another",
                "label": "sample is graded",
            }[config.kind]
            raise UsageError(f"no {wanted} in {', '.join(map(str, runs))}")
    return count


def rows_of_run(folder: Path, config: PairsConfig) -> Iterator[dict[str, Any]]:
    """The rows of one run; memory holds the samples of one problem at a time."""
    with RunStore.open(folder) as store:
        for series in _chosen(store, config):
            for problem, samples in store.samples(*series, text=True):
                stored = store.prompt(series.benchmark, problem.id, series.pool)
                if stored is None:
                    continue
                for row, used in _rows(samples, f"{config.seed} {series} {problem.id}", config):
                    yield {
                        "prompt": stored.prompt.text,
                        **row,
                        "run": folder.name,
                        "benchmark": series.benchmark,
                        "problem_id": problem.id,
                        "samples": [sample.sample for sample in used],
                    }


def _chosen(store: RunStore, config: PairsConfig) -> list[Series]:
    every = store.series()
    for kind, wanted, known in (
        ("benchmark", config.benchmarks, {s.benchmark for s in every}),
        ("pool", (config.pool,) if config.pool else (), {s.pool for s in every}),
    ):
        for name in wanted:
            if name not in known:
                raise unknown(kind, name, known)
    # tests that choose among programs are no solutions
    tests = {name for name, spec in store.pools().items() if spec.get("role") == "tests"}
    return [
        s
        for s in every
        if (not config.benchmarks or s.benchmark in config.benchmarks)
        and (s.pool == config.pool if config.pool else s.pool not in tests)
        and config.weight_version in (None, s.weight_version)
    ]


def _rows(
    samples: Sequence[StoredSample], seed: str, config: PairsConfig
) -> Iterator[tuple[dict[str, Any], tuple[StoredSample, ...]]]:
    """Rows of one problem, each with the samples it is made of."""
    right, wrong = _judged(samples, config)
    rng = random.Random(seed)
    if config.kind == "short-long":
        right.sort(key=lambda s: (s.tokens, s.sample))
        pairs = zip(right[: config.per_problem], right[::-1], strict=False)
        for short, long in pairs:
            if long.tokens < config.gap * short.tokens or long.tokens == short.tokens:
                return
            yield _pair(short, long), (short, long)
        return
    rng.shuffle(right)
    rng.shuffle(wrong)
    if config.kind == "right-wrong":
        for i, j in crossed(len(right), len(wrong), config.per_problem):
            yield _pair(right[i], wrong[j]), (right[i], wrong[j])
        return
    most = max(config.per_problem - len(wrong), (config.per_problem + 1) // 2)
    good_ones = right[:most]
    bad_ones = wrong[: config.per_problem - len(good_ones)]
    for label, judged in (("good", good_ones), ("bad", bad_ones)):
        for sample in judged:
            yield {"response": _text(sample), "label": label}, (sample,)


def _judged(
    samples: Sequence[StoredSample], config: PairsConfig
) -> tuple[list[StoredSample], list[StoredSample]]:
    """Right and wrong samples, no text twice; what was aborted or not graded is neither."""
    seen: set[str] = set()
    right: list[StoredSample] = []
    wrong: list[StoredSample] = []
    for sample in samples:
        finished = sample.finish == "stop" or (config.truncated and sample.finish == "length")
        text = _text(sample)
        if not finished or not text or text in seen:
            continue
        seen.add(text)
        if sample.verdict == "correct":
            right.append(sample)
        elif sample.verdict == "incorrect":
            wrong.append(sample)
    return right, wrong


def _pair(chosen: StoredSample, rejected: StoredSample) -> dict[str, Any]:
    return {
        "chosen": _text(chosen),
        "rejected": _text(rejected),
        "chosen_length": chosen.tokens,
        "rejected_length": rejected.tokens,
    }


def _text(sample: StoredSample) -> str:
    """What a model should write: without the beginning of a next question that stopped it."""
    text, stop = sample.text or "", sample.stop_reason or ""
    return text.removesuffix(stop) if stop.startswith("\n") else text
