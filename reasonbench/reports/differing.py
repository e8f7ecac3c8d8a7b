"""What differs between two runs besides what is compared: protocols, prompts, graders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reasonbench.reports.sides import Named, Side
from reasonbench.types import Problem

GRADERS = ("reasonbench", "math-verify", "sympy")
"""Packages whose versions decide what counts as right."""


class Differing(NamedTuple):
    """Something besides the sides themselves that differs."""

    where: str
    """Benchmark, and the strategies that it concerns; "" for the runs as a whole."""
    what: str
    a: str
    b: str
    warns: bool
    """It changes what is asked, sampled or graded, so that the difference may come from it."""


_SETTINGS: Mapping[str, str] = {
    "protocol": "protocol", "source": "source of the problems", "revision": "revision of them",
    "prompt": "prompt", "instruction": "instruction", "thinking": "thinking", "chat": "chat",
    "temperature": "temperature", "top_p": "top-p", "top_k": "top-k", "min_p": "min-p",
    "max_tokens": "token limit",
}  # fmt: skip

_OF_PROBLEMS: Mapping[str, Callable[[Problem], str | None]] = {
    "kind of answer": lambda problem: problem.question.kind,
    "form asked for": lambda problem: problem.question.instruction,
    "level": lambda problem: problem.level,
}


def of_pools(a: Side, b: Side, benchmark: str, named: tuple[Named, Named]) -> Iterator[Differing]:
    """How the two were asked, sampled and judged, where that differs."""
    mine, other = (s.settings(benchmark, n.pool) for s, n in zip((a, b), named, strict=True))
    for key, what in _SETTINGS.items():
        if mine.get(key) != other.get(key):
            yield Differing("", what, _text(mine.get(key)), _text(other.get(key)), True)
    rewards = a.judged_by(benchmark, named[0]), b.judged_by(benchmark, named[1])
    if rewards[0] != rewards[1] and all(rewards):
        yield Differing("", "reward", _text(rewards[0]), _text(rewards[1]), True)


def named_in(benchmark: str, item: Differing, of: Sequence[str], pairs: int) -> Differing:
    """With where it holds: of which strategies, or of the benchmark where it is of all `pairs`."""
    every = len(dict.fromkeys(of)) >= pairs
    return item._replace(where=benchmark if every else f"{benchmark}, {', '.join(of)}")


def of_runs(a: Side, b: Side) -> Iterator[Differing]:
    """What differs between the runs as a whole; nothing where they are one."""
    if a.identity == b.identity:
        return
    budgets = a.plan.get("budget"), b.plan.get("budget")
    if budgets[0] != budgets[1]:
        yield Differing("", "budget", _text(budgets[0]), _text(budgets[1]), True)
    stacks = [side.results.get("stack", {}) for side in (a, b)]
    packages = [{**s.get("packages", {}), "reasonbench": s.get("reasonbench")} for s in stacks]
    for package in GRADERS:
        mine, other = (p.get(package) for p in packages)
        if mine != other:
            what = f"{package} that graded"
            yield Differing("", what, _text(mine), _text(other), True)
    for what, key in (
        ("model", "model"), ("revision of the model", "revision"), ("adapter", "lora"),
        ("quantisation", "quantization"), ("precision", "dtype"), ("engine", "engine"),
        ("version of the engine", "engine_version"),
    ):  # fmt: skip
        mine, other = (getattr(side.info, key) for side in (a, b))
        if mine != other:
            yield Differing("", what, _text(mine), _text(other), False)
    seeds = [side.results["run"].get("seed") for side in (a, b)]
    if seeds[0] != seeds[1]:
        yield Differing("", "seed", _text(seeds[0]), _text(seeds[1]), False)


def of_problems(benchmark: str, shared: Sequence[tuple[Problem, Problem]]) -> Iterator[Differing]:
    """What decides how a problem is asked and graded, where its text and gold answer agree."""
    for what, read in _OF_PROBLEMS.items():
        other = [(read(p), read(q)) for p, q in shared if read(p) != read(q)]
        if other:
            count = f" ({len(other)} of {len(shared)} problems)"
            first = other[0]
            yield Differing(benchmark, what + count, _text(first[0]), _text(first[1]), True)


def of_prompts(
    a: Side, b: Side, benchmark: str, pairs: Sequence[tuple[str, str]], ids: Sequence[str]
) -> Iterator[Differing]:
    """Conversations that differ although nothing in the settings may say so."""
    seen: set[tuple[str, str]] = set()
    of_a, of_b = a.strategies(benchmark), b.strategies(benchmark)
    for first, second in pairs:
        pools = of_a[first][-1].pool, of_b[second][-1].pool
        if pools in seen or (a.identity[0] == b.identity[0] and pools[0] == pools[1]):
            continue
        seen.add(pools)
        asked = [
            (a.store.prompt(benchmark, one, pools[0]), b.store.prompt(benchmark, one, pools[1]))
            for one in ids
        ]
        known = [(p.messages, q.messages) for p, q in asked if p is not None and q is not None]
        other = [(p, q) for p, q in known if p != q]
        if other:
            said = [" ⏎ ".join(f"{m.role}: {m.content}" for m in one) for one in other[0]]
            what = f"conversation ({len(other)} of {len(known)} problems; the first)"
            yield Differing(f"{benchmark}, {first} / {second}", what, said[0], said[1], True)


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(one)}" for key, one in value.items())
    return str(value)
