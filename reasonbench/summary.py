"""From a run store to results.json: class the answers, compute the rows, write the table.

Everything comes from the store, so a run can be summarised again without its model, its benchmark
files or the command that made it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from reasonbench.behaviour.score import STALE, program, score
from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.in_order import TAKEN, decide, enough_key
from reasonbench.pricing import price
from reasonbench.results import JudgedBy, Measured, measure, rows
from reasonbench.rewarding import info_of, share, stored_as
from reasonbench.runs import RunStore, SampleKey, atomic_write
from reasonbench.runs.run import read_results
from reasonbench.runs.stored import Reading, Series, StoredProblem
from reasonbench.runs.training import Evaluation
from reasonbench.stack import stack
from reasonbench.strategies import AnyStrategy, parse
from reasonbench.strategies.adaptive import Adaptive
from reasonbench.strategies.base import PUBLIC
from reasonbench.strategies.base import REWARD as SCORER
from reasonbench.together import together
from reasonbench.types import Completion, ModelInfo, Problem
from reasonbench.used import used
from reasonbench.verdicts import grade, grade_answer

SCHEMA = 1
RESULTS = "results.json"

PLAN = "plan"
"""meta key: benchmarks, their sources, the settings of their pools, strategies, deviations."""

MODEL = "model"
"""meta key: what is known of the model."""

SERVER = "server"
"""meta key: what is known of the servers that the model is behind."""

REWARD = "reward"
"""meta key, with a colon and the reward's name behind it: what is known of that reward."""

ENDS_UNKNOWN = {"truncated": None, "completed_accuracy": None}
"""What a row says of samples of which nobody knows how they ended."""

PROBLEMS_AT_ONCE = 8
"""Problems whose answers are classed at the same time."""


async def regrade(
    store: RunStore,
    graders: Graders,
    *,
    only_missing: bool = False,
    weight_version: int | None = None,
) -> int:
    """Grade stored completions again; returns how many verdicts were written.

    Args:
        only_missing: only those that a kill left without a verdict, or that the grader failed on.
        weight_version: only those of this version; of all by default.
    """
    problems = {(p.benchmark, p.id): p for p in store.problems()}
    at_once = min((graders.in_flight(p.question.kind) for p in problems.values()), default=1)
    pools = store.pools()
    count = 0
    if not only_missing:
        store.drop_scores(*STALE)
        for evaluation in (None, *store.evaluations()):
            store.set_meta(enough_key(evaluation.weight_version if evaluation else 0), "unknown")
    for series in store.series():
        if weight_version not in (None, series.weight_version):
            continue
        if pools.get(series.pool, {}).get("role") == "tests":
            continue
        answers_only = pools.get(series.pool, {}).get("answers_only", False)
        todo = store.completions_without_verdict(*series) if only_missing else (
            store.completions(*series))  # fmt: skip
        jobs = (
            _regrade(store, graders, problems[key.benchmark, key.problem_id], key, completion,
                     answers_only=answers_only)
            for key, completion in todo
        )  # fmt: skip
        count += await together(jobs, store, at_once)
    return count


async def _regrade(
    store: RunStore,
    graders: Graders,
    problem: Problem,
    key: SampleKey,
    completion: Completion,
    *,
    answers_only: bool,
) -> None:
    if answers_only:
        verdict = await grade_answer(graders, problem, completion.text or None)
    else:
        verdict = await grade(graders, problem, completion)
    store.add_verdict(key, verdict)


