"""Shards become one run: what must be equal, what is missing, and the table of the whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonbench import shards
from reasonbench.behaviour.score import STALE
from reasonbench.config import REWARD_SETTINGS, VOLATILE
from reasonbench.errors import UsageError
from reasonbench.generate import ABORTED_TOKENS, GENERATION_SECONDS
from reasonbench.grading.graders import Graders
from reasonbench.in_order import ENOUGH
from reasonbench.runs import RunStore, atomic_write
from reasonbench.runs.folder import DATABASE, RESULTS
from reasonbench.runs.merge import Lacking, Merging, notes
from reasonbench.runs.run import read_results
from reasonbench.summary import MODEL, PLAN, REWARD, summarise

MERGED = "merged"
"""meta key: the runs that a run was merged from."""

_FREE = (VOLATILE - REWARD_SETTINGS) | {"shard"}
"""Settings that may differ between shards: no result depends on them."""

_SUMS = {ABORTED_TOKENS: int, GENERATION_SECONDS: float}
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Run:
    """One of the runs, as far as it says what it is.

    Attributes:
        folder, config: of the run.
        plan: its protocol.
        meta: what commands noted about it.
        stack: what computed it.
        positions: by benchmark, where its problems stand in the whole, from 0.
    """

    folder: Path
    config: Mapping[str, Any]
    plan: Mapping[str, Any]
    meta: Mapping[str, str]
    stack: Mapping[str, Any]
    positions: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Merged:
    """A run after `merge`.

    Attributes:
        folder: of the run.
        results: what results.json holds.
        missing: what is not there, a sentence each; empty where the run is whole.
    """

    folder: Path
    results: Mapping[str, Any]
    missing: tuple[str, ...]


async def merge(folders: Sequence[Path], out: Path, *, partial: bool = False) -> Merged:
    """Make one run of the shards of an evaluation.

    It is the run that one machine would have made, but for seconds and what caches held. The
    configuration is that of the whole: `reasonbench eval @OUT/config.toml --out OUT` goes on with
    it, and asks what is missing.

    Args:
        folders: of the runs; they are only read.
        out: a new or empty folder; it is there whole, or not at all.
        partial: make a run of what there is where shards or samples are missing.

    Raises:
        UsageError: the runs are not of one evaluation, contradict each other, or something is
            missing; nothing has been written then.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("a run is given twice.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already: a merged run goes to a new folder.")
    runs = [_read(folder) for folder in folders]
    for run in runs[1:]:
        _same(runs[0], run)
    uncovered = [*_uncovered(runs)]
    if uncovered and not partial:
        raise UsageError(f"{' '.join(uncovered)} Run what is missing, or merge with --partial.")
    with _making(out) as folder:
        missing = _build(runs, folder)
        if missing and not partial:
            raise UsageError(
                f"{' '.join(missing)} Resume the runs that hold them, or merge with --partial."
            )
        with RunStore.open(folder, writable=True) as store:
            graders = Graders()
            try:
                results = await summarise(store, graders)
            finally:
                await graders.aclose()
        results["run"]["name"] = out.resolve().name
        results["stack"] = runs[0].stack
        text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
        atomic_write(folder / RESULTS, text)
    return Merged(out, results, (*uncovered, *missing))


