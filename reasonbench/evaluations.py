"""Evaluations of one version of the weights after another, in one run.

Completions, verdicts and rows of the table are kept by weight version. Seeds depend on the problem
and the sample alone, so two versions are asked the same questions with the same randomness: their
points are paired.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from reasonbench import plan
from reasonbench.config import EvalConfig
from reasonbench.engines.base import Engine
from reasonbench.errors import UsageError
from reasonbench.evaluate import describe
from reasonbench.generate import Observer, Outcome, generate
from reasonbench.grading.graders import Graders
from reasonbench.plan import Task
from reasonbench.rewarding import check_reward, described, reward_config, reward_name, share
from reasonbench.rewards.base import Reward
from reasonbench.runs import RunStore
from reasonbench.runs.run import read_results
from reasonbench.runs.tables import is_headline, strategy_label
from reasonbench.runs.training import Evaluation
from reasonbench.searching import Judging
from reasonbench.strategies import spell
from reasonbench.summary import MODEL, PLAN, REWARD, regrade, summarise
from reasonbench.types import Completion, Problem, Verdict


@dataclass(frozen=True, slots=True)
class EvalPoint:
    """What one evaluation says of one strategy on one benchmark.

    Attributes:
        benchmark: its name.
        strategy: as it was asked for ("wbon@8").
        step: of the trainer.
        version: of the weights.
        accuracy: in [0, 1]; NaN where nothing could be graded.
        interval: 95 %, over problems.
        length: mean tokens of a completion (of a search: of a solution).
        n: samples of each problem.
        problems: how many the accuracy is over: those with a sample that could be graded.
        truncated: share of the samples that the token limit cut.
        ungraded: share of the samples that nobody could judge: the grader or the request failed.
            They count in no accuracy.
    """

    benchmark: str
    strategy: str
    step: int
    version: int
    accuracy: float
    interval: tuple[float, float]
    length: float
    n: int
    problems: int
    truncated: float = 0.0
    ungraded: float = 0.0


class Evaluations:
    """Evaluates one version of the weights after another into one run.

    Attributes:
        points: of every finished evaluation, in the order of their steps; of earlier sessions too.
        results: what results.json holds since the last evaluation of this session; empty before.
        outcome: how the generation of the last evaluation ended.
        observer: is told of every completion.
        reward: judges; opened when it is first needed, unless it is set before.
    """

    def __init__(
        self,
        store: RunStore,
        config: EvalConfig,
        graders: Graders,
        *,
        groups: bool = True,
        observer: Observer | None = None,
        reward: Reward | None = None,
    ) -> None:
        """Plan the evaluations; nothing is loaded but benchmarks.

        Args:
            config: with one model, which names the pools: the same for every version.
            groups: results.json has rows by level and subject too.
            observer, reward: see the attributes; a reward that is given stays open.

        Raises:
            UsageError: an unknown name, or settings that contradict each other.
        """
        (self._model,) = config.model
        self._store, self._config, self._graders = store, config, graders
        self.observer = observer or _Silent()
        self.reward, self._opened = reward, False
        self.results: dict[str, Any] = {}
        self.outcome = Outcome()
        self._tasks = plan.make(config, self._model)
        for task in self._tasks:
            store.add_problems(task.problems)
            for pool in task.pools:
                store.add_pool(pool.id, pool.recorded)
        described_plan = {**describe(config, self._tasks), "groups": groups}
        store.set_meta(PLAN, json.dumps(described_plan, ensure_ascii=False))
        self._asked = _asked_for(config, self._tasks)
        self._done = {e.weight_version: e for e in store.evaluations()}
        self.points: list[EvalPoint] = []
        if any(e.complete for e in self._done.values()):
            self._read(_rows_of(store))

    async def evaluate(
        self, engine: Engine, *, step: int, version: int, stop: asyncio.Event | None = None
    ) -> list[EvalPoint]:
        """Evaluate the weights that the engine holds now; what is stored of it is not made again.

        Args:
            engine: whose completions are stamped with `version`.
            stop: set it to stop early; what is finished stays, and the next call goes on.

        Returns:
            A point for each strategy on each benchmark; none where it was stopped.

        Raises:
            ValueError: the engine stamps its completions with another version, or the version was
                evaluated at another step.
            UsageError: the reward cannot be opened.
            EngineDeadError: the engine or the reward died.
        """
        stamped = getattr(engine, "weight_version", version)
        if stamped != version:
            raise ValueError(f"the engine holds weights {stamped}, not {version}")
        before = self._done.get(version, Evaluation(version, step))
        if before.step != step:
            raise ValueError(f"weights {version} were evaluated at step {before.step}, not {step}")
        if before.complete and self.at(step):
            return self.at(step)
        started = time.perf_counter()
        reward = await self._open_reward(engine)
        store, config = self._store, self._config
        store.set_meta(MODEL, json.dumps(asdict(replace(engine.info, model=self._model))))
        self.outcome = outcome = await generate(
            self._tasks,
            engine,
            store,
            self._graders,
            seed=config.seed,
            max_in_flight=config.max_in_flight or engine.in_flight,
            observer=self.observer,
            stop=stop or asyncio.Event(),
            judging=None
            if reward is None
            else Judging(reward, reward_name(config), share(reward.info.model, engine.info)),
            budget=config.budget,
            weight_version=version,
        )
        await regrade(store, self._graders, only_missing=True, weight_version=version)
        made = self._note(before, outcome, time.perf_counter() - started)
        if not made.complete:
            return []
        self.results = await summarise(store, self._graders, only=version)
        self._note(before, outcome, time.perf_counter() - started)
        self._read(self.results["rows"])
        store.add_training(
            step,
            {"eval_seconds": self.seconds, "eval_tokens": self.tokens},
            weight_version=version,
        )
        store.flush()
        return self.at(step)

    @property
    def benchmarks(self) -> list[str]:
        """The names of the benchmarks."""
        return [task.benchmark.name for task in self._tasks]

    def at(self, step: int) -> list[EvalPoint]:
        """The points of a step."""
        return [point for point in self.points if point.step == step]

    def evaluated(self, version: int) -> bool:
        """Whether the evaluation of a version is finished."""
        return version in self._done and self._done[version].complete

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all evaluations: not to be counted as training."""
        return math.fsum(e.seconds for e in self._done.values())

    @property
    def tokens(self) -> int:
        """Tokens decoded by all evaluations: not to be counted as training."""
        return sum(e.decode_tokens for e in self._done.values())

    async def aclose(self) -> None:
        """Close the reward, if this opened one. Safe to call twice."""
        if self._opened and self.reward is not None:
            await self.reward.aclose()
            self.reward, self._opened = None, False

    async def _open_reward(self, engine: Engine) -> Reward | None:
        if self.reward is None and self._config.reward is not None:
            from reasonbench.rewards import open_reward

            await asyncio.to_thread(check_reward, self._config)
            self.reward = await open_reward(reward_config(self._config), engine)
            self._opened = True
        if self.reward is not None and self._config.reward is not None:
            self._store.set_meta(
                f"{REWARD}:{reward_name(self._config)}", json.dumps(described(self.reward))
            )
        return self.reward

    def _note(self, before: Evaluation, outcome: Outcome, seconds: float) -> Evaluation:
        """Write down how far an evaluation came, on top of what earlier calls did of it."""
        used = outcome.usage
        made = before._replace(
            seconds=before.seconds + seconds,
            decode_tokens=before.decode_tokens + used.decode_tokens + outcome.aborted_tokens,
            reward_tokens=before.reward_tokens + used.reward_tokens,
            complete=outcome.complete,
        )
        self._done[made.weight_version] = made
        self._store.add_evaluation(made)
        return made

    def _read(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take the points of finished evaluations from the rows of the table."""
        found = [
            point
            for row in rows
            if is_headline(row) and self.evaluated(row["weight_version"])
            if (point := _point(row, self._asked)) is not None
        ]
        self.points = sorted(found, key=lambda point: point.step)


class _Silent:
    """Nobody is told how an evaluation goes."""

    def starting(self, model: str) -> None:
        pass

    def begin(self, total: int, done: int) -> None:
        pass

    def advance(self, problem: Problem, completion: Completion | None, verdict: Verdict) -> None:
        pass

    def spare(self, count: int) -> None:
        pass


def _asked_for(config: EvalConfig, tasks: Sequence[Task]) -> dict[tuple[str, str], str]:
    """By benchmark and the canonical spelling of a strategy: how it was asked for."""
    return {
        (task.benchmark.name, spell(strategy)): asked
        for task in tasks
        for asked, (strategy, _) in zip(config.strategy, task.strategies, strict=True)
    }


def _point(row: Mapping[str, Any], asked: Mapping[tuple[str, str], str]) -> EvalPoint | None:
    """A headline row as a point; None where its strategy is no longer asked for."""
    strategy = asked.get((row["benchmark"], strategy_label(row)))
    if strategy is None:
        return None
    low, high = row["interval"]
    return EvalPoint(
        benchmark=row["benchmark"],
        strategy=strategy,
        step=row["step"],
        version=row["weight_version"],
        accuracy=_number(row["accuracy"]),
        interval=(_number(low), _number(high)),
        length=_number(row["tokens_mean"]),
        n=row["n"],
        problems=row["problems"],
        truncated=row["truncated"] or 0.0,
        ungraded=row["ungraded"] or 0.0,
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _rows_of(store: RunStore) -> list[dict[str, Any]]:
    """The rows of the table of a run that is resumed; none where it was lost."""
    try:
        rows: list[dict[str, Any]] = read_results(store.folder)["rows"]
    except UsageError:
        return []
    return rows
