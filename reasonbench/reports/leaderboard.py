"""Reading runs into a report: every number is results.json's, or of reasonbench.metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.points import RunPoints, read_points
from reasonbench.reports.chart_data import (
    Calibration,
    CapCurve,
    ComputeBoard,
    Curve,
    Lengths,
    SolveRates,
)
from reasonbench.reports.compute import is_testable, tested, untested
from reasonbench.reports.data import (
    Entry,
    GroupAccuracy,
    Mixed,
    Protocol,
    Ranking,
    RankRange,
    Report,
    RunStack,
)
from reasonbench.reports.ranking import rank
from reasonbench.reports.references import references as published
from reasonbench.reports.rows import Row, checked_rows, curves, entries, groups, last_step
from reasonbench.reports.samples import calibration, cap_curve, ceiling, lengths, solve_rates
from reasonbench.reports.stored import Plan, PoolFacts, read_pools
from reasonbench.runs import RunStore
from reasonbench.runs.run import read_results
from reasonbench.runs.tables import model_label
from reasonbench.summary import MODEL, NO_MODEL, PLAN, judged_by
from reasonbench.types import ModelInfo

TRUNCATED = 0.02
"""A larger share of truncated completions is warned of."""


@dataclass(eq=False)
class _Read:
    """What the runs gave so far."""

    runs: list[RunStack] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    groups: list[GroupAccuracy] = field(default_factory=list)
    caps: list[CapCurve] = field(default_factory=list)
    lengths: list[Lengths] = field(default_factory=list)
    solve_rates: list[SolveRates] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)
    protocols: list[Protocol] = field(default_factory=list)
    points: list[RunPoints] = field(default_factory=list)
    untested: list[ComputeBoard] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reached: dict[str, Mapping[str, float]] = field(default_factory=dict)
    """By entry: the score of each problem."""
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    """By benchmark: the source of each problem."""


def read_report(runs: Sequence[Path], *, references: bool = False) -> Report:
    """All that a report shows of some runs.

    Of a training run, and of `eval --watch`, the step evaluated last counts.

    Args:
        runs: their folders; the same folder twice is one.
        references: with published figures to lay beside.

    Raises:
        UsageError: no run, one that cannot be read or has no results.json yet.
    """
    folders = list(dict.fromkeys(folder.resolve() for folder in runs))
    if not folders:
        raise UsageError("a report needs at least one run.")
    results = [read_results(folder) for folder in folders]
    rows = [checked_rows(f, result) for f, result in zip(folders, results, strict=True)]
    small = is_testable(results)
    read = _Read()
    for name, folder, result, table in zip(run_names(folders), folders, results, rows, strict=True):
        _read_run(read, name, folder, result, table, test=small)
    boards, notes = tested(read.points)
    ranked, rankings = _rank(read)
    number = {entry.id: f"e{i}" for i, entry in enumerate(ranked)}
    benchmarks = tuple(dict.fromkeys(entry.benchmark for entry in ranked))
    return Report(
        runs=tuple(read.runs),
        benchmarks=benchmarks,
        entries=tuple(replace(entry, id=number[entry.id]) for entry in ranked),
        rankings=tuple(
            replace(one, entries=tuple(number[i] for i in one.entries)) for one in rankings
        ),
        compute=(*boards, *read.untested),
        curves=tuple(read.curves),
        groups=tuple(replace(one, entry=number[one.entry]) for one in read.groups),
        caps=tuple(read.caps),
        lengths=tuple(read.lengths),
        solve_rates=tuple(read.solve_rates),
        calibrations=tuple(read.calibrations),
        protocols=tuple(read.protocols),
        references=published(benchmarks) if references else (),
        notes=tuple(dict.fromkeys([*read.notes, *_warnings(ranked), *notes])),
    )


def run_names(folders: Sequence[Path]) -> list[str]:
    """The names of the folders, with as much of the path before them as tells them apart."""
    parts = 1
    while True:
        names = ["/".join(folder.parts[-parts:]) for folder in folders]
        if len(set(names)) == len(names) or parts >= max(len(f.parts) for f in folders):
            return names
        parts += 1


def _read_run(
    read: _Read,
    name: str,
    folder: Path,
    results: Mapping[str, Any],
    rows: Sequence[Row],
    *,
    test: bool,
) -> None:
    complete = bool(results["run"].get("complete", True))
    model = results["model"]
    found = entries(name, model, rows, complete)
    drawn = curves(name, model, rows)
    if not complete:
        read.notes.append(f"{name} is not finished: problems without completions are left out.")
    if not found:
        read.notes.append(f"{name} holds no results.")
    if (step := last_step(rows)) is not None:
        read.notes.append(f"{name}: the weights of step {step:,}, the last evaluated.")
    read.groups += groups(found, rows)
    with RunStore.open(folder) as store:
        read.runs.append(_stack(name, results, store.config))
        plan: Plan = json.loads(store.meta(PLAN) or '{"benchmarks": {}}')
        read.protocols += protocols(name, plan)
        policy = ModelInfo(**json.loads(store.meta(MODEL) or "null") or NO_MODEL)
        judging = judged_by(store, plan.get("reward"), policy)
        # the table's, which may lag behind the store's where a run was killed
        version = rows[0].get("weight_version", 0) if rows else 0
        for benchmark in plan["benchmarks"]:
            here = {e.strategy: e for e in found if e.benchmark == benchmark}
            tokens = {strategy: e.tokens_mean or 0.0 for strategy, e in here.items()}
            for facts in read_pools(store, plan, benchmark, judging, version, tokens):
                _read_pool(read, name, model_label(model), facts, here, drawn)
            found = [here.get(e.strategy, e) if e.benchmark == benchmark else e for e in found]
        if test:
            points = read_points(store, name)
            unfinished = () if complete else (f"{name} is not finished.",)
            read.points += [replace(p, notes=(*p.notes, *unfinished)) for p in points]
        else:
            problems = {b: task.get("problems", 0) for b, task in plan["benchmarks"].items()}
            read.untested += untested(name, model, drawn, problems)
    read.entries += found
    read.curves += drawn


def _read_pool(
    read: _Read,
    run: str,
    model: str,
    facts: PoolFacts,
    here: dict[str, Entry],
    drawn: list[Curve],
) -> None:
    """Add what one pool shows; `here` and `drawn` are completed."""
    read.sources.setdefault(facts.benchmark, {}).update(zip(facts.keys, facts.sources, strict=True))
    mixed = None
    if facts.looked_at:
        mixed = Mixed(facts.mixed / facts.looked_at, facts.looked_at, facts.responses)
    for strategy in facts.strategies:
        if strategy in here:
            here[strategy] = replace(here[strategy], mixed=mixed)
            if (scores := facts.reached.get(strategy)) is not None:
                read.reached[here[strategy].id] = dict(zip(facts.keys, scores, strict=True))
    if not facts.exchangeable:
        return
    read.solve_rates.append(solve_rates(run, model, facts))
    for capped in filter(None, [cap_curve(run, model, facts)]):
        read.caps.append(capped)
    for lengthy in filter(None, [lengths(run, model, facts)]):
        read.lengths.append(lengthy)
    read.calibrations += [calibration(run, model, facts, scored) for scored in facts.scored]
    if not any(c.benchmark == facts.benchmark and c.kind == "ceiling" for c in drawn):
        highest = ceiling(run, model, facts)
        if highest is not None and len(highest.points) > 1:
            drawn.append(highest)


def _rank(read: _Read) -> tuple[list[Entry], list[Ranking]]:
    """All entries, each benchmark's best accuracy first, with their ranks."""
    ordered: list[Entry] = []
    rankings: list[Ranking] = []
    for benchmark in dict.fromkeys(entry.benchmark for entry in read.entries):
        here = [entry for entry in read.entries if entry.benchmark == benchmark]
        here.sort(key=lambda e: -(e.accuracy.value if e.accuracy else -1.0))
        place: dict[str, int] = {}
        ranges: dict[str, RankRange] = {}
        for ranking, held in rank(here, read.reached, read.sources.get(benchmark, {})):
            place.update(dict.fromkeys(ranking.entries, len(rankings)))
            ranges.update(held)
            rankings.append(ranking)
        ordered += [
            replace(entry, rank=ranges.get(entry.id), ranking=place.get(entry.id)) for entry in here
        ]
    return ordered, rankings


