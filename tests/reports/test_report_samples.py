"""Charts of samples against what they mean, worked out sample by sample."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.metrics import aggregate, pass_at_1
from reasonbench.reports.columns import Drawn
from reasonbench.reports.samples import cap_curve, ceiling, lengths, solve_rates
from reasonbench.reports.stored import PoolFacts


class One(NamedTuple):
    """A stored sample."""

    verdict: bool | None
    finish: str
    tokens: int


def facts(problems: list[list[One]]) -> PoolFacts:
    flat = [(i, one) for i, samples in enumerate(problems) for one in samples]
    names = [f"p{i}" for i in range(len(problems))]
    nobody = [None] * len(problems)
    drawn = Drawn(
        np.array([i for i, _ in flat], dtype=np.int32),
        np.array([one.tokens for _, one in flat], dtype=np.int32),
        np.array([one.verdict is True for _, one in flat], dtype=bool),
        np.array([one.verdict is not None for _, one in flat], dtype=bool),
        np.array([one.finish == "stop" for _, one in flat], dtype=bool),
        np.array([one.finish == "length" for _, one in flat], dtype=bool),
    )
    return PoolFacts(
        "b",
        "p",
        ("cot@1",),
        True,
        names,
        names,
        names,
        nobody,
        nobody,
        {},
        True,
        drawn,
        [],
        0,
        0,
        0,
    )


ENDED = st.builds(
    One, st.sampled_from([True, False, None]), st.just("stop"), st.integers(1, 300)
) | st.builds(One, st.just(False), st.just("length"), st.integers(1, 300))
FAILED = st.just(One(None, "failed", 0))
PROBLEMS = st.lists(st.lists(ENDED | FAILED, min_size=0, max_size=6), min_size=1, max_size=6)


def shortened(one: One, cap: int) -> bool | None:
    """The verdict of a sample whose generation ends at a cap."""
    return False if one.finish != "failed" and one.tokens > cap else one.verdict


@given(PROBLEMS)
def test_a_cap_is_pass_at_1_of_shortened_completions(problems: list[list[One]]) -> None:
    found = cap_curve("r", "m", facts(problems))
    drawn = [one for samples in problems for one in samples if one.finish != "failed"]
    graded = any(one.verdict is not None for samples in problems for one in samples)
    assert (found is None) == (not drawn or not graded)
    for point in found.points if found else ():
        verdicts = [[shortened(one, point.cap) for one in samples] for samples in problems]
        known = [i for i, v in enumerate(verdicts) if any(x is not None for x in v)]
        wanted = aggregate([pass_at_1(verdicts[i]) for i in known], [f"p{i}" for i in known])
        assert point.accuracy == pytest.approx((*wanted[:3], wanted.kind))
        assert point.cut == sum(one.tokens > point.cap for one in drawn) / len(drawn)
    if found:
        assert found.points[-1].cap == max(one.tokens for one in drawn)
        assert found.points[-1].cut == 0
        assert found.samples == len(drawn)


@given(PROBLEMS)
def test_every_completion_is_in_one_length_bin(problems: list[list[One]]) -> None:
    found = lengths("r", "m", facts(problems))
    drawn = [one for samples in problems for one in samples if one.finish != "failed"]
    assert (found is None) == (not drawn)
    for one in found.bins if found else ():
        inside = [x for x in drawn if one.low <= x.tokens < one.high]
        ended = [x for x in inside if x.finish == "stop"]
        assert one[2:] == (
            sum(x.verdict is True for x in ended),
            sum(x.verdict is False for x in ended),
            len(inside) - len(ended),
            sum(x.verdict is None for x in ended),
        )
    if found:
        assert sum(sum(one[2:]) for one in found.bins) == len(drawn)
        assert all(a.high == b.low for a, b in pairwise(found.bins))


@given(PROBLEMS)
def test_solve_rates_are_counts(problems: list[list[One]]) -> None:
    rates = solve_rates("r", "m", facts(problems)).problems
    assert [(r.right, r.graded, r.samples, r.truncated) for r in rates] == [
        (
            sum(one.verdict is True for one in samples),
            sum(one.verdict is not None for one in samples),
            len(samples),
            sum(one.finish == "length" for one in samples),
        )
        for samples in problems
    ]


@given(PROBLEMS)
def test_the_ceiling_never_falls_and_begins_at_pass_at_1(problems: list[list[One]]) -> None:
    found = ceiling("r", "m", facts(problems))
    graded = [[x.verdict for x in p if x.verdict is not None] for p in problems]
    assert (found is None) == (not any(graded))
    if found:
        values = [point.accuracy.value for point in found.points]
        assert values == sorted(values)
        known = [pass_at_1(verdicts) for verdicts in graded if verdicts]
        assert values[0] == pytest.approx(sum(known) / len(known))
        assert values[-1] == pytest.approx(
            sum(any(verdicts) for verdicts in graded if verdicts) / len(known)
        )