@contextmanager
def _making(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place when the block ends, and goes when it raises."""
    made = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
        yield made
        with suppress(FileNotFoundError):
            out.rmdir()
        made.rename(out)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _read(folder: Path) -> _Run:
    with RunStore.open(folder) as store:
        if store.last_step() is not None or store.evaluations():
            raise UsageError(f"{folder} holds evaluations of a training run: these are whole.")
        meta = notes(folder)
        if MODEL not in meta or PLAN not in meta:
            raise UsageError(f"{folder} holds no evaluation of a model.")
        plan = json.loads(meta[PLAN])
        parts = json.loads(meta.get(shards.POSITIONS, "{}"))
        positions: dict[str, Sequence[int]] = {}
        for benchmark, task in plan["benchmarks"].items():
            count = store.count(benchmark).problems
            whole = "part" not in task
            positions[benchmark] = range(count) if whole else parts.get(benchmark, ())
            if not len(positions[benchmark]) == count == task["problems"]:
                raise UsageError(
                    f"{folder} does not hold the problems of {benchmark} it speaks of."
                )
        stack = read_results(folder)["stack"]
        return _Run(folder, store.config, plan, meta, stack, positions)


def _same(first: _Run, other: _Run) -> None:
    """Raises:
    UsageError: the runs are of two evaluations.
    """
    pair = f"{first.folder} and {other.folder}"
    for what, before, now in (
        ("configuration", _settings(first), _settings(other)),
        ("model", json.loads(first.meta[MODEL]), json.loads(other.meta[MODEL])),
        ("code", _code(first.stack), _code(other.stack)),
        ("protocol", _protocol(first.plan), _protocol(other.plan)),
        ("reward", _rewards(first), _rewards(other)),
    ):
        if (found := _difference(before, now)) is None:
            continue
        path, was, is_now = found
        said = f"{pair} differ in their {what}: {path} is {was} and {is_now}"
        if (what, path) == ("configuration", "seed"):
            raise UsageError(
                f"{said}; runs of several seeds are for `reasonbench compare` or `report`."
            )
        raise UsageError(f"{said}; only shards of one evaluation can be merged.")


def _settings(run: _Run) -> dict[str, Any]:
    return {key: value for key, value in run.config.items() if key not in _FREE}


def _code(stack: Mapping[str, Any]) -> dict[str, Any]:
    return {"reasonbench": stack["reasonbench"], "python": stack["python"], **stack["packages"]}


def _protocol(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of the whole, without what differs from shard to shard."""
    benchmarks = {}
    for name, task in plan["benchmarks"].items():
        part = task.get("part", task)
        own = ("part", "problems", "problem_ids", "completions", "searches")
        benchmarks[name] = {
            **{key: value for key, value in task.items() if key not in own},
            "problems": part["problems"],
            "problem_ids": part["problem_ids"],
        }
    return {**{k: v for k, v in plan.items() if k != "notes"}, "benchmarks": benchmarks}


def _rewards(run: _Run) -> dict[str, Any]:
    return {key: json.loads(v) for key, v in run.meta.items() if _is_reward(key)}


def _is_reward(key: str) -> bool:
    return key.startswith(f"{REWARD}:")


def _difference(a: Any, b: Any, path: str = "") -> tuple[str, str, str] | None:
    """Where two values differ first, and what stands there in each."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys((*a, *b)):
            at = f"{path}.{key}" if path else str(key)
            if key not in a or key not in b:
                return at, _shown(a, key), _shown(b, key)
            if found := _difference(a[key], b[key], at):
                return found
        return None
    return None if a == b else (path, _short(a), _short(b))


def _shown(values: Mapping[str, Any], key: str) -> str:
    return _short(values[key]) if key in values else "not set"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _uncovered(runs: Sequence[_Run]) -> Iterator[str]:
    """What no run was to ask, a sentence for each benchmark."""
    for benchmark, task in runs[0].plan["benchmarks"].items():
        whole = task.get("part", task)["problems"]
        held = {position for run in runs for position in run.positions[benchmark]}
        if len(held) == whole:
            continue
        given = [
            shards.parse(text)
            for run in runs
            for text in run.plan["benchmarks"][benchmark].get("part", {}).get("shards", ())
        ]
        counts = {shard.of for shard in given}
        if len(counts) == 1:
            (of,) = counts
            absent = [f"{i}/{of}" for i in range(1, of + 1) if shards.Shard(i, of) not in given]
            yield f"{benchmark}: {_listed('shard', absent)} missing."
        else:
            gaps = [str(i + 1) for i in range(whole) if i not in held]
            yield f"{benchmark}: {_listed('problem', gaps, ' (by position)')} missing."


def _listed(what: str, names: Sequence[str], how: str = "") -> str:
    """ "shards 2/4, 3/4 are", at most a few of them."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    many = len(names) > 1
    return f"{what}{'s' * many} {', '.join(names[:_SHOWN])}{more}{how} {'are' if many else 'is'}"


def _build(runs: Sequence[_Run], folder: Path) -> list[str]:
    """Write the run but for its table; which problems lack something, a sentence each."""
    plan = _whole(runs)
    config = {key: value for key, value in runs[0].config.items() if key != "shard"}
    with RunStore.create_or_resume(folder, config) as store:
        for key, value in _meta(runs, plan).items():
            store.set_meta(key, value)
    with Merging((folder / DATABASE).resolve()) as merging:
        for run in runs:
            merging.add(run.folder, _places(run, runs[0].plan))
        merging.forget_classes(STALE)
        return [*_lacking(merging, plan)]


def _places(run: _Run, plan: Mapping[str, Any]) -> dict[str, Sequence[int]]:
    """Where problems stand in the merged run: benchmark after benchmark, from 1."""
    found: dict[str, Sequence[int]] = {}
    first = 1
    for benchmark, task in plan["benchmarks"].items():
        found[benchmark] = [first + position for position in run.positions[benchmark]]
        first += task.get("part", task)["problems"]
    return found


def _whole(runs: Sequence[_Run]) -> dict[str, Any]:
    """The plan of the merged run: that of the whole, or of a larger part."""
    plan: dict[str, Any] = json.loads(runs[0].meta[PLAN])
    said = plan["notes"]
    for benchmark, task in plan["benchmarks"].items():
        before, part = task["problems"], task.pop("part", None)
        count = len({p for run in runs for p in run.positions[benchmark]})
        for planned in ("completions", "searches"):
            task[planned] = {
                pool: wanted // before * count for pool, wanted in task[planned].items()
            }
        task["problems"] = count
        if part is None:
            continue
        said = [note for note in said if note != shards.note(benchmark, part, before)]
        task["problem_ids"] = part["problem_ids"]
        if count < part["problems"]:
            given = [
                shard
                for run in runs
                for shard in run.plan["benchmarks"][benchmark]["part"]["shards"]
            ]
            task["part"] = {**part, "shards": sorted(set(given), key=shards.parse)}
            said.append(shards.note(benchmark, task["part"], count))
    plan["notes"] = said
    return plan


def _meta(runs: Sequence[_Run], plan: Mapping[str, Any]) -> dict[str, str]:
    """What is noted about the merged run."""
    found = {key: value for run in runs for key, value in run.meta.items() if _is_reward(key)}
    found |= {MODEL: runs[0].meta[MODEL], PLAN: json.dumps(plan, ensure_ascii=False)}
    found["created"] = min(run.meta["created"] for run in runs)
    for key, number in _SUMS.items():
        found[key] = repr(sum(number(run.meta.get(key, 0)) for run in runs))
    if all(run.meta.get(ENOUGH) == "enough" for run in runs):
        found[ENOUGH] = "enough"
    parts = {
        benchmark: sorted({p for run in runs for p in run.positions[benchmark]})
        for benchmark, task in plan["benchmarks"].items()
        if "part" in task
    }
    if parts:
        found[shards.POSITIONS] = json.dumps(parts, separators=(",", ":"))
    found[MERGED] = json.dumps(
        [{"run": run.folder.resolve().name, "shard": run.config.get("shard")} for run in runs]
    )
    return found


def _lacking(merging: Merging, plan: Mapping[str, Any]) -> Iterator[str]:
    for benchmark, task in plan["benchmarks"].items():
        tests = set(task.get("tests", {}).values())
        lacking: dict[str, Lacking] = {}
        for pool, wanted in task["completions"].items():
            kind = "completions" if pool in tests else "verdicts"
            for one in merging.lacking(benchmark, pool, wanted // max(1, task["problems"]), kind):
                lacking.setdefault(one.problem_id, one)
        for pool in task["searches"]:
            for one in merging.lacking(benchmark, pool, 1, "traces"):
                lacking.setdefault(one.problem_id, one)
        if not lacking:
            continue
        example = next(iter(lacking.values()))
        yield (
            f"{benchmark}: {_listed('problem', [*lacking])} unfinished (of {example.problem_id} "
            f"{example.stored} of {example.wanted} in pool {example.pool})."
        )
