"""Ranks of entries on the same problems: ranges, so that a tie is never called a win."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from reasonbench.metrics import RankRange, rank_ranges
from reasonbench.reports.data import Entry, Ranking

MISSING = 0.1
"""An entry without a graded result for more than this share of its problems is not ranked."""

AFFORDABLE = 4e10
"""Multiply-adds of the permutation tests of one ranking; half a minute at most."""

ALPHA = 0.05
"""Family-wise error rate over all pairs of a ranking (Holm 1979)."""

PERMUTATIONS = 10_000

Reached = Mapping[str, float]
"""Score of each problem by its key, NaN without a graded sample."""


def rank(
    entries: Sequence[Entry],
    reached: Mapping[str, Reached],
    sources: Mapping[str, str],
) -> Iterator[tuple[Ranking, Mapping[str, RankRange]]]:
    """The rankings of one benchmark: one for each set of problems that entries share.

    Args:
        entries: of the benchmark.
        reached: what each entry reached on each of its problems, by the entry's id.
        sources: of the problems, by key.
    """
    groups: dict[frozenset[str], list[Entry]] = {}
    for entry in entries:
        if not entry.ceiling and entry.accuracy is not None and entry.id in reached:
            groups.setdefault(frozenset(reached[entry.id]), []).append(entry)
    for problems, group in groups.items():
        yield _ranked(sorted(problems), group, reached, sources, alone=len(groups) == 1)


def _ranked(
    problems: Sequence[str],
    group: Sequence[Entry],
    reached: Mapping[str, Reached],
    sources: Mapping[str, str],
    *,
    alone: bool,
) -> tuple[Ranking, Mapping[str, RankRange]]:
    notes = []
    if not alone:
        notes.append("Other entries of this benchmark have other problems and are ranked apart.")
    whole = [e for e in group if _missing(reached[e.id]) <= MISSING]
    if len(whole) < len(group):
        names = ", ".join(f"{e.run}, {e.strategy}" for e in group if e not in whole)
        notes.append(
            f"Not ranked, because more than {MISSING:.0%} of the problems have no graded result: "
            f"{names}."
        )
    known = [key for key in problems if all(math.isfinite(reached[e.id][key]) for e in whole)]
    if whole and len(known) < len(problems):
        notes.append(
            f"Compared on {len(known)} of {len(problems)} problems: the others lack a graded "
            "result of some entry."
        )
    clusters = [sources[key] for key in known]
    ranges: Mapping[str, RankRange] = {}
    pairs = len(whole) * (len(whole) - 1) // 2
    permutations = max(PERMUTATIONS, math.ceil(4 * pairs / ALPHA))
    if len(whole) < 2:
        notes.append("Nothing to rank it against.")
    elif not known:
        notes.append("Not ranked: no problem has a graded result of every entry.")
    elif permutations * len(set(clusters)) * pairs > AFFORDABLE:
        notes.append(
            f"Not ranked: {pairs:,} pairs on {len(known):,} problems are too many to test; report "
            "fewer runs or strategies together."
        )
    else:
        ranges = rank_ranges(
            {e.id: [reached[e.id][key] for key in known] for e in whole},
            clusters,
            alpha=ALPHA,
            permutations=PERMUTATIONS,
        )
    best_first = sorted(group, key=lambda e: -(e.accuracy.value if e.accuracy else -1.0))
    ids = tuple(e.id for e in best_first)
    return Ranking(group[0].benchmark, ids, len(known), " ".join(notes)), ranges


def _missing(column: Reached) -> float:
    return sum(not math.isfinite(score) for score in column.values()) / max(1, len(column))
