"""The completions of one call, drawn until its strategy has enough or its budget is used up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reasonbench.engines.base import Engine, EngineDeadError, EngineError, Watch
from reasonbench.grading.graders import Graders
from reasonbench.in_order import InOrder, Made, Numbering, draw
from reasonbench.meter import Meter
from reasonbench.places import Places
from reasonbench.rewards.base import Reward, RewardError
from reasonbench.runs.stored import Scores
from reasonbench.seeds import request_seed
from reasonbench.steps import Boundary, read, split
from reasonbench.strategies import Pooled
from reasonbench.strategies.adaptive import Adaptive, Drawn
from reasonbench.tree import Node
from reasonbench.types import Completion, Problem, Prompt, RequestKey, SamplingParams, Verdict


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion of a call, or one solution of a search.

    Attributes:
        index: from 0.
        text: of the whole; "" where the request failed.
        completion: None where the request failed.
        answer: extracted, or None.
        scores: of the reward, where it was asked.
        tokens: that it has; None where nobody counted them.
        finish: "stop", "length" or "aborted".
    """

    index: int
    text: str
    completion: Completion | None
    answer: str | None
    scores: Scores | None
    tokens: int | None
    finish: str

    @classmethod
    def of_node(cls, index: int, node: Node, answer: str | None, scores: Scores) -> Sample:
        """A solution that a search found."""
        tokens = node.token_ids()
        finish = "stop" if node.finished else "length"
        whole = Completion(tokens, node.solution(), "stop" if node.finished else "length")
        return cls(index, whole.text, whole, answer, scores, len(tokens), finish)


class Drawing:
    """Draws samples in the order of their index; see `draw`.

    Attributes:
        seen: the samples as an adaptive strategy sees them.
        failure: why the first request that failed did, or None.
    """

    def __init__(
        self,
        engine: Engine,
        graders: Graders,
        places: Places,
        reward: Reward | None,
        strategy: Pooled,
        problem: Problem,
        prompt: Prompt,
        params: SamplingParams,
        seed: int,
        rank: int,
        meter: Meter,
    ) -> None:
        self._engine = engine
        self._graders = graders
        self._places = places
        self._reward = reward
        self._strategy = strategy
        self._problem = problem
        self._prompt = prompt
        self._params = params
        self._seed = seed
        self._rank = rank
        self._meter = meter
        self._samples: dict[int, Sample] = {}
        self._unit: InOrder | None = None
        self._headed = False
        self._read = len(prompt.token_ids)
        self.failure: str | None = None
        if isinstance(strategy, Adaptive):
            self._unit = InOrder([strategy], 0, Numbering(graders, problem))

    @property
    def seen(self) -> Sequence[Drawn]:
        assert self._unit is not None, "the strategy is not adaptive"
        return self._unit.seen

    async def draw(self) -> list[Sample]:
        """All n samples, those that an adaptive strategy wants, or those that the budget pays for.

        With a budget they come in waves of as many as cannot exceed it, in the order of their
        index: those that fit are the same whatever the engine's load, and the one at which it ends
        is left out unless it is the first.

        Raises:
            EngineDeadError: the engine or the reward died.
        """
        self._meter.written += len(self._prompt.token_ids)
        if self._meter.budget is not None:
            await self._within(self._meter.budget)
        elif self._unit is not None:
            await draw(self._unit, _nothing, self._made, self._places, self._rank)
            for index in [i for i in self._samples if i >= len(self._unit.seen)]:
                del self._samples[index]
        else:
            await _all([self._placed(i, self._params) for i in range(self._strategy.n)])
        return [self._samples[index] for index in sorted(self._samples)]

    async def _within(self, budget: int) -> None:
        share = self._meter.reward_share if self._reward is not None else 0.0
        head = len(self._prompt.token_ids) * share  # the first score also costs the question
        index = 0
        while (wanted := self._reach(index) - index) > 0:
            left = budget - self._meter.tokens - (0 if self._meter.judged else head)
            most = min(self._params.max_tokens, int(left / (1 + share)))
            if most < 1 and index:
                return
            most = max(1, most)
            size = min(wanted, max(1, int(left / ((1 + share) * most))))
            params = replace(self._params, max_tokens=most)
            await _all([self._placed(index + i, params) for i in range(size)])
            for _ in range(size):
                sample = self._samples[index]
                if index and sample.finish == "length" and most < self._params.max_tokens:
                    del self._samples[index]
                    return
                if self._unit is not None:
                    await self._unit.add(sample.completion, _verdict(sample))
                index += 1

    def _reach(self, index: int) -> int:
        return self._strategy.n if self._unit is None else max(index, self._unit.reach)

    async def _placed(self, index: int, params: SamplingParams) -> None:
        await self._places.take(self._rank)
        held = True
        try:
            watch = None if self._unit is None else self._unit.watch(index)
            completion = await self._sample(index, params, watch)
            self._places.give()
            held = False
            await self._keep(index, completion)
        finally:
            if held:
                self._places.give()

    async def _made(self, index: int, watch: Watch | None) -> Made:
        """As `in_order.draw` wants it, which has taken the place already."""
        completion = await self._sample(index, self._params, watch)
        sample = await self._keep(index, completion)
        return completion, _verdict(sample)

    async def _sample(
        self, index: int, params: SamplingParams, watch: Watch | None
    ) -> Completion | None:
        question = self._problem.question
        seed = request_seed(self._seed, question.benchmark, question.id, (index,))
        key = RequestKey(question.benchmark, question.id, (index,))
        watched = {} if watch is None else {"watch": watch}
        try:
            return await self._engine.sample(
                self._prompt, replace(params, seed=seed), key, **watched
            )
        except EngineDeadError:
            raise
        except EngineError as error:
            self.failure = self.failure or str(error)
            return None

    async def _keep(self, index: int, completion: Completion | None) -> Sample:
        if completion is None:
            sample = Sample(index, "", None, None, None, 0, "aborted")
        else:
            self._meter.usage += completion.usage
            self._meter.written += completion.usage.decode_tokens
            if not self._read:
                # a conversation that the server renders has as many tokens as it says
                self._read = completion.usage.prompt_tokens + completion.usage.cached_tokens
                self._meter.written += self._read
            answer = self._graders.extract(
                self._problem, completion.text, thinking_open=completion.thinking_open
            )
            scores = await self._scored(completion.text)
            sample = Sample(
                index,
                completion.text,
                completion,
                answer,
                scores,
                len(completion.token_ids) or completion.usage.decode_tokens or None,
                completion.finish,
            )
        self._samples[index] = sample
        return sample

    async def _scored(self, text: str) -> Scores | None:
        if self._reward is None:
            return None
        steps = split(text, Boundary(read(self._strategy.steps)))
        if not steps:
            return None
        try:
            scored = await self._reward.score(self._problem.question, steps)
        except RewardError:
            return None  # it is chosen last
        self._meter.usage += scored.usage
        self._meter.judged += sum(scored.step_tokens)
        if not self._headed:
            self._headed = True
            self._meter.judged += scored.head_tokens
        return Scores(scored.steps, scored.whole)


def _verdict(sample: Sample) -> Verdict:
    """What carries the answer to a rule; nothing is graded here."""
    return Verdict("ungraded", sample.answer, "served")


async def _nothing(index: int) -> Made | None:
    """No sample of a call was stored before."""
    return None


async def _all(jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All at once; where one fails the others are cancelled and waited for."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
