"""One call: a strategy on one question, by the code that evaluates it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from reasonbench import needs
from reasonbench.costs import JudgedBy
from reasonbench.engines.base import Engine
from reasonbench.engines.chat import plain_text
from reasonbench.errors import UsageError
from reasonbench.grading.ends import ends
from reasonbench.grading.graders import Graders
from reasonbench.meter import Meter
from reasonbench.places import Places
from reasonbench.policy import Policy
from reasonbench.results import measure
from reasonbench.rewarding import described, share, stored_as
from reasonbench.rewards.base import Reward
from reasonbench.runs.stored import Scores, StoredProblem, StoredSample
from reasonbench.seeds import request_seed
from reasonbench.server.answer import Answer, Shown, cut, parted
from reasonbench.server.ask import Ask, Grader
from reasonbench.server.drawing import Drawing, Sample
from reasonbench.server.errors import ApiError
from reasonbench.strategies import AnyStrategy, Candidate, Search
from reasonbench.strategies.adaptive import Adaptive
from reasonbench.strategies.base import REWARD
from reasonbench.strategies.search import Judge
from reasonbench.strategies.select import best, majority, weighted
from reasonbench.tree import Node
from reasonbench.types import Message, Problem, Prompt, Question, SamplingParams

BENCHMARK = "questions"
"""What the seeds of calls are made with in place of a benchmark's name."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """The reward of a server.

    Attributes:
        reward: the model.
        described: its name, and its share of the policy's parameters.
    """

    reward: Reward
    described: JudgedBy


def verifier_of(reward: Reward, name: str, engine: Engine) -> Verifier:
    """The verifier that a reward is beside a policy."""
    model = reward.info.model
    return Verifier(reward, JudgedBy(name, model, share(model, engine.info), described(reward)))


@dataclass(frozen=True, slots=True)
class Call:
    """A call that can be answered: its question, its prompt and what it may use."""

    strategy: AnyStrategy
    problem: Problem
    prompt: Prompt
    messages: tuple[Message, ...]
    params: SamplingParams
    seed: int
    budget: int | None
    thinking: bool | None


@dataclass(slots=True)
class Solver:
    """Answers calls, many at once.

    Attributes:
        engine: the policy.
        graders: read and compare answers.
        verifier: the reward, where there is one.
        grader: how, where a call does not say.
        seed: of calls that give none.
        system: the system message of conversations without one, or None.
        max_tokens: of a completion where nobody says.
    """

    engine: Engine
    graders: Graders
    verifier: Verifier | None = None
    grader: Grader = "math"
    seed: int = 0
    system: str | None = None
    max_tokens: int = 2048
    places: Places = field(init=False)
    _asked: int = 0
    _judging: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.places = Places(self.engine.in_flight)

    def prepare(self, ask: Ask, strategy: AnyStrategy) -> Call:
        """What is needed to answer.

        Raises:
            ApiError: 400: the conversation cannot be rendered, or is too long.
        """
        messages = ask.messages
        if self.system is not None and all(m.role != "system" for m in messages):
            messages = (Message("system", self.system), *messages)
        wanted = _first(ask.thinking, strategy.thinking)
        try:
            prompt = self.engine.render(messages, thinking=wanted)
        except UsageError as error:
            raise ApiError(400, str(error), param="messages", code="invalid_value") from None
        room = self.engine.max_model_len() - len(prompt.token_ids)
        if room < 1:
            raise ApiError(
                400,
                f"the conversation has {len(prompt.token_ids):,} tokens, and the model takes "
                f"{self.engine.max_model_len():,} together with its answer.",
                param="messages",
                code="context_length_exceeded",
            )
        asked = [m for m in messages if m.role != "system"]
        text = asked[0].content if len(asked) == 1 else plain_text(asked)
        digest = blake2b(json.dumps(messages).encode(), digest_size=12).hexdigest()
        question = Question(digest, BENCHMARK, text, kind=ask.grader or self.grader)
        self._check(ask, strategy, wanted)
        most = _first(ask.max_tokens, strategy.max_tokens, self.max_tokens)
        params = SamplingParams(
            temperature=_first(ask.temperature, strategy.temperature, 1.0),
            top_p=_first(ask.top_p, strategy.top_p, 1.0),
            top_k=_first(ask.top_k, strategy.top_k, 0),
            min_p=_first(ask.min_p, strategy.min_p, 0.0),
            max_tokens=min(most, room),
            stop=ask.stop,
            self_certainty=strategy.scorer == "selfcert",
            top_logprobs=strategy.top_logprobs,
        )
        seed = _first(ask.seed, self.seed)
        return Call(
            strategy, Problem(question, None), prompt, messages, params, seed, ask.budget, wanted
        )

    def _check(self, ask: Ask, strategy: AnyStrategy, thinking: bool | None) -> None:
        """Raises:
        ApiError: 400: the engine cannot do what the call and its strategy need.
        """
        lacks = getattr(self.engine, "lacks", None)
        if lacks is None:
            return
        cuts = bool(_first(ask.top_k, strategy.top_k) or _first(ask.min_p, strategy.min_p))
        wanted = needs.asked(strategy, thinking=thinking is not None, chat=None, cuts=cuts)
        if why := lacks(wanted._replace(tokens=ask.budget is not None)):
            raise ApiError(400, f"the call {why}.", code="unsupported_value")

    async def solve(self, call: Call) -> Answer:
        """Answer a call. Cancelling it aborts its requests in the engine.

        Raises:
            ApiError: 502: every request failed.
            EngineDeadError: the engine or the reward died.
        """
        started = time.perf_counter()
        question = call.problem.question
        key = (question.id, question.text)
        self._judging[key] += 1
        self._asked += 1
        meter = Meter(call.budget, self.verifier.described.share if self.verifier else 0.0)
        try:
            if isinstance(call.strategy, Search):
                answer = await self._search(call, call.strategy, meter, self._asked)
            else:
                answer = await self._draw(call, meter, self._asked)
        finally:
            self._judging[key] -= 1
            if not self._judging[key]:
                del self._judging[key]
                if self.verifier is not None:
                    self.verifier.reward.forget(question)
        return replace(answer, seconds=time.perf_counter() - started)

    async def _draw(self, call: Call, meter: Meter, rank: int) -> Answer:
        strategy = call.strategy
        assert not isinstance(strategy, Search)
        reward = self.verifier.reward if self.verifier and strategy.scorer == REWARD else None
        drawing = Drawing(
            self.engine, self.graders, self.places, reward, strategy, call.problem, call.prompt,
            call.params, call.seed, rank, meter,
        )  # fmt: skip
        samples = await drawing.draw()
        if not any(sample.completion for sample in samples):
            raise _failed(drawing.failure)
        if isinstance(strategy, Adaptive):
            candidates = [
                Candidate(taken.answer_class, taken.weight, taken.weight)
                for taken in strategy.taken(drawing.seen)
            ]
            chosen = weighted(candidates, _tie(call))
        else:
            candidates = await self._candidates(call, samples)
            chosen = strategy.choose(candidates, _tie(call))
        if chosen is None or samples[chosen].completion is None:
            # nobody has an answer: the first response that ended by itself, or the first there is
            chosen = min(range(len(samples)), key=lambda i: (_rank(samples[i]), i))
        return self._answer(call, samples, candidates, chosen, meter)

    async def _search(self, call: Call, strategy: Search, meter: Meter, rank: int) -> Answer:
        question, prompt = call.problem.question, call.prompt

        async def classes(nodes: Sequence[Node]) -> Sequence[int]:
            return await self.graders.classes(call.problem, [self._extract(call, n) for n in nodes])

        policy = Policy(
            self.engine, question, prompt, call.params,
            seed=call.seed, boundary=strategy.boundary(), max_tokens=call.params.max_tokens,
            ends=ends(question), messages=call.messages, meter=meter,
            ask=lambda asked: self.engine.render(asked, thinking=call.thinking),
        )  # fmt: skip
        judge = Judge(self.verifier.reward if self.verifier else None, question, meter, classes)
        await self.places.take(rank, strategy.at_once)
        try:
            found = await strategy.solve(question, policy, judge)
            if strategy.scorer == REWARD and not strategy.needs_reward:
                await judge.score(found)
        finally:
            self.places.give(strategy.at_once)
        if not found:
            return self._unfinished(call, policy)
        samples = [
            Sample.of_node(index, node, self._extract(call, node), self._scores(node))
            for index, node in enumerate(found)
        ]
        candidates = await self._candidates(call, samples)
        choose = {"best": best, "maj": majority, "wbon": weighted}[strategy.select]
        chosen = choose(candidates, _tie(call))
        return self._answer(call, samples, candidates, 0 if chosen is None else chosen, meter)

    def _unfinished(self, call: Call, policy: Policy) -> Answer:
        """The best path of a search that a limit ended before any solution."""
        leaves = [leaf for root in policy.roots for leaf in root.walk() if not leaf.children]
        grown = [leaf for leaf in leaves if leaf.completion is not None]
        if not grown:
            raise _failed(next((leaf.error for leaf in leaves if leaf.error), None))
        leaf = max(grown, key=lambda n: (n.score is not None, n.score or 0.0, len(n.path)))
        sample = Sample.of_node(0, leaf, self._extract(call, leaf), self._scores(leaf))
        made = self._answer(call, [sample], [Candidate(-1)], 0, policy.meter)
        return replace(made, finish="length", candidates=(), chosen=None)

    def _extract(self, call: Call, node: Node) -> str | None:
        opened = call.prompt.thinking_open
        return self.graders.extract(call.problem, node.solution(), thinking_open=opened)

    def _scores(self, node: Node) -> Scores:
        if self.verifier is None:
            return Scores()
        if self.verifier.reward.info.kind == "outcome":
            return Scores((), _number(node.score))
        return Scores(tuple(_number(score) for score in node.scores()))

    async def _candidates(self, call: Call, samples: Sequence[Sample]) -> list[Candidate]:
        """Classes, scores and weights, as the evaluation measures them."""
        answers = [s.answer if s.finish == "stop" else None for s in samples]
        numbers = await self.graders.classes(call.problem, answers)
        judging = self.verifier.described if self.verifier else None
        stored = [
            self._stored(call.strategy, sample, number, judging)
            for sample, number in zip(samples, numbers, strict=True)
        ]
        pool = measure(
            StoredProblem(call.problem, tuple(stored)), call.strategy, judging=judging
        ).pool
        nothing = [None] * len(samples)
        return [
            Candidate(*values)
            for values in zip(
                pool.classes, pool.scores or nothing, pool.weights or nothing, strict=True
            )
        ]

    @staticmethod
    def _stored(
        strategy: AnyStrategy, sample: Sample, number: int, judging: JudgedBy | None
    ) -> StoredSample:
        completion, scores = sample.completion, dict[str, Scores]()
        if judging is not None and sample.scores is not None:
            scores[stored_as(judging.name, strategy)] = sample.scores
        return StoredSample(
            sample.index,
            finish=None if completion is None else completion.finish,
            tokens=sample.tokens or 0,
            mean_logprob=completion.mean_logprob if completion else None,
            self_certainty=completion.self_certainty if completion else None,
            verdict="ungraded",
            answer=sample.answer,
            answer_class=number,
            scores=scores,
        )

    def _answer(
        self,
        call: Call,
        samples: Sequence[Sample],
        candidates: Sequence[Candidate],
        chosen: int,
        meter: Meter,
    ) -> Answer:
        sample = samples[chosen]
        content, reasoning = parted(
            cut(sample.text, call.params.stop), thinking_open=call.prompt.thinking_open
        )
        return Answer(
            content=content,
            reasoning=reasoning,
            finish="stop" if sample.finish == "stop" else "length",
            answer_tokens=sample.tokens,
            # what a search cut off behind a step was decoded, and is no part of its tree
            prompt_tokens=max(
                len(call.prompt.token_ids), meter.written - meter.usage.decode_tokens
            ),
            usage=meter.usage,
            policy_tokens=meter.tokens,
            candidates=tuple(
                Shown(s.text, s.answer, c.answer_class, c.score, c.weight, s.tokens, s.finish)
                for s, c in zip(samples, candidates, strict=False)
            ),
            chosen=chosen,
            seconds=0.0,
            uncounted=any(s.completion is not None and s.tokens is None for s in samples),
        )


def _rank(sample: Sample) -> int:
    if sample.completion is None:
        return 2
    return 0 if sample.finish == "stop" else 1


def _tie(call: Call) -> int:
    return request_seed(call.seed, BENCHMARK, call.problem.id, ())


def _failed(why: str | None) -> ApiError:
    return ApiError(
        502, f"the engine refused every request: {why or 'it gave no reason'}", code="engine_error"
    )


def _number(score: float | None) -> float:
    return float("nan") if score is None else score


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
