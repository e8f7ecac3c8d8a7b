"""Problems × strategies → a run: plan it, open the engine, generate, write the table."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from reasonbench import engines, needs, plan, shards
from reasonbench.config import VOLATILE, EvalConfig, as_toml
from reasonbench.engines.base import Engine
from reasonbench.errors import UsageError
from reasonbench.generate import Limits, Observer, Outcome, generate
from reasonbench.grading.graders import Graders
from reasonbench.in_order import certain
from reasonbench.open_run import open_run
from reasonbench.plan import Task
from reasonbench.pricing import listed_prices, token_prices
from reasonbench.rewarding import (
    POLICY,
    beside_reward,
    check_reward,
    described,
    open_configured,
    reward_name,
    share,
)
from reasonbench.rewards.base import Reward
from reasonbench.rewards.written import WrittenReward
from reasonbench.runs import RunStore
from reasonbench.scoring import AT_ONCE, drawings, is_scored
from reasonbench.searching import Judging
from reasonbench.spending import Billed, Spending
from reasonbench.strategies import spell
from reasonbench.strategies.base import REWARD as REWARD_SCORER
from reasonbench.summary import MODEL, NO_MODEL, PLAN, REWARD, SERVER, regrade, summarise
from reasonbench.types import ModelInfo
from reasonbench.work import is_finished


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A run after `evaluate`.

    Attributes:
        folder: of the run.
        results: what results.json holds.
        outcome: how generation ended.
        startup_seconds: until the engine was ready; None where nothing was left to generate, so
            that none was started.
        notice: what the user should know of the engine's choice, or None.
    """

    folder: Path
    results: Mapping[str, Any]
    outcome: Outcome
    startup_seconds: float | None
    notice: str | None


async def evaluate(
    config: EvalConfig,
    folder: Path,
    observer: Observer,
    *,
    stop: asyncio.Event | None = None,
    engine: Engine | None = None,
    reward: Reward | None = None,
    spending: Spending | None = None,
) -> Evaluated:
    """Evaluate the one model of `config` into `folder`, going on where an earlier run stopped.

    Args:
        config: with exactly one model.
        folder: of the run; created, or resumed when its configuration is the same.
        observer: is told of every completion.
        stop: set it to stop early; what is finished stays.
        engine: serve requests with this one instead of opening the configured one (it stays open).
        reward: judge with this one instead of opening the configured one (it stays open).
        spending: what `max_usd` is counted on, for a command of several models.

    Raises:
        UsageError: anything the user can mend, before anything is overwritten.
        EngineDeadError: the engine died; the run can be resumed.
    """
    (model,) = config.model
    tasks = plan.make(config, model)
    with open_run(folder, as_toml(config), VOLATILE) as store:
        return await _evaluate(
            config,
            tasks,
            store,
            observer,
            stop or asyncio.Event(),
            engine,
            reward,
            spending or spending_of(config),
        )


async def _evaluate(
    config: EvalConfig,
    tasks: Sequence[Task],
    store: RunStore,
    observer: Observer,
    stop: asyncio.Event,
    engine: Engine | None,
    reward: Reward | None,
    spending: Spending | None,
) -> Evaluated:
    (model,) = config.model
    for task in tasks:
        store.add_problems(task.problems)
        for pool in task.pools:
            store.add_pool(pool.id, pool.recorded)
    store.set_meta(PLAN, json.dumps(describe(config, tasks), ensure_ascii=False))
    if parts := {task.benchmark.name: task.part for task in tasks if task.part is not None}:
        store.set_meta(shards.POSITIONS, shards.positions_json(parts))
    started = time.perf_counter()
    graders = Graders(workers=config.grading_workers)
    opened: list[Engine | Reward] = []
    ready = None
    outcome = Outcome(complete=True)
    finished = is_finished(tasks, store) and store.meta(MODEL) is not None
    judged = config.reward is None or _is_judged(config, tasks, store)
    try:
        if reward is None and not judged:
            await asyncio.to_thread(check_reward, config)
        asking = config.reward == POLICY and reward is None and not judged
        if engine is None and (asking or not finished):
            observer.starting(model)
            engine = await engines.open_engine(
                beside_reward(
                    config, engine_config(config, model), opening=reward is None and not judged
                )
            )
            opened.append(engine)
        if engine is not None:
            needs.check(engine, tasks)  # before a reward takes its time to load
        if reward is None and not judged:
            if engine is None:
                observer.starting(reward_name(config))
            reward = await open_configured(config, engine_config(config, model), engine)
            opened.append(reward)
        if engine is not None:
            store.set_meta(MODEL, json.dumps(asdict(replace(engine.info, model=model))))
            if recorded := getattr(engine, "recorded", None):
                store.set_meta(SERVER, json.dumps(recorded))
        if reward is not None and config.reward is not None:
            store.set_meta(f"{REWARD}:{reward_name(config)}", json.dumps(described(reward)))
        if engine is not None or reward is not None:
            ready = time.perf_counter() - started
            outcome = await generate(
                tasks,
                _billed(config, engine, reward, spending),
                store,
                graders,
                seed=config.seed,
                max_in_flight=config.max_in_flight or (engine.in_flight if engine else AT_ONCE),
                observer=observer,
                stop=stop,
                limits=_limits(config, spending),
                judging=_judging(config, reward, store),
                budget=config.budget,
            )
            if spending is not None and config.gpu_price is not None:
                spending.add(outcome.seconds * _per_second(config))
        await regrade(store, graders, only_missing=True)
        results = await summarise(store, graders)
    finally:
        for one in reversed(opened):
            await one.aclose()
        await graders.aclose()
    return Evaluated(store.folder, results, outcome, ready, engine.notice if engine else None)


