"""Roll-outs: the policy's live engine writes groups of solutions, which are judged as they arrive.

What is sampled depends on the run's seed, the problem's position in the stream and the index in
the group, never on time or scheduling; so a resumed run sees what an uninterrupted one sees.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from reasonbench import benchmarks, protocols
from reasonbench.engines.base import Engine, EngineDeadError, EngineError
from reasonbench.errors import UsageError
from reasonbench.metrics import flops
from reasonbench.prompts import configure, stop_strings
from reasonbench.protocols import Protocol
from reasonbench.seeds import request_seed
from reasonbench.trainers.grpo_config import GrpoConfig
from reasonbench.trainers.problem_json import as_plain, read_problem
from reasonbench.trainers.rl_problems import Cursor
from reasonbench.trainers.rl_rewards import Judge
from reasonbench.types import (
    Completion,
    ModelInfo,
    Problem,
    Prompt,
    RequestKey,
    SamplingParams,
    Usage,
)

FLAT = 1e-6
"""Rewards of a group that differ by no more than this are equal."""

DEFAULT_TOKENS = 2048
"""Most tokens of a roll-out on problems of no benchmark."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One solution and what it is worth.

    Attributes:
        problem: with its gold answer.
        group: position of the problem in the stream: no other group of the run has it.
        sample: index within the group.
        prompt, completion: what was asked and written.
        rewards: every component, unweighted.
        reward: their weighted sum; NaN where it could not be judged.
        correct: whether the answer is right; None where it was not graded.
    """

    problem: Problem
    group: int
    sample: int
    prompt: Prompt
    completion: Completion
    rewards: Mapping[str, float]
    reward: float
    correct: bool | None


Group = tuple[Rollout, ...]


@dataclass(frozen=True, slots=True)
class _Failed:
    """A group that is left out: why, and what its other requests have given."""

    error: EngineError
    rollouts: Group


@dataclass(frozen=True, slots=True)
class Rollouts:
    """A batch of groups.

    Attributes:
        groups: what is trained on, each of the same size.
        version: of the weights that wrote them.
        sampled: groups written, those left out included.
        flat: of these, groups whose rewards are all equal.
        failed: groups left out because a request failed.
        usage: of all requests.
        seconds: wall-clock seconds.
        graded: roll-outs of the groups written that were graded, those of groups left out included.
        right: how many of these are right.
        flops: of writing everything, groups left out included; 0 where the model is unknown.
    """

    groups: tuple[Group, ...]
    version: int
    sampled: int
    flat: int
    failed: int
    usage: Usage
    seconds: float
    graded: int = 0
    right: int = 0
    flops: float = 0.0

    @property
    def flatly(self) -> list[Rollout]:
        """Every roll-out, group by group."""
        return [rollout for group in self.groups for rollout in group]


class Asker:
    """Problems to prompts and sampling parameters, as `reasonbench eval` asks them."""

    def __init__(self, config: GrpoConfig, engine: Engine) -> None:
        """Args: config; engine: whose template is used."""
        self.config, self.engine = config, engine
        self.chat = engine.info.chat_template if config.chat is None else config.chat

    def prompt(self, problem: Problem) -> Prompt:
        """The rendered prompt."""
        config, protocol = self.config, _protocol(problem)
        asked = configure(config.prompt or protocol.prompt, system=config.system)
        instruction = protocol.instruction_for(problem.question)
        messages = asked.messages(problem.question, instruction=instruction, chat=self.chat)
        thinking = protocol.thinking if config.thinking is None else config.thinking
        return self.engine.render(messages, thinking=thinking, chat=self.chat)

    def params(self, problem: Problem, group: int, sample: int) -> SamplingParams:
        """How one roll-out is sampled; log-probabilities are those it is sampled with."""
        config, question = self.config, problem.question
        style = config.prompt or _protocol(problem).prompt
        plain = config.temperature == 1 and config.top_p == 1
        return SamplingParams(
            temperature=config.temperature,
            top_p=config.top_p,
            max_tokens=config.max_tokens or tokens_of(problem),
            stop=stop_strings(style, chat=self.chat, question=question),
            seed=request_seed(config.seed, question.benchmark, question.id, (group, sample)),
            logprobs="raw" if plain else "processed",
            whole_tokens=True,
        )


def _protocol(problem: Problem) -> Protocol:
    if problem.benchmark in benchmarks.names():
        return protocols.get(benchmarks.get(problem.benchmark).protocol)
    return protocols.get("default")


def tokens_of(problem: Problem) -> int:
    """The benchmark's limit on a completion."""
    if problem.benchmark in benchmarks.names():
        return benchmarks.get(problem.benchmark).max_tokens
    return DEFAULT_TOKENS


