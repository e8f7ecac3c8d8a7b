"""Step labels by a binary search for the first error (OmegaPRM; Luo et al. 2024, section 3.2).

A solution that came out wrong was right up to some step. Once no completion from a step is right,
none from a later one is taken to be either, so the first such step is found by halving: ⌈log₂ K⌉
steps of K are tried instead of all. Everything before it is good, it and all behind it is bad. A
right solution is good throughout.

Left out on purpose: the paper's tree search, which chooses among the roll-outs which to search in
next. Every sampled solution is searched once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reasonbench.policy import Policy
from reasonbench.trainers.labels import Counts, Judge, Solution, is_correct, sample_solutions
from reasonbench.tree import Node


@dataclass
class _Search:
    """One wrong solution: from `good` steps something came out right, from `bad` nothing did.

    Attributes:
        line: its steps.
        good: how many first steps are known to be good; 0 is the question itself.
        bad: how many first steps are known to hold an error.
        lost: every roll-out of a step failed, so what lies between the two is not known.
    """

    line: Sequence[Node]
    good: int
    bad: int
    lost: bool = False

    @property
    def open(self) -> bool:
        return self.bad - self.good > 1 and not self.lost

    @property
    def middle(self) -> Node:
        """The end of the step to try next."""
        return self.line[(self.good + self.bad) // 2 - 1]


async def first_errors(
    policy: Policy, judge: Judge, *, solutions: int = 4, n: int = 8, max_steps: int = 40
) -> list[Solution]:
    """Samples solutions of one problem and finds the first error of each wrong one.

    The result depends on the policy's seed alone, not on what else its engine is doing.

    Args:
        policy: the engine bound to the problem; its boundary says what a step is.
        judge: whether a whole solution is right.
        solutions: how many to sample.
        n: completions from the end of a step that is tried (paper: 8).
        max_steps: the most steps of a solution; longer ones are left out.

    Returns:
        The sampled solutions with `labels`, then the roll-outs as solutions of their own without.
        Where nothing at all came out right only the last step of each has a label: the others' say
        what the policy cannot solve rather than which step is wrong. What is left out is as in
        `labels.math_shepherd`.
    """
    sampled = await sample_solutions(policy, solutions, max_steps)
    counts = Counts(policy.boundary)
    verdicts = await asyncio.gather(*(is_correct(node, judge) for node in sampled))
    for node, correct in zip(sampled, verdicts, strict=True):
        counts.add(node.solution(), correct)
    searches = {
        index: _Search(node.line(), 0, len(node.line()))
        for index, (node, correct) in enumerate(zip(sampled, verdicts, strict=True))
        if not correct
    }
    rolled: list[tuple[str, bool]] = []
    while starts := _next(list(searches.values()), counts, n):
        wanted = [
            (text, node) for text, node in starts.items() for _ in range(n - counts.tried[text])
        ]
        ends = await policy.roll_out([node for _, node in wanted])
        verdicts = await asyncio.gather(*(is_correct(end, judge) for end in ends))
        for (text, _), end, correct in zip(wanted, ends, verdicts, strict=True):
            if end.end == "failed":
                continue
            # what came through a later step says nothing of how often an earlier one is completed
            counts.add(end.solution(), correct, text)
            if end.finished:
                rolled.append((end.solution(), correct))
        for search in searches.values():
            if search.open:
                _halve(search, counts, n)
    solved = any(counts.right.values())
    made = []
    for index, node in enumerate(sampled):
        found = counts.solution(node.solution(), index not in searches, False)
        labels = _labels(len(found.steps), searches.get(index), solved)
        made.append(replace(found, labels=labels))
    return made + [counts.solution(text, correct, True) for text, correct in rolled]


def _labels(steps: int, search: _Search | None, solved: bool) -> tuple[float | None, ...]:
    if search is None:
        return (1.0,) * steps
    if not solved:
        return (*[None] * (steps - 1), 0.0)
    unknown = search.bad - search.good - 1
    return (*[1.0] * search.good, *[None] * unknown, *[0.0] * (steps - search.bad + 1))


def _next(searches: Sequence[_Search], counts: Counts, n: int) -> dict[str, Node]:
    """The step ends to try, each once; searches that need no roll-outs for theirs go on."""
    starts: dict[str, Node] = {}
    for search in searches:
        while search.open:
            text = search.middle.solution()
            if not counts.right[text] and counts.tried[text] < n:
                starts.setdefault(text, search.middle)
                break
            _halve(search, counts, n)
    return starts


def _halve(search: _Search, counts: Counts, n: int) -> None:
    """Takes what is known of the middle step; one solution passes through it in any case."""
    text, place = search.middle.solution(), (search.good + search.bad) // 2
    if counts.right[text]:
        search.good = place
    elif counts.tried[text] >= min(2, n):
        search.bad = place
    else:
        search.lost = True
