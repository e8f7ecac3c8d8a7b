"""Training problems of the built-in families as benchmarks."""

from __future__ import annotations

import asyncio

import pytest

from reasonbench.benchmarks import load, resolve
from reasonbench.benchmarks.builtin_training import FAMILIES
from reasonbench.benchmarks.selfcheck import self_check
from reasonbench.errors import UsageError


@pytest.mark.parametrize("family", FAMILIES)
def test_they_are_as_many_as_asked_for_and_none_is_a_test_problem(family: str) -> None:
    loaded = load(resolve(f"builtin-{family}-train:problems=200"))
    test = {p.question.text.lower() for p in load(resolve(f"builtin-{family}")).problems}
    assert len(loaded.problems) == 200
    assert {p.benchmark for p in loaded.problems} == {f"builtin-{family}-train"}
    assert not test & {p.question.text.lower() for p in loaded.problems}


def test_more_problems_begin_with_the_same_and_another_seed_gives_others() -> None:
    def texts(options: str) -> list[str]:
        found = load(resolve(f"builtin-arithmetic-train:{options}")).problems
        return [problem.question.text for problem in found]

    assert texts("problems=50")[:20] == texts("problems=20")
    assert not set(texts("problems=20,seed=1")) & set(texts("problems=20"))


def test_their_own_answers_pass_their_grader() -> None:
    loaded = load(resolve("builtin-arithmetic-train:problems=30"))
    assert asyncio.run(self_check(loaded)) == []


@pytest.mark.parametrize("options", ["problems=0", "problems=-1", "seed=x", "level=3"])
def test_options_that_mean_nothing_are_refused(options: str) -> None:
    with pytest.raises(UsageError, match="builtin-countdown-train"):
        resolve(f"builtin-countdown-train:{options}")
