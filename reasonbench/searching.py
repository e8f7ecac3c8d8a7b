"""One problem's search, from its prompt to what the store keeps of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reasonbench.engines.base import Engine, EngineDeadError
from reasonbench.grading.ends import ends
from reasonbench.grading.graders import Graders
from reasonbench.plan import Pool
from reasonbench.policy import Meter, Path, Policy
from reasonbench.rewarding import stored_as
from reasonbench.rewards.base import Reward
from reasonbench.runs.searches import FAILED
from reasonbench.runs.store import RunStore
from reasonbench.runs.stored import SampleKey, StoredSearch
from reasonbench.seeds import request_seed
from reasonbench.strategies.base import REWARD
from reasonbench.strategies.search import Judge, Search
from reasonbench.tree import Node
from reasonbench.types import Completion, Message, Problem, Prompt, Question, Usage, Verdict
from reasonbench.verdicts import grade

DIED = "every path died"
"""The state of a search that errors left without anything to go on with."""


@dataclass(frozen=True, slots=True)
class Judging:
    """The reward of a run.

    Attributes:
        reward: the model.
        name: what its scores are stored under (rewarding.reward_name).
        share: its active parameters / the policy's.
        searching: how many searches of each question are under way.
    """

    reward: Reward
    name: str
    share: float
    searching: Counter[tuple[str, str]] = field(default_factory=Counter)

    def forget(self, question: Question) -> None:
        """Let the reward forget a question, unless a search of it is under way."""
        if not self.searching[question.benchmark, question.id]:
            self.reward.forget(question)


@dataclass(slots=True)
class Searched:
    """What came of one search.

    Attributes:
        state: how it ended: "finished", "out of steps", "budget used up", `DIED`, or
            "failed: …".
        found: its solutions, as `Search.solve` returned them.
        verdicts: of these; of a search without any, one verdict of the whole.
        usage: of what this call computed (steps of an earlier call are not sampled again).
        tokens: that all its steps have.
    """

    state: str
    found: list[Node] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    tokens: int = 0

    @property
    def failed(self) -> bool:
        """Whether the next call tries it again."""
        return is_failed(self.state)


def read_only(usage: Usage) -> Usage:
    """What rewards read: requests and seconds are counted for the policy alone."""
    return Usage(reward_tokens=usage.reward_tokens, reward_cached_tokens=usage.reward_cached_tokens)


def is_failed(state: str) -> bool:
    """Whether errors, and not the search itself, ended it."""
    return state.startswith(FAILED) or state == DIED


async def search(
    problem: Problem,
    pool: Pool,
    prompt: Prompt,
    messages: Sequence[Message],
    *,
    chat: bool,
    engine: Engine,
    store: RunStore,
    graders: Graders,
    judging: Judging | None,
    seed: int,
    budget: int | None,
    weight_version: int = 0,
) -> Searched:
    """Search for one problem and store what was found, judged and grown.

    Steps that an earlier call sampled are taken from the store. Whatever goes wrong in the search
    ends this problem alone, and its state says so.

    Raises:
        EngineDeadError: the engine or the reward died.
    """
    strategy = pool.search
    assert strategy is not None
    question = problem.question
    where = (question.benchmark, question.id, pool.id)
    done = Searched("finished")
    meter = Meter(budget, judging.share if judging else 0.0)

    def record(path: Path, completion: Completion) -> None:
        store.add_node(*where, path, completion)
        done.usage += completion.usage

    def ask(conversation: Sequence[Message]) -> Prompt:
        return engine.render(conversation, thinking=pool.thinking, chat=chat)

    async def classes(nodes: Sequence[Node]) -> Sequence[int]:
        opened = prompt.thinking_open
        answers = [graders.extract(problem, n.solution(), thinking_open=opened) for n in nodes]
        return await graders.classes(problem, answers)

    policy = Policy(
        engine,
        question,
        prompt,
        pool.params(0, question, chat=chat),
        seed=seed,
        boundary=strategy.boundary(),
        max_tokens=pool.sampling.max_tokens,
        ends=ends(question),
        ask=ask,
        messages=messages,
        meter=meter,
        known=store.nodes(*where, weight_version),
        record=record,
    )
    judge = Judge(judging.reward if judging else None, question, meter, classes)
    if judging is not None:
        judging.searching[where[:2]] += 1
    try:
        done.found = await strategy.solve(question, policy, judge)
        if strategy.scorer == REWARD and not strategy.needs_reward:
            await judge.score(done.found)
        done.state = _state(policy, done.found)
    except EngineDeadError:
        raise
    except Exception as error:  # one problem's fault must not cost the run
        done.found = []
        done.state = f"{FAILED}: {type(error).__name__}: {error}"[:500]
    finally:
        if judging is not None:
            judging.searching[where[:2]] -= 1
            judging.forget(question)
    done.usage += read_only(meter.usage)
    done.tokens = meter.usage.decode_tokens
    await _keep(
        problem,
        strategy,
        (*where, weight_version),
        prompt,
        policy,
        done,
        store,
        graders,
        judging,
        seed,
    )  # fmt: skip
    return done


async def _keep(
    problem: Problem,
    strategy: Search,
    where: tuple[str, str, str, int],
    prompt: Prompt,
    policy: Policy,
    done: Searched,
    store: RunStore,
    graders: Graders,
    judging: Judging | None,
    seed: int,
) -> None:
    """Store the solutions with scores and verdicts; the tree comes last and says all is there."""
    store.drop_solutions(*where)  # of an attempt that failed, or was killed in these lines
    for sample, node in enumerate(done.found):
        key = SampleKey(*where, sample)
        node_seed = request_seed(seed, *where[:2], node.path)
        completion = _solution(node, prompt, node_seed, key.weight_version)
        store.add_completion(key, completion)
        if judging is not None:
            _keep_scores(store, key, stored_as(judging.name, strategy), judging, node)
        verdict = await grade(graders, problem, completion)
        store.add_verdict(key, verdict)
        done.verdicts.append(verdict)
    if not done.found:
        key = SampleKey(*where, 0)
        verdict = (
            Verdict("ungraded", None, "search", done.state)
            if done.failed
            else Verdict("incorrect", None, "no answer", f"no solution: {done.state}")
        )
        store.add_verdict(key, verdict)
        done.verdicts.append(verdict)
    meter = policy.meter
    store.add_trace(
        *where[:3],
        _trace(policy, done),
        where[3],
        search=StoredSearch(done.state, meter.tokens, meter.written, meter.judged, meter.usage),
    )


def _keep_scores(store: RunStore, key: SampleKey, name: str, judging: Judging, node: Node) -> None:
    if judging.reward.info.kind == "outcome":
        store.add_score(key, name, whole=math.nan if node.score is None else node.score)
    else:
        scores = [math.nan if score is None else score for score in node.scores()]
        store.add_score(key, name, scores)


def _solution(node: Node, prompt: Prompt, seed: int, weight_version: int) -> Completion:
    """A path as one completion; what it cost stands in the trace."""
    completions = [step.completion for step in node.line() if step.completion is not None]
    sums = [
        (c.mean_logprob * len(c.token_ids), len(c.token_ids))
        for c in completions
        if c.mean_logprob is not None
    ]
    sampled = sum(count for _, count in sums)
    known = len(sums) == len([c for c in completions if c.token_ids]) and sampled > 0
    return Completion(
        token_ids=node.token_ids(),
        text=node.solution(),
        finish="stop",
        mean_logprob=math.fsum(total for total, _ in sums) / sampled if known else None,
        seed=seed,
        weight_version=weight_version,
        thinking_open=prompt.thinking_open,
    )


def _state(policy: Policy, found: Sequence[Node]) -> str:
    """How a search that returned ended."""
    leaves = [leaf for root in policy.roots for leaf in root.walk() if not leaf.children]
    if policy.meter.budget is not None and (
        policy.meter.spent
        or any("budget" in leaf.dropped for leaf in leaves)
        or any(leaf.end == "length" and policy.room(leaf) > 0 for leaf in leaves)
    ):
        return "budget used up"
    if found:
        return "finished"
    wrong = [leaf for leaf in leaves if leaf.error or "failed" in (leaf.end, *leaf.dropped.split())]
    cut = [leaf for leaf in leaves if leaf.end == "length" or (not leaf.end and not leaf.dropped)]
    return DIED if wrong and not cut else "out of steps"


def _trace(policy: Policy, done: Searched) -> dict[str, Any]:
    """The trees as JSON holds them: what is absent or as usual is left out."""
    rolled = [_described(node) for end in policy.rolled_out for node in end.line() if _beside(node)]
    return {
        "state": done.state,
        "candidates": [list(node.path) for node in done.found],
        "nodes": [_described(node) for root in policy.roots for node in root.walk()],
        **({"roll_outs": rolled} if rolled else {}),
    }


def _beside(node: Node) -> bool:
    """Whether a node belongs to a roll-out, and to no tree."""
    return any(index < 0 for index in node.path)


def _described(node: Node) -> dict[str, Any]:
    return dict(_fields(node))


def _fields(node: Node) -> Iterator[tuple[str, Any]]:
    yield "path", list(node.path)
    if node.parent is None:
        yield "root", True
    if node.score is not None and math.isfinite(node.score):
        yield "score", node.score
    if node.visits:
        yield "visits", node.visits
        yield "value", node.value if math.isfinite(node.value) else None
    if node.end is not None:
        yield "end", node.end
    if node.dropped:
        yield "dropped", node.dropped
    if node.error:
        yield "error", node.error
    if node.given_text:
        yield "given", node.given_text
    if node.completion is not None:
        yield "tokens", len(node.completion.token_ids)


def leading(done: Searched) -> tuple[Completion | None, Verdict]:
    """What stands for a search while the run goes on: its best-scored solution, with its cost."""
    if not done.found:
        return None, done.verdicts[0]
    best = max(range(len(done.found)), key=lambda i: done.found[i].score or 0.0)
    node = done.found[best]
    shown = Completion((), node.solution(), "stop")
    return replace(shown, usage=done.usage), done.verdicts[best]
