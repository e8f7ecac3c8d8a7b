"""Evaluation in the loop: versions of the weights side by side in one run."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reasonbench.engines.base import EngineDeadError, EngineError
from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.in_loop import EvalPoint, InLoop, LoopEval, best_of, is_exhausted
from reasonbench.runs import Run, RunStore
from reasonbench.summary import summarise
from reasonbench.types import Completion, Prompt, RequestKey, SamplingParams
from tests.evaluation.rule import RuleReward
from tests.evaluation.toy import Toy
from tests.recorded_files import write_problems


class Live(Toy):
    """Answers the first `skill` problems rightly, and stamps the version of its weights."""

    def __init__(self, skill: int = 0, version: int = 0) -> None:
        super().__init__(self._say)
        self.skill, self.weight_version = skill, version
        self.seeds: dict[tuple[int, str, int], int] = {}
        self.left = math.inf

    async def _say(self, key: RequestKey) -> str:
        number = int(key.problem_id[1:])
        return f"\\boxed{{{2 * number if number <= self.skill else 1}}}"

    async def sample(self, prompt: Prompt, params: SamplingParams, key: RequestKey) -> Completion:
        if self.left <= 0:
            raise EngineDeadError("gone")
        self.left -= 1
        self.seeds[self.weight_version, key.problem_id, key.path[0]] = params.seed
        made = await super().sample(prompt, params, key)
        return replace(made, weight_version=self.weight_version)


def settings(folder: Path, **more: Any) -> LoopEval:
    path = folder / "sums.jsonl"
    if not path.exists():
        write_problems(path)
    given: dict[str, Any] = {"benchmarks": [str(path)], "strategies": ["cot@2", "maj@4"]}
    given["fields"] = {"prompt": "problem", "answer": "answer", "id": "id"}
    return LoopEval.model_validate(given | more)


def training(
    folder: Path, config: LoopEval, steps: Callable[[InLoop, RunStore], Coroutine[Any, Any, None]],
    **more: Any,
) -> None:  # fmt: skip
    """One session of a trainer."""

    async def session() -> None:
        graders = Graders()
        with RunStore.create_or_resume(folder / "run", {"model": "toy"}) as store:
            in_loop = InLoop(store, config, graders, **more)
            try:
                await steps(in_loop, store)
            finally:
                await in_loop.aclose()
                await graders.aclose()

    asyncio.run(session())


def test_every_version_has_its_points_samples_and_rows(tmp_path: Path) -> None:
    engine = Live()
    found: list[list[EvalPoint]] = []

    async def steps(in_loop: InLoop, store: RunStore) -> None:
        for step, skill in ((0, 1), (20, 3)):
            engine.skill, engine.weight_version = skill, step // 10
            found.append(await in_loop.evaluate(engine, step=step, version=step // 10))

    training(tmp_path, settings(tmp_path), steps)
    problems = found[0][0].problems
    assert [(p.strategy, p.step, p.version, p.accuracy) for points in found for p in points] == [
        ("cot@2", 0, 0, 1 / problems),
        ("maj@4", 0, 0, 1 / problems),
        ("cot@2", 20, 2, 3 / problems),
        ("maj@4", 20, 2, 3 / problems),
    ]
    assert {p.length for points in found for p in points} == {3.0}
    run = Run.open(tmp_path / "run")
    assert {(r["weight_version"], r["step"]) for r in run.rows} == {(0, 0), (2, 20)}
    assert run.results["run"]["complete"]
    with run.store() as store:
        assert {s.weight_version for s in store.series()} == {0, 2}
        assert store.count(weight_version=2).completions == 4 * problems
        assert [(e.weight_version, e.decode_tokens) for e in store.evaluations()] == [
            (0, 12 * problems),
            (2, 12 * problems),
        ]
        logged = {s.step: s.metrics for s in store.training()}
    assert logged[0]["eval_tokens"] == 12 * problems
    assert logged[20]["eval_tokens"] == 24 * problems


def test_versions_are_asked_with_equal_seeds(tmp_path: Path) -> None:
    engine = Live()

    async def steps(in_loop: InLoop, store: RunStore) -> None:
        await in_loop.evaluate(engine, step=0, version=0)
        engine.weight_version = 7
        await in_loop.evaluate(engine, step=20, version=7)

    training(tmp_path, settings(tmp_path), steps)
    by_version = [
        {(problem, sample): seed for (v, problem, sample), seed in engine.seeds.items() if v == at}
        for at in (0, 7)
    ]
    assert by_version[0] == by_version[1]
    assert len(set(by_version[0].values())) == len(by_version[0])


def test_rows_of_one_version_equal_those_of_all(tmp_path: Path) -> None:
    engine = Live()

    async def steps(in_loop: InLoop, store: RunStore) -> None:
        for step in (0, 20, 40):
            engine.skill = engine.weight_version = step // 20
            await in_loop.evaluate(engine, step=step, version=step // 20)

    strategies = ["cot@2", "maj@4", "asc@4", "oracle@4"]
    training(tmp_path, settings(tmp_path, strategies=strategies), steps)
    rows = Run.open(tmp_path / "run").rows

    async def again() -> list[dict[str, Any]]:
        graders = Graders()
        with RunStore.open(tmp_path / "run", writable=True) as store:
            found = await summarise(store, graders)
        await graders.aclose()
        return list(found["rows"])

    def without_clock(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{k: v for k, v in row.items() if k not in ("seconds", "dollars")} for row in found]

    assert without_clock(asyncio.run(again())) == without_clock(rows)


def test_an_evaluation_goes_on_where_the_engine_died(tmp_path: Path) -> None:
    engine = Live(skill=2, version=1)
    engine.left = 5

    async def dies(in_loop: InLoop, store: RunStore) -> None:
        with pytest.raises(EngineDeadError):
            await in_loop.evaluate(engine, step=10, version=1)
        assert in_loop.points == []

    async def goes_on(in_loop: InLoop, store: RunStore) -> None:
        engine.left = math.inf
        served = len(engine.served)
        points = await in_loop.evaluate(engine, step=10, version=1)
        assert len(engine.served) - served == 4 * points[0].problems - served
        assert points == in_loop.points
        assert await in_loop.evaluate(engine, step=10, version=1) == points
        assert len(engine.served) == 4 * points[0].problems

    training(tmp_path, settings(tmp_path), dies)
    training(tmp_path, settings(tmp_path), goes_on)


def test_points_of_earlier_sessions_are_known_and_rewound(tmp_path: Path) -> None:
    engine = Live()

    async def first(in_loop: InLoop, store: RunStore) -> None:
        for step, skill in ((0, 1), (20, 4), (40, 2)):
            engine.skill, engine.weight_version = skill, step
            await in_loop.evaluate(engine, step=step, version=step)
            store.add_training(step, {"loss": 1.0}, weight_version=step)
        assert in_loop.best is not None
        assert in_loop.best.step == 20
        assert in_loop.should_stop

    async def resumed(in_loop: InLoop, store: RunStore) -> None:
        assert [p.step for p in in_loop.points if p.strategy == "cot@2"] == [0, 20, 40]
        store.rewind(20, 20)
        again = InLoop(store, config, Graders())
        assert [p.step for p in again.points if p.strategy == "cot@2"] == [0, 20]
        assert not again.should_stop
        assert [s.step for s in store.training()] == [0, 20]
        assert store.count(weight_version=40).verdicts == 0
        engine.skill, engine.weight_version = 3, 40
        served = len(engine.served)
        points = await again.evaluate(engine, step=40, version=40)
        assert points[0].accuracy == 3 / points[0].problems
        assert len(engine.served) - served == 4 * points[0].problems

    config = settings(tmp_path, patience=1)
    training(tmp_path, config, first)
    training(tmp_path, config, resumed)
    steps = [(r["step"], r["weight_version"]) for r in Run.open(tmp_path / "run").headline]
    assert steps == [(0, 0)] * 2 + [(20, 20)] * 2 + [(40, 40)] * 2


def test_a_budget_stops_every_strategy_at_every_step(tmp_path: Path) -> None:
    """A prompt of 2 tokens and answers of 3: two of the four fit into 8."""
    engine = Live()

    async def steps(in_loop: InLoop, store: RunStore) -> None:
        for step in (0, 20):
            engine.weight_version = step
            await in_loop.evaluate(engine, step=step, version=step)

    training(tmp_path, settings(tmp_path, strategies=["maj@4"], budget=8), steps)
    headline = Run.open(tmp_path / "run").headline
    assert [(r["step"], r["k"], r["decode_tokens"]) for r in headline] == [(0, 4, 6), (20, 4, 6)]


def test_an_engine_with_other_weights_is_refused(tmp_path: Path) -> None:
    async def steps(in_loop: InLoop, store: RunStore) -> None:
        with pytest.raises(ValueError, match="holds weights 3, not 4"):
            await in_loop.evaluate(Live(version=3), step=0, version=4)

    training(tmp_path, settings(tmp_path), steps)


def test_what_could_not_be_judged_is_in_the_point(tmp_path: Path) -> None:
    class Refusing(Live):
        async def sample(
            self, prompt: Prompt, params: SamplingParams, key: RequestKey
        ) -> Completion:
            if key.problem_id != "q1":
                raise EngineError("too long")
            return await super().sample(prompt, params, key)

    async def steps(in_loop: InLoop, store: RunStore) -> None:
        (point,) = await in_loop.evaluate(Refusing(skill=1), step=0, version=0)
        assert point.accuracy == 1.0
        assert (point.problems, point.ungraded) == (1, 0.75)
        assert in_loop.best is None

    training(tmp_path, settings(tmp_path, strategies=["cot@2"]), steps)


def test_a_stopped_evaluation_has_no_point(tmp_path: Path) -> None:
    async def steps(in_loop: InLoop, store: RunStore) -> None:
        stop = asyncio.Event()
        stop.set()
        assert await in_loop.evaluate(Live(), step=0, version=0, stop=stop) == []
        assert in_loop.best is None
        assert not store.evaluations()[0].complete

    training(tmp_path, settings(tmp_path), steps)


def test_searches_and_rewards_run_in_the_loop(tmp_path: Path) -> None:
    """On the built-in policy, with weights that change under the engine."""
    import torch

    from reasonbench.engines import EngineConfig, open_engine

    torch.set_num_threads(1)

    async def steps(in_loop: InLoop, store: RunStore) -> None:
        engine: Any = await open_engine(EngineConfig(model="builtin", engine="transformers"))
        first = await in_loop.evaluate(engine, step=0, version=0)
        halved = {name: 0.5 * value for name, value in engine._model.state_dict().items()}
        await engine.load_weights(halved, 5)
        second = await in_loop.evaluate(engine, step=20, version=5)
        await engine.aclose()
        assert [p.strategy for p in first] == ["cot@4", "wbon@4", "beam@4:m=2"]
        assert {p.version for p in second} == {5}
        assert first[0].accuracy > second[0].accuracy
        assert all(p.length > 0 for p in first)

    config = LoopEval(
        strategies=["cot@4", "wbon@4", "beam@4:m=2"],
        limit=6,
        reward="builtin-prm",
        keep_best_by="builtin-arithmetic/wbon@4",
    )
    training(tmp_path, config, steps, reward=RuleReward())
    with sqlite3.connect(tmp_path / "run" / "run.db") as database:
        for table in ("completions", "verdicts", "step_scores", "nodes", "traces"):
            found = database.execute(f"SELECT DISTINCT weight_version FROM {table} ORDER BY 1")
            assert found.fetchall() == [(0,), (5,)], table


def test_a_rewarded_strategy_without_a_reward_is_refused(tmp_path: Path) -> None:
    async def steps(in_loop: InLoop, store: RunStore) -> None:
        raise AssertionError

    with pytest.raises(UsageError, match="needs a reward"):
        training(tmp_path, settings(tmp_path, strategies=["beam@4"]), steps)


def test_the_best_is_kept_by_something_that_is_evaluated(tmp_path: Path) -> None:
    async def steps(in_loop: InLoop, store: RunStore) -> None:
        raise AssertionError

    with pytest.raises(UsageError, match=r"keep the best checkpoint by.*sums/maj@4"):
        training(tmp_path, settings(tmp_path, keep_best_by="sums/maj@5"), steps)


def test_evaluations_are_due_every_so_many_steps(tmp_path: Path) -> None:
    async def steps(in_loop: InLoop, store: RunStore) -> None:
        assert [step for step in range(50) if in_loop.is_due(step)] == [0, 20, 40]

    training(tmp_path, settings(tmp_path, every=20), steps)


def point(step: int, accuracy: float, strategy: str = "cot@8", ungraded: float = 0.0) -> EvalPoint:
    return EvalPoint(
        "sums", strategy, step, step, accuracy, (0.0, 1.0), 10.0, 8, 5, ungraded=ungraded
    )


def test_the_best_point_is_the_first_of_equals() -> None:
    points = [point(0, 0.1), point(20, 0.5), point(40, 0.5), point(60, math.nan)]
    assert best_of(points, "sums/cot@8") == points[1]
    assert best_of(points, "sums/maj@8") is None


def test_patience_counts_evaluations_after_the_best() -> None:
    points = [point(0, 0.1), point(20, 0.5), point(20, 0.9, "maj@8"), point(40, 0.4)]
    assert not is_exhausted(points, "sums/cot@8", 2)
    assert is_exhausted([*points, point(60, 0.5)], "sums/cot@8", 2)
    assert not is_exhausted([*points, point(60, 0.6)], "sums/cot@8", 2)
    assert not is_exhausted(points * 9, "sums/cot@8", None)


def test_a_point_of_which_much_is_ungraded_is_neither_best_nor_without_gain() -> None:
    points = [point(0, 0.1), point(20, 0.5), point(40, 0.9, ungraded=0.2)]
    assert best_of(points, "sums/cot@8") == points[1]
    assert not is_exhausted(points, "sums/cot@8", 1)
    little = point(60, 0.6, ungraded=0.01)
    assert best_of([*points, little], "sums/cot@8") == little