class Sampler:
    """Makes batches of roll-outs from the stream of problems."""

    def __init__(
        self,
        config: GrpoConfig,
        engine: Engine,
        problems: Cursor,
        judge: Judge,
        filter_groups: bool,
    ) -> None:
        """Args: config; engine; problems; judge; filter_groups: refill groups without variance."""
        self.config, self.engine, self.problems, self.judge = config, engine, problems, judge
        self.filter_groups = filter_groups
        self.asker = Asker(config, engine)
        self.places = asyncio.Semaphore(engine.in_flight)

    async def batch(self, version: int) -> Rollouts:
        """One batch, by the weights that the engine has now.

        With dynamic sampling, groups whose rewards are all equal are left out and the next
        problems are taken in their place (DAPO, arXiv 2503.14476, section 3.2), in rounds; the
        problems' order decides what is kept, not the order of arrival. Groups of which a request
        failed are replaced in the same way.

        Args:
            version: of the weights.

        Raises:
            EngineError: no group of the batch came through.
        """
        config, started = self.config, time.perf_counter()
        kept: list[Group] = []
        sampled = flat = failed = 0
        usage, compute, verdicts = Usage(), 0.0, list[bool]()
        refused: EngineError | None = None
        for _ in range(config.refills + 1):
            for group in await self._round(self.problems.take(config.problems - len(kept))):
                written = group.rollouts if isinstance(group, _Failed) else group
                usage = sum((r.completion.usage for r in written), usage)
                compute += writing_flops(written, self.engine.info)
                if isinstance(group, _Failed):
                    refused = refused or group.error
                    failed += 1
                    continue
                sampled += 1
                verdicts += [r.correct for r in group if r.correct is not None]
                even = is_flat(group)
                flat += even
                if not (even and self.filter_groups):
                    kept.append(group)
            if len(kept) == config.problems:
                break
        if refused is not None and not sampled:
            raise refused
        seconds = time.perf_counter() - started
        return Rollouts(
            tuple(kept),
            version,
            sampled,
            flat,
            failed,
            usage,
            seconds,
            graded=len(verdicts),
            right=sum(verdicts),
            flops=compute,
        )

    async def _round(self, taken: Sequence[tuple[int, Problem]]) -> list[Group | _Failed]:
        """The groups of some problems, in their order; an error ends the requests of all."""
        tasks = [asyncio.create_task(self._group(*each)) for each in taken]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _group(self, position: int, problem: Problem) -> Group | _Failed:
        """All roll-outs of a problem, or why there are not all of them."""
        prompt = self.asker.prompt(problem)
        found = await asyncio.gather(
            *(self._one(position, problem, prompt, i) for i in range(self.config.group)),
            return_exceptions=True,
        )
        self.judge.forget(problem)
        refused: EngineError | None = None
        rollouts: list[Rollout] = []
        for one in found:
            if isinstance(one, EngineDeadError) or (
                isinstance(one, BaseException) and not isinstance(one, EngineError)
            ):
                raise one
            if isinstance(one, EngineError):
                refused = refused or one
            else:
                rollouts.append(one)
        if refused is not None:
            return _Failed(refused, tuple(rollouts))
        return tuple(rollouts)

    async def _one(self, group: int, problem: Problem, prompt: Prompt, sample: int) -> Rollout:
        params = self.asker.params(problem, group, sample)
        key = RequestKey(problem.benchmark, problem.id, (group, sample))
        async with self.places:
            completion = await self.engine.sample(prompt, params, key)
        judged = await self.judge(problem, prompt, completion)
        return Rollout(
            problem,
            group,
            sample,
            prompt,
            completion,
            judged.rewards,
            judged.reward,
            judged.correct,
        )


def is_flat(group: Group) -> bool:
    """Whether nothing can be learned from comparing the roll-outs of a group."""
    rewards = [r.reward for r in group if math.isfinite(r.reward)]
    return not rewards or max(rewards) - min(rewards) <= FLAT


def writing_flops(group: Group, model: ModelInfo) -> float:
    """Of writing a group: forward passes, the prompt once; 0 where the model is unknown."""
    if not (group and model.active_parameters and model.layers and model.hidden_size):
        return 0.0
    return flops(
        model.active_parameters,
        len(group[0].prompt.token_ids),
        sum(len(r.completion.token_ids) for r in group),
        layers=model.layers,
        hidden=model.hidden_size,
        completions=len(group),
    )


def check_limits(config: GrpoConfig, problems: Sequence[Problem]) -> int:
    """The most tokens of a roll-out.

    Raises:
        UsageError: the problems' benchmarks have different limits and none is given.
    """
    if config.max_tokens is not None:
        return config.max_tokens
    limits = {tokens_of(problem) for problem in problems}
    if len(limits) > 1:
        raise UsageError(
            f"the problems have different token limits ({', '.join(map(str, sorted(limits)))}): "
            "set max_tokens"
        )
    return limits.pop()


def to_plain(rollouts: Rollouts) -> dict[str, Any]:
    """A batch as nested plain values, for checkpoints."""

    def plain(rollout: Rollout) -> dict[str, Any]:
        values = {f.name: getattr(rollout, f.name) for f in fields(Rollout)}
        values["problem"] = as_plain(rollout.problem)
        values["prompt"] = _shallow(rollout.prompt)
        completion = _shallow(rollout.completion)
        completion["usage"] = _shallow(rollout.completion.usage)
        values["completion"] = completion
        values["rewards"] = dict(rollout.rewards)
        return values

    values = _shallow(rollouts)
    values["groups"] = [[plain(rollout) for rollout in group] for group in rollouts.groups]
    values["usage"] = _shallow(rollouts.usage)
    return values


def of_plain(values: Mapping[str, Any]) -> Rollouts:
    """The batch that `to_plain` took apart."""

    def rollout(given: Mapping[str, Any]) -> Rollout:
        written = dict(given["completion"])
        written["usage"] = Usage(**written["usage"])
        parts = {
            "problem": read_problem(given["problem"]),
            "prompt": Prompt(**given["prompt"]),
            "completion": Completion(**written),
        }
        return Rollout(**{**given, **parts})

    groups = tuple(tuple(map(rollout, group)) for group in values["groups"])
    return Rollouts(**{**values, "groups": groups, "usage": Usage(**values["usage"])})


def _shallow(item: Any) -> dict[str, Any]:
    return {f.name: getattr(item, f.name) for f in fields(item)}
