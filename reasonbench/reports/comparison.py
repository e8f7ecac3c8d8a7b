"""A against B: every strategy that both have, on the problems that both have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from reasonbench.errors import UsageError, unknown
from reasonbench.points import series_of
from reasonbench.reports.contrast import (
    ALPHA,
    PERMUTATIONS,
    Contrast,
    Counts,
    Problems,
    Reach,
    at_equal,
    by_level,
    corrected,
    match,
)
from reasonbench.reports.differing import (
    Differing,
    named_in,
    of_pools,
    of_problems,
    of_prompts,
    of_runs,
)
from reasonbench.reports.sides import Curve, Named, Side
from reasonbench.strategies import parse
from reasonbench.types import Problem


class SideInfo(NamedTuple):
    """What a side is called, and what it is."""

    name: str
    model: str
    folder: str
    step: int | None
    complete: bool


class ProblemSets(NamedTuple):
    """Which problems of a benchmark could be paired; ids."""

    benchmark: str
    shared: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    other_text: tuple[str, ...]
    """In both runs, with another text or gold answer: not paired."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that is shown.

    Attributes:
        contrasts: by benchmark, in the order of A's strategies; corrected together.
        problems: by benchmark.
        differing: warnings first.
        notes: what else a reader must know.
    """

    a: SideInfo
    b: SideInfo
    contrasts: tuple[Contrast, ...]
    problems: tuple[ProblemSets, ...]
    differing: tuple[Differing, ...]
    notes: tuple[str, ...]


class _Pair(NamedTuple):
    """A series of A and one of B, at their sizes; None for the largest that both have."""

    a: str
    b: str
    size_a: int | None = None
    size_b: int | None = None


def compare(
    a: Side,
    b: Side,
    *,
    benchmark: str | None = None,
    strategies: Sequence[str] = (),
    permutations: int = PERMUTATIONS,
) -> Comparison:
    """Every contrast of two sides.

    Args:
        benchmark: only this one.
        strategies: only these, on both sides; a size may be left out.
        permutations: of each test; raised where they could not resolve the corrected level.

    Raises:
        UsageError: the sides share no benchmark, no problem or no strategy, or the two are the
            same.
    """
    chosen = _benchmarks(a, b, benchmark)
    notes = [
        f"{side.name} is not finished: problems without completions are left out."
        for side in (a, b)
        if not side.complete
    ]
    scale, said = _scale(a, b)
    notes += said
    found: list[Contrast] = []
    problems: list[ProblemSets] = []
    differing: list[Differing] = list(of_runs(a, b))
    for one in chosen:
        keyed_a, keyed_b = a.problems(one), b.problems(one)
        problems.append(_sets(one, keyed_a, keyed_b))
        shared = [key for key in keyed_a if key in keyed_b]
        if not shared:
            notes.append(f"{one}: the runs have no problem in common.")
            continue
        pairs, left = _pairs(a, b, one, strategies)
        notes += left
        settings: dict[Differing, list[str]] = {}
        for pair in pairs:
            curve_a, curve_b = a.curve(one, pair.a), b.curve(one, pair.b)
            for size_a, size_b in _sizes(curve_a, curve_b, pair):
                if a.identity == b.identity and (pair.a, size_a) == (pair.b, size_b):
                    raise UsageError(
                        f"{a.name} would be compared with itself: name another run, step or "
                        "strategy."
                    )
                contrast = _contrast(
                    one,
                    [_Reached(curve_a, size_a, 1.0), _Reached(curve_b, size_b, scale)],
                    [(key, keyed_a[key]) for key in shared],
                    permutations,
                )
                if isinstance(contrast, str):
                    notes.append(contrast)
                    continue
                found.append(contrast)
                label = f"{contrast.a.label} / {contrast.b.label}"
                label = contrast.a.label if contrast.a.label == contrast.b.label else label
                named = curve_a.named[size_a], curve_b.named[size_b]
                for item in of_pools(a, b, one, named):
                    settings.setdefault(item, []).append(label)
            if not curve_a.columns or not curve_b.columns:
                which = a.name if not curve_a.columns else b.name
                notes.append(f"{one}, {pair.a}: {which} has no graded or scored result of it.")
        differing += (named_in(one, item, of, len(pairs)) for item, of in settings.items())
        differing += of_problems(one, [(keyed_a[key], keyed_b[key]) for key in shared])
        differing += of_prompts(
            a, b, one, [(pair.a, pair.b) for pair in pairs], [keyed_a[key].id for key in shared]
        )
    if not found:
        why = f": {' '.join(notes)}" if notes else "."
        raise UsageError(f"{a.name} and {b.name} have nothing to compare{why}")
    if permutations < 4 * len(found) / ALPHA:  # tests too coarse for the corrected level
        return compare(
            a,
            b,
            benchmark=benchmark,
            strategies=strategies,
            permutations=math.ceil(4 * len(found) / ALPHA),
        )
    return Comparison(
        _info(a),
        _info(b),
        _corrected(found),
        tuple(problems),
        tuple(sorted(dict.fromkeys(differing), key=lambda d: not d.warns)),
        tuple(dict.fromkeys(notes)),
    )


def _benchmarks(a: Side, b: Side, wanted: str | None) -> list[str]:
    shared = [one for one in a.benchmarks if one in b.benchmarks]
    if wanted is not None:
        if wanted not in shared:
            raise unknown("benchmark of both runs", wanted, shared)
        return [wanted]
    if not shared:
        raise UsageError(
            f"{a.name} and {b.name} have no benchmark in common: {', '.join(a.benchmarks)} "
            f"against {', '.join(b.benchmarks)}."
        )
    return shared


def _pairs(
    a: Side, b: Side, benchmark: str, strategies: Sequence[str]
) -> tuple[list[_Pair], list[str]]:
    """Which strategies are compared, and notes about those that are not."""
    of_a, of_b = a.strategies(benchmark), b.strategies(benchmark)
    if strategies:
        pairs = []
        for wanted in strategies:
            (series_a, size_a), (series_b, size_b) = (
                _find(side.name, of, wanted) for side, of in ((a, of_a), (b, of_b))
            )
            pairs.append(_Pair(series_a, series_b, size_a, size_b))
        return pairs, []
    if a.spec.strategy is not None or b.spec.strategy is not None:
        first = a.spec.strategy or b.spec.strategy or ""
        second = b.spec.strategy or first
        (series_a, size_a), (series_b, size_b) = (
            _find(a.name, of_a, first),
            _find(b.name, of_b, second),
        )
        return [_Pair(series_a, series_b, size_a, size_b)], []
    both = [series for series in of_a if series in of_b]
    notes = []
    for side, mine in ((a, of_a), (b, of_b)):
        alone = [one.spelled for series in mine if series not in both for one in mine[series]]
        if alone:
            notes.append(f"{benchmark}: only {side.name} has {', '.join(alone)}.")
    return [_Pair(series, series) for series in both], notes


def _find(name: str, known: Mapping[str, list[Named]], wanted: str) -> tuple[str, int | None]:
    """The series and the size that a strategy spells."""
    asked = parse(wanted)
    size = asked.n if "@" in wanted.partition(":")[0] and asked.name != "cot" else None
    series = series_of(asked)
    if series in known:
        return series, size
    alike = [one for one in known if known[one][0].strategy.name == asked.name]
    if len(alike) == 1 and ":" not in wanted:
        return alike[0], size
    if len(alike) > 1 and ":" not in wanted:
        raise UsageError(f"{name} has several {asked.name}: say which of {', '.join(alike)}.")
    spelled = [one.spelled for those in known.values() for one in those]
    raise unknown(f"strategy of {name}", wanted, spelled)


def _sizes(a: Curve, b: Curve, pair: _Pair) -> list[tuple[int, int]]:
    """The sizes to compare: those asked for, else those that both runs name, else the largest.

    Raises:
        UsageError: a size was asked for that the run cannot give.
    """
    if not a.columns or not b.columns:
        return []
    for curve, size in ((a, pair.size_a), (b, pair.size_b)):
        if size is not None and size not in curve.columns:
            raise unknown(
                "size of " + next(iter(curve.named.values())).strategy.name,
                str(size),
                [str(s) for s in curve.columns],
            )
    if pair.size_a is not None or pair.size_b is not None:
        return [(pair.size_a or max(a.columns), pair.size_b or max(b.columns))]
    if pair.a != pair.b:
        return [(max(a.columns), max(b.columns))]
    both = [size for size in a.columns if size in b.columns]
    named = [s for s in both if all(c.named[s].strategy.n == s for c in (a, b))]
    if named:
        return [(size, size) for size in named]
    return [(both[-1], both[-1])] if both else [(max(a.columns), max(b.columns))]


class _Reached(NamedTuple):
    """A side's curve, the size that is compared, and what its tokens are worth as A's."""

    curve: Curve
    size: int
    scale: float


def _contrast(
    benchmark: str,
    sides: Sequence[_Reached],
    shared: Sequence[tuple[str, Problem]],
    permutations: int,
) -> Contrast | str:
    """One row; a note where nothing can be paired."""
    columns = [side.curve.columns[side.size] for side in sides]
    known = [
        all(key in column and math.isfinite(column[key].score) for column in columns)
        for key, _ in shared
    ]
    kept = [one for one, is_known in zip(shared, known, strict=True) if is_known]
    labels = " / ".join(side.curve.label(side.size) for side in sides)
    if not kept:
        return f"{benchmark}, {labels}: no problem has a graded result on both sides."
    problems = Problems(
        tuple(p.id for _, p in kept),
        tuple(p.source or p.id for _, p in kept),
        tuple(p.level for _, p in kept),
    )
    keys = [key for key, _ in kept]
    a, b = (_reaches(side, keys) for side in sides)
    first, second = a[-1], b[-1]
    equal = at_equal(a, b, problems.clusters, permutations=permutations)
    metrics = [side.curve.metric for side in sides]
    return Contrast(
        benchmark=benchmark,
        metric="solve rate" if all(s.size == 1 for s in sides) else "score",
        a=first,
        b=second,
        matched=match(first.scores, second.scores, problems.clusters, permutations=permutations),
        levels=by_level(first.scores, second.scores, problems, permutations=permutations),
        equal=None if isinstance(equal, str) else equal,
        no_equal=equal if isinstance(equal, str) else "",
        problems=problems,
        unknown=tuple(p.id for (_, p), is_known in zip(shared, known, strict=True) if not is_known),
        ceiling=any(m == "pass@k" and s.size > 1 for m, s in zip(metrics, sides, strict=True)),
    )


def _reaches(side: _Reached, keys: Sequence[str]) -> list[Reach]:
    """A side at every size up to the one compared, on these problems."""
    found = []
    for size, column in side.curve.columns.items():
        if size > side.size:
            break
        counts = side.curve.counts[size]
        total = Counts.total(counts[key] for key in keys)
        reached = np.array([column[key] for key in keys], dtype=np.float64)
        found.append(
            Reach(side.curve.label(size), reached[:, 0], side.scale * reached[:, 1], total)
        )
    return found


def _corrected(found: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """All rows corrected together, and all of them at equal compute."""
    matched = corrected([one.matched for one in found])
    equals = iter(corrected([one.equal.matched for one in found if one.equal is not None]))
    return tuple(
        replace(
            one,
            matched=overall,
            equal=None if one.equal is None else one.equal._replace(matched=next(equals)),
        )
        for one, overall in zip(found, matched, strict=True)
    )


def _info(side: Side) -> SideInfo:
    step = side.evaluation.step if side.trained else None
    return SideInfo(side.name, side.model, str(side.spec.folder), step, side.complete)


def _scale(a: Side, b: Side) -> tuple[float, list[str]]:
    """What a token of B's policy is worth as tokens of A's, and a note where they differ."""
    mine, other = a.info.active_parameters, b.info.active_parameters
    if mine and other:
        if mine == other:
            return 1.0, []
        said = f"tokens of B count {other / mine:.3g} each: its policy has {other:,} active "
        return other / mine, [f"{said}parameters, A's {mine:,}."]
    if a.model == b.model:
        return 1.0, []
    return 1.0, ["the sizes of the models are not known: tokens of both sides count the same."]


def _sets(benchmark: str, a: Mapping[str, Problem], b: Mapping[str, Problem]) -> ProblemSets:
    shared = a.keys() & b.keys()
    alone = [[p.id for key, p in of.items() if key not in shared] for of in (a, b)]
    other = set(alone[0]) & set(alone[1])
    only_a, only_b = (tuple(one for one in ids if one not in other) for ids in alone)
    return ProblemSets(
        benchmark, len(shared), only_a, only_b, tuple(one for one in alone[0] if one in other)
    )