def protocols(run: str, plan: Plan) -> Iterator[Protocol]:
    """How a run asked each of its benchmarks."""
    for benchmark, task in plan["benchmarks"].items():
        yield Protocol(
            run=run,
            benchmark=benchmark,
            name=task.get("protocol"),
            source=task.get("source"),
            revision=task.get("revision"),
            problems=task.get("problems", 0),
            strategies=task.get("strategies", {}),
            pools=task.get("pools", {}),
            reward=plan.get("reward"),
            budget=plan.get("budget"),
            deviations=tuple(plan.get("deviations", ())),
            notes=tuple(plan.get("notes", ())),
        )


def _stack(run: str, results: Mapping[str, Any], config: Mapping[str, Any]) -> RunStack:
    about = results["run"]
    return RunStack(
        run=run,
        created=about.get("created"),
        written=about.get("written"),
        seed=about.get("seed"),
        complete=bool(about.get("complete", True)),
        model=results["model"],
        reward=results.get("reward"),
        stack=results.get("stack", {}),
        usage=about.get("usage", {}),
        config=config,
        samples=about.get("graded") or 0,
    )


def _warnings(found: Sequence[Entry]) -> Iterator[str]:
    """What makes accuracies doubtful; strategies of which the same is true share a sentence."""
    said: dict[tuple[str, str, str], list[str]] = {}
    for e in found:
        for sentence in _doubts(e):
            said.setdefault((e.run, e.benchmark, sentence), []).append(e.strategy)
    for (run, benchmark, sentence), strategies in said.items():
        yield f"{run}, {benchmark}, {', '.join(strategies)}: {sentence}"


def _doubts(e: Entry) -> Iterator[str]:
    if (e.truncated or 0.0) > TRUNCATED:
        yield (
            f"{e.truncated:.1%} of the completions were cut by the token limit; a larger one may "
            "raise the accuracy."
        )
    if e.ungraded and e.bounds is not None:
        low, high = e.bounds
        yield (
            f"{e.ungraded:.1%} of the samples are ungraded; the accuracy is between {low:.1%}, if "
            f"all of them are wrong, and {high:.1%}, if all are right."
        )
    if e.dropped:
        problems = "problem" if e.dropped == 1 else "problems"
        yield f"{e.dropped} {problems} without a graded result left out."
    if e.accuracy is None:
        yield "no accuracy: nothing is graded, or nothing has a score to choose by."
