"""The binary search for the first error: what it tries, what it finds, what that costs."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonbench.engines import EngineError
from reasonbench.policy import Policy
from reasonbench.trainers.first_error import first_errors
from reasonbench.trainers.labels import Solution, math_shepherd
from reasonbench.tree import ROLL_OUT
from reasonbench.types import Completion, Prompt, RequestKey, SamplingParams
from tests.trainers.test_labels import QUESTION, STEP, Writer, is_one

STEPS = 10


class Careless(Writer):
    """Every solution has ten steps; sample i errs in step `errors[i]`, or nowhere (0).

    From before its error a solution is completed rightly, from behind it never.
    """

    def __init__(self, errors: list[int], fail_at: str | None = None) -> None:
        super().__init__()
        self.errors, self.fail_at = errors, fail_at

    async def sample(self, prompt: Prompt, params: SamplingParams, key: RequestKey) -> Completion:
        so_far = prompt.text.removeprefix("Q")
        self.asked[so_far] += 1
        done = so_far.count(STEP)
        if ROLL_OUT in key.path:
            if so_far == self.fail_at:
                raise EngineError("no room")
            wrong = "!" in so_far
            return self._last("0" if wrong else "1")
        error = self.errors[key.path[0]]
        mark = "!" if done + 1 == error else "."
        if done + 1 < STEPS:
            text = f"{key.path[0]}{mark}{STEP}"
            return Completion(tuple(map(ord, text)), text, "stop", STEP)
        return self._last("1" if not error else f"0{mark}")

    def _last(self, text: str) -> Completion:
        return Completion((*map(ord, text), 0), text, "stop")


def search(engine: Careless, n: int = 4, solutions: int | None = None) -> list[Solution]:
    found = asyncio.run(
        first_errors(bound(engine), is_one, solutions=solutions or len(engine.errors), n=n)
    )
    return [s for s in found if not s.rolled_out]


def bound(engine: Careless) -> Policy:
    prompt: Any = Prompt((1,), "Q")
    return Policy(engine, QUESTION, prompt, SamplingParams())  # type: ignore[arg-type]


@pytest.mark.parametrize("error", range(1, STEPS + 1))
def test_the_first_error_is_found_wherever_it_is(error: int) -> None:
    right, wrong = search(Careless([0, error]))
    assert right.labels == (1.0,) * STEPS
    assert wrong.labels == (*[1.0] * (error - 1), *[0.0] * (STEPS - error + 1))
    assert (right.correct, wrong.correct) == (True, False)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, STEPS), min_size=1, max_size=4), st.integers(1, 4))
def test_a_search_tries_no_more_steps_than_halving_does(errors: list[int], n: int) -> None:
    engine = Careless(errors)
    search(engine, n)
    wrong = [i for i, error in enumerate(errors) if error]
    rolled = {t: c for t, c in engine.asked.items() if c > 1}
    tried: Counter[str] = Counter(t[0] for t in rolled if t)
    for index in wrong:
        assert tried[str(index)] <= math.ceil(math.log2(STEPS))


def test_it_costs_less_than_trying_every_step() -> None:
    errors = [0, 9, 10, 8]
    one, two = Careless(errors), Careless(errors)
    search(one, 8)
    asyncio.run(math_shepherd(bound(two), is_one, solutions=4, n=8))
    steps = len(errors) * STEPS
    halved, whole = one.asked.total() - steps, two.asked.total() - steps
    # each completion passed through a step once already, so at most 7 more are wanted there
    assert halved <= 3 * 4 * 7
    assert whole > 2.5 * halved


def test_what_came_through_a_later_step_is_no_try_of_an_earlier_one() -> None:
    engine = Careless([0, 2])
    search(engine, 4)
    # step 5 is tried, then 2 although four completions passed through it, then 1
    assert {t.count(STEP): c for t, c in engine.asked.items() if c > 1 and t[:1] == "1"} == {
        5: 1 + 3, 2: 1 + 3, 1: 1 + 3,
    }  # fmt: skip


def test_of_a_problem_that_nothing_solves_only_the_ends_are_known() -> None:
    (found,) = search(Careless([1]))
    assert found.labels == (*[None] * (STEPS - 1), 0.0)


def test_where_every_roll_out_fails_the_steps_between_are_not_known() -> None:
    engine = Careless([0, 7])
    engine.fail_at = "".join(f"1.{STEP}" for _ in range(5))
    _, wrong = search(engine)
    assert wrong.labels == (*[None] * (STEPS - 1), 0.0)
    engine = Careless([0, 9], "".join(f"1.{STEP}" for _ in range(7)))
    _, wrong = search(engine)
    assert wrong.labels == (*[1.0] * 5, *[None] * 4, 0.0)


def test_roll_outs_come_back_as_solutions_of_their_own() -> None:
    found = asyncio.run(first_errors(bound(Careless([0, 3])), is_one, solutions=2, n=4))
    rolled = [s for s in found if s.rolled_out]
    assert all(s.labels is None for s in rolled)
    assert {s.correct for s in rolled} == {True, False}