async def summarise(
    store: RunStore, graders: Graders, *, only: int | None = None
) -> dict[str, Any]:
    """Class the answers, compute the rows, write results.json, and return what it holds.

    Args:
        only: the weight version whose rows are computed; those of others stay as they were written.
            All of them by default.
    """
    plan: dict[str, Any] = json.loads(store.meta(PLAN) or '{"benchmarks": {}, "deviations": []}')
    model = ModelInfo(**json.loads(store.meta(MODEL) or "null") or NO_MODEL)
    judging = judged_by(store, plan.get("reward"), model)
    pricing = price(store, store.config, judging)
    made = {e.weight_version: e for e in store.evaluations()}
    written = {} if only is None else _written(store, made)
    found: list[dict[str, Any]] = []
    complete = True
    for version in sorted(made) or [0]:
        evaluation = made.get(version)
        if version in written and version != only:
            found += written[version]
            continue
        whole = await _prepare(store, graders, plan, version)
        complete &= whole
        for benchmark, task in plan["benchmarks"].items():
            for spelled in task["strategies"]:
                measured = measured_of(
                    store, plan, benchmark, spelled, judging, weight_version=version
                )
                reward = judging_of(store, task, spelled, judging)
                made_rows = rows(
                    benchmark, parse(spelled), measured, model, pricing, reward,
                    budget=plan.get("budget"), weight_version=version,
                )  # fmt: skip
                if ends_unknown(task, spelled):
                    made_rows = ({**row, **ENDS_UNKNOWN} for row in made_rows)
                found += made_rows if evaluation is None else _at_step(made_rows, evaluation, plan)
    results = {
        "schema": SCHEMA,
        "run": {
            "name": store.folder.resolve().name,
            "created": store.meta("created"),
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": store.config.get("seed"),
            "complete": complete and all(e.complete for e in made.values()),
            "graded": store.count().verdicts,
            "usage": used(
                store,
                plan,
                drawn_here=store.meta(MODEL) is not None,
                served=store.meta(SERVER) is not None,
            ),
            **({"evaluations": [e._asdict() for e in made.values()]} if made else {}),
        },
        "model": asdict(model),
        "reward": None if judging is None else judging.described,
        "stack": stack() | _served(store),
        "protocol": plan,
        "rows": found,
    }
    store.flush()
    atomic_write(store.folder / RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    return results


async def _prepare(
    store: RunStore, graders: Graders, plan: Mapping[str, Any], weight_version: int
) -> bool:
    """Class answers, run programs and apply rules, as the strategies of the plan need it.

    Returns:
        Whether everything that was planned for the version is there.
    """
    store.drop_scores(TAKEN, weight_version=weight_version)
    complete = True
    for benchmark, task in plan["benchmarks"].items():
        strategies = {spelled: parse(spelled) for spelled in task["strategies"]}
        tests_pools: dict[str, str] = task.get("tests", {})
        for pool, wanted in task["completions"].items():
            series = Series(benchmark, pool, weight_version)
            if pool in tests_pools.values():
                complete &= _drawn(store, series) >= wanted
                continue
            drawing = [s for name, s in strategies.items() if task["strategies"][name] == pool]
            if _votes(store, benchmark, drawing):
                await class_answers(store, graders, series)
            await score_programs(store, graders, series, tests_pools.get(pool), drawing)
            complete &= store.count(*series).verdicts >= wanted
            rules = [s for s in drawing if isinstance(s, Adaptive)]
            complete &= await decide(store, graders, benchmark, pool, rules, weight_version)
        searched: dict[str, int] = task.get("searches", {})
        for pool, wanted in searched.items():
            series = Series(benchmark, pool, weight_version)
            complete &= len(store.searches(*series)) >= wanted
            drawing = [s for name, s in strategies.items() if task["strategies"][name] == pool]
            if _votes(store, benchmark, drawing):
                await class_answers(store, graders, series)
    return complete


def _written(store: RunStore, made: Mapping[int, Evaluation]) -> dict[int, list[dict[str, Any]]]:
    """The rows that results.json has of finished evaluations, by weight version."""
    try:
        written = read_results(store.folder)["rows"]
    except UsageError:  # none yet, or broken: everything is computed
        return {}
    found: dict[int, list[dict[str, Any]]] = {}
    for row in written:
        evaluation = made.get(row["weight_version"])
        if evaluation is not None and evaluation.complete and row.get("step") == evaluation.step:
            found.setdefault(row["weight_version"], []).append(row)
    return found


def _at_step(
    found: Iterable[dict[str, Any]], evaluation: Evaluation, plan: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Rows of an evaluation in the loop; of all problems only, where the plan says so.

    A training run has hundreds of them, and its table is written anew after each.
    """
    for row in found:
        if plan.get("groups", True) or (row["level"] is None and row["subject"] is None):
            yield {**row, "step": evaluation.step}


def ends_unknown(task: Mapping[str, Any], spelled: str) -> bool:
    """Whether a log that does not say which samples a limit cut holds those of a strategy.

    Args:
        task: a benchmark of the plan.
        spelled: the strategy, as the plan has it.
    """
    pool = task.get("pools", {}).get(task["strategies"][spelled], {})
    return bool(pool.get("ends") == "unknown")


NO_MODEL = {"model": "recorded", "engine": "none", "engine_version": ""}


def measured_of(
    store: RunStore,
    plan: Mapping[str, Any],
    benchmark: str,
    spelled: str,
    judging: JudgedBy | None,
    *,
    problems: Iterable[StoredProblem] | None = None,
    weight_version: int = 0,
) -> list[Measured]:
    """The problems of a benchmark as one of the run's strategies sees them, in their order.

    What strategies need of the answers must be there: their classes, and what programs did.

    Args:
        plan: as `PLAN` holds it.
        spelled: the strategy, as the plan has it.
        problems: with the samples that count; all that is stored where it is not given.
        weight_version: of the samples.
    """
    task = plan["benchmarks"][benchmark]
    pool: str = task["strategies"][spelled]
    strategy = parse(spelled)
    tests = task.get("tests", {}).get(pool) if strategy.behaviour else None
    series = Series(benchmark, pool, weight_version)
    searches = store.searches(*series) if pool in task.get("searches", {}) else {}
    judging = judging_of(store, task, spelled, judging)
    read = _readings(store, series, strategy, judging)
    return [
        measure(
            stored,
            strategy,
            ()
            if tests is None
            else store.of_problem(benchmark, stored.problem.id, tests, weight_version),
            judging,
            read.get(stored.problem.id, {}),
            searches.get(stored.problem.id),
            plan.get("budget"),
        )
        for stored in (store.samples(*series) if problems is None else problems)
    ]


def judging_of(
    store: RunStore, task: Mapping[str, Any], spelled: str, judging: JudgedBy | None
) -> JudgedBy | None:
    """The reward of a strategy: a search keeps the one that it was grown with."""
    name = task.get("searched_by", {}).get(task["strategies"][spelled])
    if name is None or (judging is not None and judging.name == name):
        return judging
    policy = ModelInfo(**json.loads(store.meta(MODEL) or "null") or NO_MODEL)
    return judged_by(store, name, policy)


def judged_by(store: RunStore, name: str | None, policy: ModelInfo) -> JudgedBy | None:
    """What is known of the reward of that name; None without a name, or before it was opened."""
    written = json.loads(store.meta(f"{REWARD}:{name}") or "null") if name else None
    if name is None or written is None:
        return None
    model = info_of(written)
    return JudgedBy(name, model, share(model, policy), written)


def _readings(
    store: RunStore, series: Series, strategy: AnyStrategy, judging: JudgedBy | None
) -> Mapping[str, Mapping[int, Reading]]:
    """What the strategy's reward read, by problem and sample."""
    if judging is None or strategy.scorer != SCORER:
        return {}
    found: dict[str, dict[int, Reading]] = {}
    for (problem, sample), reading in store.readings(
        series.benchmark, series.pool, stored_as(judging.name, strategy), series.weight_version
    ).items():
        found.setdefault(problem, {})[sample] = reading
    return found


def _votes(store: RunStore, benchmark: str, strategies: Sequence[AnyStrategy]) -> bool:
    """Whether the classes of answers are needed: to class programs, all of them are run again."""
    if any(s.behaviour is None and s.metric != "pass@k" for s in strategies):
        return True
    return any(problem.question.kind != "code" for problem in store.problems(benchmark))


async def class_answers(store: RunStore, graders: Graders, series: Series) -> None:
    """Give every answer of a pool its equivalence class within its problem.

    A truncated completion abstains, whatever answer it holds.
    """

    async def one(stored: StoredProblem) -> None:
        answers = [program(sample) for sample in stored.samples]
        classes = await graders.classes(stored.problem, answers)
        numbered = {s.sample: c for s, c in zip(stored.samples, classes, strict=True)}
        store.set_classes(
            series.benchmark, stored.problem.id, series.pool, numbered, series.weight_version
        )

    jobs = (
        one(stored)
        for stored in store.samples(*series)
        if any(s.answer_class is None for s in stored.samples)
    )
    await together(jobs, store, PROBLEMS_AT_ONCE)


async def score_programs(
    store: RunStore,
    graders: Graders,
    series: Series,
    tests_pool: str | None,
    strategies: Sequence[AnyStrategy],
) -> None:
    """Run the programs of a pool for the strategies that choose by what these do.

    Raises:
        UsageError: answers of the benchmark are no programs.
    """
    needing = [s for s in strategies if s.behaviour or s.public or s.scorer == PUBLIC]
    if not needing:
        return
    for strategy in needing:
        strategy.check([problem.question for problem in store.problems(series.benchmark)])
    jobs = (
        score(store, graders.code, stored, series.pool, tests_pool, needing, series.weight_version)
        for stored in store.samples(*series)
    )
    await together(jobs, store, PROBLEMS_AT_ONCE)


def _drawn(store: RunStore, series: Series) -> int:
    """Completions of tests that are there or failed for good."""
    return sum(len(stored.samples) for stored in store.samples(*series))


def _served(store: RunStore) -> dict[str, Any]:
    """What is known of the servers, where the model was behind any."""
    known = store.meta(SERVER)
    return {} if known is None else {"server": json.loads(known)}