def _is_judged(config: EvalConfig, tasks: Sequence[Task], store: RunStore) -> bool:
    """Whether nothing is left to score, now or when what is missing has been sampled."""
    needed = any(s.scorer == REWARD_SCORER for task in tasks for s, _ in task.strategies) or any(
        pool.search is not None and pool.search.needs_reward
        for task in tasks
        for pool in task.pools
    )
    if not needed:
        return True
    return is_finished(tasks, store) and is_scored(drawings(tasks), reward_name(config), store)


def _judging(config: EvalConfig, reward: Reward | None, store: RunStore) -> Judging | None:
    if reward is None or config.reward is None:
        return None
    policy = ModelInfo(**json.loads(store.meta(MODEL) or "null") or NO_MODEL)
    return Judging(reward, reward_name(config), share(reward.info.model, policy))


def check_models(config: EvalConfig) -> None:
    """Find every model before the first one is evaluated.

    Raises:
        UsageError: one is not there.
    """
    from reasonbench.engines.locate import locate

    for model in config.model:
        if config.engine == "auto" and model.startswith(engines.SERVED):
            continue
        if config.engine in ("auto", "vllm", "transformers", "ray"):
            locate(model, config.revision)
        elif config.engine == "replay" and not Path(model).expanduser().is_file():
            raise UsageError(f"there is no file {model} of recorded completions.")


def engine_config(config: EvalConfig, model: str) -> engines.EngineConfig:
    """What the evaluation's configuration says of its engine."""
    served = config.engine == "auto" and model.startswith(engines.SERVED)
    return engines.EngineConfig(
        model=model,
        engine="openai" if served else config.engine,
        revision=config.revision,
        dtype=config.dtype,
        quantization=config.quantization,
        lora=config.lora,
        max_model_len=config.max_model_len,
        engine_args=config.engine_arg,
        tokenizer=config.tokenizer,
        base_url=tuple(config.base_url or ()),
        api_key_env=config.api_key_env or engines.API_KEY,
        trust_remote_code=config.trust_remote_code,
        replicas=config.replicas,
        ray=config.ray,
    )


def spending_of(config: EvalConfig) -> Spending | None:
    """What the configuration lets be spent, or None where it does not say."""
    return None if config.max_usd is None else Spending(config.max_usd)


def _billed(
    config: EvalConfig, engine: Engine | None, reward: Reward | None, spending: Spending | None
) -> Engine | None:
    """The engine, and the reward's own, where `spending` is told what their tokens cost."""
    if spending is None:
        return engine
    settings = config.model_dump()
    prices = token_prices(settings)
    billed = engine if engine is None or prices is None else Billed(engine, prices, spending)
    if isinstance(reward, WrittenReward):
        if reward.engine is engine and billed is not None:
            reward.engine = billed
        elif judging := listed_prices(settings, str(config.reward)):
            reward.engine = Billed(reward.engine, judging, spending)
    return billed


def _per_second(config: EvalConfig) -> float:
    """US dollars that the GPUs of a run cost in a second."""
    return (config.gpu_price or 0.0) * config.gpus / 3600


def _limits(config: EvalConfig, spending: Spending | None) -> Limits:
    """Time, money for tokens, and the time that money for GPUs lasts, if that is shorter."""
    found = Limits(spending=spending)
    if config.max_minutes is not None:
        found.seconds, found.why = 60 * config.max_minutes, f"--max-minutes {config.max_minutes:g}"
    if spending is not None and config.gpu_price:
        seconds = spending.left / _per_second(config)
        if found.seconds is None or seconds < found.seconds:
            found.seconds, found.why = seconds, spending.why
    return found


def describe(config: EvalConfig, tasks: Sequence[Task]) -> dict[str, Any]:
    """The protocol as it was run: sources, settings of each pool, deviations."""
    return {
        "benchmarks": {
            task.benchmark.name: {
                "protocol": task.protocol,
                "source": task.loaded.source,
                "revision": task.loaded.revision,
                "problems": len(task.problems),
                "problem_ids": shards.ids_digest(p.id for p in task.problems),
                **({} if task.part is None else {"part": task.part.recorded()}),
                "pools": {pool.id: {**pool.recorded, "n": pool.n} for pool in task.pools},
                "tests": {programs: pool.id for programs, pool in task.tests.items()},
                "completions": {
                    pool.id: certain(task, pool) * len(task.problems)
                    for pool in task.pools
                    if pool.search is None
                },
                "searches": {
                    pool.id: len(task.problems) for pool in task.pools if pool.search is not None
                },
                "searched_by": {
                    pool.id: reward_name(config)
                    for pool in task.pools
                    if pool.search is not None and config.reward is not None
                },
                "strategies": {spell(s): pool.id for s, pool in task.strategies},
            }
            for task in tasks
        },
        "reward": reward_name(config) or None,
        "budget": config.budget,
        "deviations": list(dict.fromkeys(d for task in tasks for d in task.deviations)),
        "notes": list(dict.fromkeys(n for task in tasks for n in task.notes)),
    }
