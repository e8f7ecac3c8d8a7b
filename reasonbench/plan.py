"""From a configuration to what is sampled: benchmarks, strategies, and the pools they share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from reasonbench import benchmarks, protocols, shards, strategies
from reasonbench.benchmarks.base import Benchmark, Loaded
from reasonbench.config import DEFAULT_BENCHMARKS, DEFAULT_LIMIT, EvalConfig, Fields
from reasonbench.errors import UsageError
from reasonbench.prompts import PromptConfig, configure, stop_strings
from reasonbench.protocols import Protocol
from reasonbench.rewarding import reward_name, scored_by
from reasonbench.seeds import TESTS
from reasonbench.strategies import AnyStrategy, Search
from reasonbench.strategies.base import REWARD
from reasonbench.types import Message, Problem, Question, SamplingParams

_T = TypeVar("_T")

DEFAULT_N = 16


@dataclass(frozen=True, slots=True)
class Pool:
    """Completions that several strategies share.

    Attributes:
        id: names the pool in the run store: the prompt style and a digest of what decides its
            tokens.
        prompt: how the question is asked.
        protocol: whose wording of the instruction is used.
        thinking, chat: see `Engine.render`; chat None is the template where there is one.
        sampling: of every request; the seed is set for each.
        n: completions of each problem: the most that any of its strategies asks for.
        recorded: what is written of it to the run.
        role: its completions are "answers", or "tests" by which programs are chosen: these are
            stored, but neither graded nor anybody's samples.
        search: what finds its answers; None where they are draws.
    """

    id: str
    prompt: PromptConfig
    protocol: Protocol
    thinking: bool | None
    chat: bool | None
    sampling: SamplingParams
    n: int
    recorded: Mapping[str, Any]
    role: Literal["answers", "tests"] = "answers"
    search: Search | None = None

    def path(self, sample: int) -> tuple[int, ...]:
        """Where a completion stands among the requests of its problem; decides its seed."""
        return (sample,) if self.role == "answers" else (TESTS, sample)

    def messages(self, question: Question, *, chat: bool) -> tuple[Message, ...]:
        """How the pool asks a question, in turns or as one plain text."""
        instruction = self.protocol.instruction_for(question)
        return self.prompt.messages(question, instruction=instruction, chat=chat)

    def params(self, seed: int, question: Question, *, chat: bool) -> SamplingParams:
        """The sampling parameters of one request."""
        stop = stop_strings(self.prompt.style, chat=chat, question=question)
        return replace(self.sampling, seed=seed, stop=stop)


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark of a run with the strategies that are evaluated on it.

    Attributes:
        benchmark, loaded: the benchmark and the problems taken of it.
        protocol: name of its protocol preset.
        strategies: with the pool that each draws from, in the order given.
        deviations: where the settings depart from the protocol, one sentence each.
        notes: what else belongs to the protocol as it was run, one sentence each.
        tests: by the id of a pool of programs, the pool of tests that choose among them.
        part: what of the benchmark a shard asks; None where it is the whole.
    """

    benchmark: Benchmark
    loaded: Loaded
    protocol: str
    strategies: tuple[tuple[AnyStrategy, Pool], ...]
    deviations: tuple[str, ...]
    notes: tuple[str, ...] = ()
    tests: Mapping[str, Pool] = field(default_factory=lambda: MappingProxyType({}))
    part: shards.Part | None = None

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Its pools, each once: those of answers first."""
        answers = [pool for _, pool in self.strategies]
        return tuple({pool.id: pool for pool in (*answers, *self.tests.values())}.values())

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.loaded.problems

    @property
    def requests(self) -> int:
        """Completions that the task needs, those of searches left out."""
        return len(self.problems) * sum(pool.n for pool in self.pools if pool.search is None)

    @property
    def searches(self) -> int:
        """Searches that the task needs."""
        return len(self.problems) * sum(pool.search is not None for pool in self.pools)


def make(config: EvalConfig, model: str) -> list[Task]:
    """The tasks of one model.

    Raises:
        UsageError: an unknown name, a missing file, settings that contradict each other.
    """
    f = config.fields
    found = [
        benchmarks.resolve(
            spec,
            prompt_field=f.prompt,
            answer_field=f.answer,
            id_field=f.id,
            level_field=f.level,
            subject_field=f.subject,
        )
        for spec in config.benchmark
    ]
    names = [benchmark.name for benchmark in found]
    if len(set(names)) < len(names):
        raise UsageError(f"two benchmarks are named {max(names, key=names.count)!r}: rename one.")
    if f != Fields() and not any(_is_file(spec) for spec in config.benchmark):
        raise UsageError(
            "field names are for a benchmark file of your own, and no --benchmark is one."
        )
    for spec in config.strategy:  # a slip in a strategy is found before anything is loaded
        strategy = _parsed(config, spec, DEFAULT_N)
        if strategy.scorer == "recorded":
            raise UsageError(f"{spec}: recorded scores are read by `reasonbench score` only.")
        searching = isinstance(strategy, Search) and strategy.needs_reward
        if config.reward is None and (searching or strategy.scorer == REWARD):
            raise UsageError(
                f"{spec} needs a reward: give --reward MODEL (builtin-prm is the built-in one)."
            )
    return [_task(config, model, benchmark) for benchmark in found]


def _parsed(config: EvalConfig, spec: str, n: int) -> AnyStrategy:
    """The strategy as it runs: scored by the reward where there is one and nothing else is said."""
    strategy = strategies.parse(spec, n)
    return strategy if config.reward is None else strategy.with_reward()


def _is_file(spec: str) -> bool:
    """Whether a benchmark is a file of rows, not a name or a description that says its columns."""
    return spec.partition(":")[0] not in benchmarks.names() and not spec.lower().endswith(".toml")


def _task(config: EvalConfig, model: str, benchmark: Benchmark) -> Task:
    loaded = benchmarks.load(benchmark, config.data)
    limit = config.limit
    if limit is None and tuple(config.benchmark) == DEFAULT_BENCHMARKS:
        limit = DEFAULT_LIMIT
    if limit is not None:
        loaded = replace(loaded, problems=benchmarks.limit(loaded.problems, limit))
    if not loaded.problems:
        raise UsageError(f"benchmark {benchmark.name} has no problems.")
    protocol = protocols.get(config.protocol or benchmark.protocol)
    n = config.n or protocol.samples_for(benchmark.name) or DEFAULT_N
    chosen = [_parsed(config, spec, n) for spec in config.strategy]
    kind = loaded.problems[0].question.kind
    questions = [problem.question for problem in loaded.problems]
    for strategy in chosen:
        strategy.check(questions)
    drawn = [_draw(config, model, benchmark, protocol, kind, s) for s in chosen]
    pools: dict[str, Pool] = {}
    for strategy, pool in zip(chosen, drawn, strict=True):
        before = pools.get(pool.id, pool)
        # the search that scores its solutions serves one that does not need their scores
        searches = [p.search for p in (before, pool) if p.search is not None]
        pools[pool.id] = replace(
            before,
            search=next((s for s in searches if s.scorer), searches[0]) if searches else None,
            n=max(before.n, strategy.n),
            sampling=replace(
                before.sampling,
                self_certainty=before.sampling.self_certainty or strategy.scorer == "selfcert",
                top_logprobs=max(before.sampling.top_logprobs, strategy.top_logprobs),
            ),
        )
    notes = [*_notes(config, benchmark, chosen, questions)]
    part = None
    if config.shard is not None:
        part = shards.part(benchmark.name, loaded.problems, shards.parse(config.shard))
        asked = tuple(loaded.problems[position] for position in part.positions)
        loaded = replace(loaded, problems=asked)
        notes.append(shards.note(benchmark.name, part.recorded(), len(asked)))
    return Task(
        benchmark,
        loaded,
        protocol.name,
        tuple((s, pools[p.id]) for s, p in zip(chosen, drawn, strict=True)),
        tuple(
            f"{protocol.name} on {benchmark.name}: {sentence}"
            for sentence in _departures(benchmark, protocol, list(pools.values()), kind)
        ),
        tuple(notes),
        _tests(config, model, chosen, drawn),
        part,
    )


def _notes(
    config: EvalConfig,
    benchmark: Benchmark,
    chosen: Sequence[AnyStrategy],
    questions: Sequence[Question],
) -> Iterator[str]:
    """What strategies do besides sampling: each sentence once, after those that it is true of."""
    said: dict[str, list[str]] = {}
    for strategy in chosen:
        sentences = [*strategy.notes(questions)]
        if strategy.scorer == REWARD:
            sentences.append(scored_by(reward_name(config), strategy.aggregated))
        if config.budget is not None:
            sentences.append(
                f"stopped at {config.budget:,} policy-equivalent tokens a problem (--budget)"
            )
        for sentence in sentences:
            said.setdefault(sentence, []).append(strategies.spell(strategy))
    for sentence, who in said.items():
        yield f"{benchmark.name}, {', '.join(who)}: {sentence}"


def _tests(
    config: EvalConfig, model: str, chosen: Sequence[AnyStrategy], drawn: Sequence[Pool]
) -> dict[str, Pool]:
    """The pools of tests, drawn as the programs are: one serves every strategy that needs it."""
    pools: dict[str, Pool] = {}
    of: dict[str, str] = {}
    for strategy, programs in zip(chosen, drawn, strict=True):
        count = strategy.behaviour.completions if strategy.behaviour else 0
        if not count:
            continue
        prompt = configure("tests", system=config.system)
        recorded = {
            "role": "tests",
            **programs.recorded,
            "prompt": prompt.record("code"),
            "instruction": None,
        }
        name = f"tests-{_digest(config, model, recorded)}"
        before = pools.get(name)
        of[programs.id] = name
        pools[name] = replace(
            programs,
            id=name,
            prompt=prompt,
            n=max(count, before.n if before else 0),
            recorded=recorded,
            role="tests",
        )
    return {programs: pools[name] for programs, name in of.items()}


def _draw(
    config: EvalConfig,
    model: str,
    benchmark: Benchmark,
    protocol: Protocol,
    kind: str,
    strategy: AnyStrategy,
) -> Pool:
    """The strategy's own options first, then the protocol's, then the benchmark's."""
    style = strategy.prompt or ("few-shot" if strategy.shots else protocol.prompt)
    prompt = configure(style, strategy.shots, strategy.exemplars, config.system)
    default = protocol.tokens_for(benchmark.name, benchmark.max_tokens)
    sampling = SamplingParams(
        temperature=_first(strategy.temperature, protocol.temperature),
        top_p=_first(strategy.top_p, protocol.top_p),
        top_k=_first(strategy.top_k, protocol.top_k),
        min_p=_first(strategy.min_p, protocol.min_p),
        max_tokens=_first(strategy.max_tokens, default),
    )
    thinking = _first(strategy.thinking, protocol.thinking)
    recorded = {
        "prompt": prompt.record(kind),
        "instruction": protocol.instructions.get(benchmark.name),
        "thinking": thinking,
        "chat": config.chat,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "max_tokens": sampling.max_tokens,
    }
    search = strategy if isinstance(strategy, Search) else None
    if search is not None:
        recorded |= {
            "role": "search",
            "search": strategies.spell(search.model_copy(update={"select": "maj"})),
            "reward": reward_name(config) if search.needs_reward else None,
            "budget": config.budget,
        }
    return Pool(
        f"{style if search is None else search.name}-{_digest(config, model, recorded)}",
        prompt,
        protocol,
        thinking,
        config.chat,
        sampling,
        strategy.n,
        recorded,
        search=search,
    )


