"""Outcome rewards that are written: a language model is asked about the solution in words.

A generative verifier (GenRM; Zhang et al. 2024, 2408.15240) scores with the probability of "Yes"
to "Is the answer correct (Yes/No)?", at once or after reasoning of its own; with several votes,
the mean over them (section 3.2). A judge (Zheng et al. 2023, 2306.05685, single-answer grading)
gives a mark. Both run in any engine that writes.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from reasonbench.engines.base import Engine, EngineDeadError, EngineError
from reasonbench.engines.needs import Needs
from reasonbench.errors import UsageError
from reasonbench.rewards.base import NO_USAGE, RewardError, RewardInfo, Scored
from reasonbench.rewards.config import RewardOptions
from reasonbench.rewards.verdicts import answered, mark
from reasonbench.seeds import request_seed
from reasonbench.types import (
    Completion,
    Message,
    Prompt,
    Question,
    RequestKey,
    SamplingParams,
    Usage,
)

JUDGE = -3
"""Where the paths of judgements branch off: no child of a node has a negative index."""

ASKED = "Is the answer correct (Yes/No)?"

VERIFY = f"Problem:\n{{question}}\n\nSolution:\n{{solution}}\n\n{ASKED} Reply with Yes or No."

REASON = (
    "Problem:\n{question}\n\nSolution:\n{solution}\n\nVerify the solution step by step. End with "
    f'the line "Verification: {ASKED} X", where X is Yes or No.'
)

RATE = (
    "Problem:\n{question}\n\nSolution:\n{solution}\n\nAct as an impartial judge: is the reasoning "
    "sound, and is the final answer right? Explain briefly, then give a mark from 0 (wrong from "
    'the start) to 10 (right in every step) in the form "Mark: [[5]]".'
)

_VERDICT = f"\n\nVerification: {ASKED}"
_TRIES = 3
"""Tokens in which a verdict must begin; tokenizers put white space before it."""


@dataclass(slots=True)
class _Vote:
    """A judgement in progress.

    Attributes:
        value: in [0, 1], NaN where none was given.
        usage: what it cost.
    """

    value: float = math.nan
    usage: Usage = NO_USAGE


class WrittenReward:
    """See `reasonbench.rewards.base.Reward`.

    Args:
        kind: "generative" or "judge".
        owned: whether the engine is closed with the reward.

    Raises:
        UsageError: a prompt of one's own that leaves the solution out, or an engine that cannot do
            what the kind needs.
    """

    def __init__(
        self, name: str, kind: str, engine: Engine, options: RewardOptions, *, owned: bool
    ) -> None:
        self.engine = engine
        self.options = options
        self.info = RewardInfo(name, "outcome", kind, engine.info)
        if options.prompt is not None and "{solution}" not in options.prompt:
            raise UsageError("the prompt of a judge must hold {solution} (and {question}).")
        self._judge = kind == "judge"
        lacks = getattr(engine, "lacks", None)
        reasons = not self._judge and options.reason
        needs = Needs(continuation=reasons, logprobs=not self._judge, chat=options.chat)
        if lacks is not None and (why := lacks(needs)):
            raise UsageError(f"--reward {name} as {kind} {why}.")
        self._counts = lacks is None or lacks(Needs(tokens=True)) is None
        self._owned = owned
        self._known: dict[tuple[str, str, str], dict[str, _Vote]] = {}
        self._pending: dict[tuple[str, str, str, str], asyncio.Future[None]] = {}

    async def score(self, question: Question, steps: Sequence[str]) -> Scored:
        if not steps:
            raise RewardError("there is no step to score.")
        solution = "".join(steps)
        key = question.benchmark, question.id, question.text
        usage = NO_USAGE
        while solution not in self._known.get(key, {}):
            pending = self._pending.get((*key, solution))
            if pending is not None:
                await asyncio.wait([pending])
                continue
            done = self._pending[*key, solution] = asyncio.get_running_loop().create_future()
            try:
                vote = await self._vote(question, solution)
                usage = vote.usage
                self._known.setdefault(key, {})[solution] = vote
            finally:
                del self._pending[*key, solution]
                done.set_result(None)
        vote = self._known[key][solution]
        tokens, head = self._tokens(question, steps, vote)
        return Scored(
            steps=(),
            whole=vote.value,
            step_tokens=tokens,
            head_tokens=head,
            usage=Usage(
                reward_tokens=usage.prompt_tokens + usage.decode_tokens,
                reward_cached_tokens=usage.cached_tokens,
                seconds=usage.seconds,
                requests=usage.requests,
            ),
        )

    def _tokens(
        self, question: Question, steps: Sequence[str], vote: _Vote
    ) -> tuple[tuple[int, ...], int]:
        """Tokens of each step, the last one's with what was written about it, and of the head.

        Without a tokenizer the server's counts stand: all that a judgement took is the last step's.
        """
        used = vote.usage
        if not self._counts:
            whole = used.prompt_tokens + used.cached_tokens + used.decode_tokens
            return (*(0 for _ in steps[1:]), whole), 0
        tokens = [len(self.engine.encode(step)) for step in steps]
        tokens[-1] += used.decode_tokens
        return tuple(tokens), len(self._prompt(question, "").token_ids)

    def forget(self, question: Question) -> None:
        self._known.pop((question.benchmark, question.id, question.text), None)

    async def aclose(self) -> None:
        if self._owned:
            await self.engine.aclose()

    async def _vote(self, question: Question, solution: str) -> _Vote:
        """The mean of all votes that gave a number, and what all of them cost."""
        options = self.options
        prompt = self._prompt(question, solution)
        ask: Callable[[Question, Prompt, int], Awaitable[_Vote]] = self._mark
        count = options.votes
        if not self._judge:
            ask = self._reason if options.reason else self._verify
            count = options.votes if options.reason else 1
        started = time.perf_counter()
        try:
            votes = await asyncio.gather(*(ask(question, prompt, i) for i in range(count)))
        except EngineDeadError:
            raise
        except EngineError as error:
            raise RewardError(str(error)) from error
        values = [vote.value for vote in votes if math.isfinite(vote.value)]
        usage = replace(
            sum((vote.usage for vote in votes), NO_USAGE), seconds=time.perf_counter() - started
        )
        return _Vote(math.fsum(values) / len(values) if values else math.nan, usage)

    async def _verify(self, question: Question, prompt: Prompt, index: int) -> _Vote:
        """The probability of the good word as the next one.

        Where the likeliest token is the bad word, one minus its probability: what is left to the
        good one where there are no others.
        """
        vote = _Vote()
        for _ in range(_TRIES):
            said = await self._sample(question, prompt, index, vote, max_tokens=1, temperature=0.0)
            good = answered(said.text, self.options.good or "Yes", self.options.bad or "No")
            if good is not None and said.mean_logprob is not None:
                likely = math.exp(said.mean_logprob)
                vote.value = likely if good else 1.0 - likely
                return vote
            # a conversation that the server renders cannot be gone on with
            if said.text.strip() or not said.token_ids or not prompt.token_ids:
                break
            prompt = _longer(prompt, said)
        return vote

    async def _reason(self, question: Question, prompt: Prompt, index: int) -> _Vote:
        """The same after a verification of its own, which is closed where it was not."""
        vote = _Vote()
        said = await self._sample(
            question, prompt, index, vote, max_tokens=self.options.max_tokens, stop=(ASKED,)
        )
        prompt = _longer(prompt, said)
        if said.stop_reason != ASKED:
            more = self.engine.encode(_VERDICT)
            prompt = Prompt((*prompt.token_ids, *more), prompt.text + _VERDICT)
        verdict = await self._verify(question, prompt, index)
        return _Vote(verdict.value, vote.usage + verdict.usage)

    async def _mark(self, question: Question, prompt: Prompt, index: int) -> _Vote:
        vote = _Vote()
        said = await self._sample(question, prompt, index, vote, max_tokens=self.options.max_tokens)
        vote.value = mark(said.text)
        return vote

    async def _sample(
        self,
        question: Question,
        prompt: Prompt,
        index: int,
        vote: _Vote,
        *,
        max_tokens: int,
        temperature: float | None = None,
        stop: tuple[str, ...] = (),
    ) -> Completion:
        """One completion, on the account of a vote. One vote is greedy.

        Raises:
            RewardError: the question and the solution do not fit.
        """
        room = self.engine.max_model_len() - len(prompt.token_ids)
        if room < 1:
            raise RewardError(
                f"question and solution have {len(prompt.token_ids)} tokens, too many for "
                f"{self.info.name}."
            )
        if temperature is None:
            temperature = self.options.temperature if self.options.votes > 1 else 0.0
        path = (JUDGE, index)
        params = SamplingParams(
            temperature=temperature,
            max_tokens=min(max_tokens, room),
            stop=stop,
            seed=request_seed(self.options.seed, question.benchmark, question.id, path),
            whole_tokens=True,
        )
        key = RequestKey(question.benchmark, question.id, path)
        said = await self.engine.sample(prompt, params, key)
        vote.usage += said.usage
        return said

    def _prompt(self, question: Question, solution: str) -> Prompt:
        asked = RATE if self._judge else REASON if self.options.reason else VERIFY
        text = self.options.prompt or asked
        # not str.format: solutions and own prompts hold braces of their own
        before, _, after = text.partition("{solution}")
        whole = before.replace("{question}", question.text) + solution + after
        messages = [Message("user", whole)]
        if self.options.system is not None:
            messages.insert(0, Message("system", self.options.system))
        return self.engine.render(messages, chat=self.options.chat)


def _longer(prompt: Prompt, said: Completion) -> Prompt:
    return Prompt((*prompt.token_ids, *said.token_ids), prompt.text + said.text)
