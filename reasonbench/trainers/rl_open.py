"""What a run of reinforcement learning consists of, checked and opened in the order of its cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from reasonbench.engines import EngineConfig, open_engine
from reasonbench.engines.base import LiveEngine
from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.trainers import ranks
from reasonbench.trainers.contaminated import find
from reasonbench.trainers.contamination import Contamination
from reasonbench.trainers.grpo_config import Algorithm, GrpoConfig, RewardModelConfig, algorithm
from reasonbench.trainers.push import for_training, live
from reasonbench.trainers.rl_cores import bind, descendants, split_cores
from reasonbench.trainers.rl_problems import Source, open_sources, stream
from reasonbench.trainers.rl_rewards import MODEL, Judge, ModelReward
from reasonbench.trainers.rl_team import load_policy
from reasonbench.trainers.rollouts import check_limits
from reasonbench.trainers.rules import make_rules, parse_rule
from reasonbench.trainers.rules.base import RULES
from reasonbench.trainers.rules.format import lost_tags
from reasonbench.types import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

OVERLONG = "overlong"
"""The name of the rule that takes reward off for length."""

_FIRST = 64
"""Problems of an endless source whose rewards are checked before the start."""

_COMPARED = 20_000
"""Problems of endless sources that are compared with benchmarks at most, of those that come."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What needs no engine.

    Attributes:
        algorithm: preset and changes.
        sources: of the problems.
        judge: the rules, still without a reward model.
        model, tokenizer: the policy.
        pad_id: of its padding.
        multiple: what padded lengths are rounded up to.
        contamination: what the problems share with benchmarks; None where none were compared.
        notices: what else the user should know before it starts.
    """

    algorithm: Algorithm
    sources: list[Source]
    judge: Judge
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    pad_id: int
    multiple: int
    contamination: Contamination | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open while a run lasts.

    Attributes:
        prepared: what it was opened for; its judge has the reward model now.
        engine: writes the roll-outs.
        bind: called on the trainer's thread.
    """

    prepared: Prepared
    engine: LiveEngine
    bind: Callable[[], None]


def prepare(config: GrpoConfig, graders: Graders) -> Prepared:
    """Problems, rules, algorithm, model, in this order: what fails early costs nothing.

    Raises:
        UsageError: the settings do not fit together, or something is not there.
    """
    sources = open_sources(config.benchmark, config.data, config.levels)
    problems = [p for source in sources for p in source.problems or ()]
    if any(source.problems is None for source in sources):
        some = stream(sources, config.seed, config.levels)
        problems += [next(some) for _ in range(_FIRST)]
    max_tokens = check_limits(config, problems)
    chosen = algorithm(config, max_tokens)
    specs = list(config.rules)
    notices: tuple[str, ...] = ()
    if chosen.overlong == "soft":
        if not any(parse_rule(spec)[0].name == OVERLONG for spec in specs):
            specs.append(f"{OVERLONG}:1,max={max_tokens},cache={chosen.cache}")
        notices = _unpenalised(problems)
    judge = Judge(make_rules(specs, graders), graders)
    judge.check(problems, {MODEL: config.reward.weight} if config.reward else {})
    contamination = find(config.evaluation, config.check_benchmarks, _asked(config, sources))
    model, tokenizer, multiple = load_policy(config)
    formed = any(w.rule.name == "format" and w.weight for w in judge.rules)
    if formed and (lost := lost_tags(tokenizer)):
        raise UsageError(
            f"the tokenizer leaves {', '.join(lost)} out of the text, so no roll-out can earn the "
            "format reward: use rules without it, or another tokenizer"
        )
    pad_id = int(tokenizer.pad_token_id or 0)
    return Prepared(
        chosen, sources, judge, model, tokenizer, pad_id, multiple, contamination, notices
    )


def _unpenalised(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Says how many problems name their rewards without the penalty of length."""
    named = [problem.hidden.get(RULES) for problem in problems]
    without = sum(rules is not None and OVERLONG not in rules for rules in named)
    if not without:
        return ()
    return (
        f"{without:,} of {len(problems):,} problems name their `rules` without {OVERLONG}: they "
        "have no penalty of length",
    )


def _asked(config: GrpoConfig, sources: list[Source]) -> Iterator[str]:
    """The questions to train on: all of finite sources, of endless ones those that come first."""
    for source in sources:
        for problem in source.problems or ():
            yield problem.question.text
    endless = [source for source in sources if source.problems is None]
    if endless:
        count = min(_COMPARED, config.steps * config.problems)
        for problem in islice(stream(endless, config.seed, config.levels), count):
            yield problem.question.text


async def open_all(
    stack: AsyncExitStack,
    config: GrpoConfig,
    prepared: Prepared,
    engine: LiveEngine | None = None,
) -> Opened:
    """Engine and reward model; what is opened is closed by the stack.

    Raises:
        UsageError: a reward or the engine cannot be opened.
    """
    bound: Callable[[], None] = _nothing
    if engine is None:
        before = descendants()
        given = EngineConfig(
            model=config.model,
            engine=config.engine,
            dtype=config.dtype,
            engine_args=config.engine_args,
            replicas=config.replicas,
            ray=config.ray,
        )
        shared = not config.asynchronous
        engine = live(await open_engine(for_training(given, shares_gpu=shared)))
        stack.push_async_callback(engine.aclose)
        alone = ranks.world_size() == 1
        # replicas keep to cores of their own
        here = alone and config.replicas is None
        if config.asynchronous and here and prepared.model.device.type == "cpu":
            bound = _apart(descendants() - before, config)
    if config.reward is not None:
        prepared.judge.model = await _reward(stack, config.reward, engine)
    return Opened(prepared, engine, bound)


async def _reward(
    stack: AsyncExitStack, config: RewardModelConfig, engine: LiveEngine
) -> ModelReward:
    from reasonbench.rewards import RewardConfig, open_reward

    values: dict[str, Any] = {
        "model": config.model,
        "kind": config.kind,
        "engine": config.engine,
        **config.arguments,
    }
    try:
        chosen = RewardConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"training setting reward.arguments.{where}: {first['msg']}") from error
    reward = await open_reward(chosen, engine)
    stack.push_async_callback(reward.aclose)
    return ModelReward(reward, config.weight, config.aggregate)


def _apart(processes: set[int], config: GrpoConfig) -> Callable[[], None]:
    """Give engine and trainer cores of their own: the engine's at once, the trainer's when called.

    Both would otherwise take turns on the same cores while each has its own work.
    """
    cores = split_cores(config.threads or 1)
    if cores is None:
        return _nothing
    for_engine, for_trainer = cores
    for process in processes:
        bind(process, for_engine)

    def here() -> None:
        os.sched_setaffinity(0, for_trainer)
        torch.set_num_threads(len(for_trainer))

    return here


def _nothing() -> None:
    pass