def _digest(config: EvalConfig, model: str, recorded: Mapping[str, Any]) -> str:
    """Of everything that decides a pool's tokens."""
    loading = [model, config.revision, config.lora, config.dtype, config.quantization, config.seed]
    return blake2b(json.dumps([recorded, loading]).encode(), digest_size=4).hexdigest()


def _first(own: _T | None, preset: _T) -> _T:
    return preset if own is None else own


def _departures(
    benchmark: Benchmark, protocol: Protocol, pools: Sequence[Pool], kind: str
) -> Iterator[str]:
    """Each deviation once, after it the searches that are alone in it."""
    alone: dict[str, list[str]] = {}
    common = set()
    for pool in pools:
        for sentence in _deviations(benchmark, protocol, pool, kind):
            names = alone.setdefault(sentence, [])
            if pool.search is None:
                common.add(sentence)
            elif pool.search.name not in names:
                names.append(pool.search.name)
    for sentence, names in alone.items():
        yield sentence if sentence in common else f"{sentence} ({', '.join(names)})"


def _deviations(benchmark: Benchmark, protocol: Protocol, pool: Pool, kind: str) -> list[str]:
    return protocols.deviations(
        protocol,
        protocols.Settings(
            benchmark=benchmark.name,
            temperature=pool.sampling.temperature,
            top_p=pool.sampling.top_p,
            top_k=pool.sampling.top_k,
            min_p=pool.sampling.min_p,
            max_tokens=pool.sampling.max_tokens,
            samples=pool.n,
            prompt=pool.prompt.style,
            shots=len(pool.prompt.shown(kind)),
            system=pool.prompt.system,
            thinking=pool.thinking,
            max_tokens_default=benchmark.max_tokens,
        ),
    )
