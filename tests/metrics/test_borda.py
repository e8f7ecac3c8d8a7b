"""borda@k: votes by rank."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.errors import UsageError
from reasonbench.metrics import ProblemPool, metric
from reasonbench.metrics.ballot import ballot
from reasonbench.metrics.votes import expected_votes
from reasonbench.strategies import parse
from reasonbench.strategies.base import Candidate


def pool(
    classes: tuple[int, ...],
    correct: tuple[bool | None, ...],
    scores: tuple[float | None, ...],
    power: float = 0.5,
) -> ProblemPool:
    return ProblemPool("p", correct, classes, scores=scores, power=power)


def by_hand(p: ProblemPool, k: int) -> float:
    """Every subset, ranked and counted one by one."""
    assert p.scores is not None
    worth = {c: np.mean([v for v, d in zip(p.correct, p.classes, strict=True) if c == d])
             for c in p.classes}  # fmt: skip
    results = []
    for chosen in itertools.combinations(range(len(p.classes)), k):
        ranked = sorted(chosen, key=lambda i: (-p.scores[i], i))
        totals: dict[int, float] = defaultdict(float)
        for rank, i in enumerate(ranked, start=1):
            if p.classes[i] >= 0:
                totals[p.classes[i]] += (k - rank + 1) ** p.power
        top = [c for c, t in totals.items() if t >= max(totals.values()) * (1 - 1e-9)]
        results.append(np.mean([worth[c] for c in top]) if top else 0.0)
    return float(np.mean(results))


def test_the_surest_outvotes_two_only_where_the_exponent_is_large() -> None:
    # Ranks 1, 2, 3 weigh 3^p, 2^p, 1: at p = 1 the first ties with the others' 2 + 1.
    classes, correct, scores = (0, 1, 1), (True, False, False), (3.0, 2.0, 1.0)
    for power, value in ((0.5, 0.0), (1.0, 0.5), (2.0, 1.0)):
        assert metric([pool(classes, correct, scores, power)], "borda@k", 3).value == value


def test_who_has_no_answer_holds_the_rank_and_abstains() -> None:
    # Of three the abstainer is the surest: 2 votes against 1, not 3 against 2; the same winner,
    # but with p = 1 a class of ranks 2 and 4 (3 + 1) ties with none: {rank 3} has 2.
    p = pool((-1, 0, 1, 0), (False, False, True, False), (4.0, 3.0, 2.0, 1.0), 1.0)
    assert metric([p], "borda@k", 4).value == 0.0
    assert metric([pool((-1, -1), (False, False), (1.0, 2.0))], "borda@k", 2).value == 0.0


def test_a_missing_score_ranks_last() -> None:
    p = pool((0, 1), (True, False), (None, -9.0))
    assert metric([p], "borda@k", 2).value == 0.0


def test_scores_are_needed() -> None:
    with pytest.raises(UsageError, match="scores"):
        metric([ProblemPool("p", (True,), (0,))], "borda@k", 1)


@given(
    st.lists(
        st.tuples(st.integers(-1, 2), st.booleans(), st.integers(0, 9)), min_size=1, max_size=7
    ),
    st.sampled_from([0.5, 1.0, 1.7]),
    st.data(),
)
def test_the_estimate_is_the_mean_over_all_subsets(
    drawn: list[tuple[int, bool, int]], power: float, data: st.DataObject
) -> None:
    classes, correct, scores = zip(*drawn, strict=True)
    # who gives no answer is not right
    right = tuple(v and c >= 0 for c, v in zip(classes, correct, strict=True))
    p = pool(classes, right, tuple(map(float, scores)), power)
    k = data.draw(st.integers(1, len(classes)))
    assert metric([p], "borda@k", k).value == pytest.approx(by_hand(p, k), abs=1e-9)


@given(st.lists(st.tuples(st.integers(-1, 2), st.booleans(), st.floats(-5, 5)), min_size=2))
def test_without_an_exponent_it_is_the_majority(drawn: list[tuple[int, bool, float]]) -> None:
    classes, correct, scores = zip(*drawn, strict=True)
    p = pool(classes, correct, scores, 0.0)
    n = len(classes)
    assert metric([p], "borda@k", n).value == pytest.approx(metric([p], "maj@k", n).value)


def test_drawn_subsets_agree_with_all_of_them() -> None:
    generator = np.random.default_rng(3)
    classes = generator.integers(0, 4, 18).tolist()
    correct = [c == 0 for c in classes]
    scores = generator.normal(size=18).tolist()
    [[estimate]] = expected_votes(
        [ballot(classes, correct, scores=scores, power=0.5)], [[9]], target=0.002
    )
    assert 0 < estimate.stderr < 0.002
    whole = by_hand(pool(tuple(classes), tuple(correct), tuple(scores)), 9)
    assert estimate.value == pytest.approx(whole, abs=5 * estimate.stderr)


def test_the_strategy_answers_with_the_winner() -> None:
    strategy = parse("selfcert@3:p=2")
    candidates = [Candidate(1, 0.1), Candidate(0, 0.3), Candidate(1, 0.2)]
    assert strategy.power == 2.0
    assert strategy.choose(candidates, 0) == 1  # 9 votes against 4 + 1
    assert parse("selfcert@3").choose(candidates, 0) == 0  # 1.73 against 1.41 + 1
