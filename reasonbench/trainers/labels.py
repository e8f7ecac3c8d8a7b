"""Step labels by roll-outs (Math-Shepherd; Wang et al. 2024, section 3.3).

A step is good if the solution can still be completed rightly from its end: the policy completes
it n times, and the grader judges the completions. Nothing but the grader is needed, so this works
for every benchmark whose answers can be graded.

Completions are counted at every step end they pass through, which is an unbiased sample there too:
a step that several solutions share, or that roll-outs from an earlier step passed through, needs
fewer roll-outs of its own. So do steps after one from which nothing came out right (`dead_ends`):
they count as wrong without any.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from reasonbench.policy import Policy
from reasonbench.steps import Boundary, split
from reasonbench.tree import Node
from reasonbench.types import Completion

Judge = Callable[[Completion], Awaitable[bool]]
"""Whether a whole solution is right; the text of the completion is the solution's."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A whole solution with what is known of the end of each of its steps.

    Attributes:
        steps: its text, cut into steps.
        right: for each step, completions from its end that were right, this solution included.
        tried: for each step, all completions from its end.
        correct: whether the solution itself is right; None where nobody says.
        rolled_out: it began as the step of another one.
        labels: for each step how good it is, from 0 to 1 (None where nobody says), where that is
            not counted but given: by people, or by a search for the first error.
    """

    steps: tuple[str, ...]
    right: tuple[int, ...]
    tried: tuple[int, ...]
    correct: bool | None
    rolled_out: bool = False
    labels: tuple[float | None, ...] | None = None

    def soft(self) -> tuple[float, ...]:
        """The share of right completions from each step."""
        return tuple(r / t for r, t in zip(self.right, self.tried, strict=True))

    def hard(self, least: int) -> tuple[bool | None, ...]:
        """Whether any completion from each step was right; the whole's own verdict at its end.

        None where nothing was right in fewer than `least` tries, unless an earlier step, tried as
        often, led nowhere either.
        """
        labels: list[bool | None] = []
        dead = False
        for right, tried in zip(self.right[:-1], self.tried[:-1], strict=True):
            dead = dead or (right == 0 and tried >= least)
            labels.append(True if right else False if dead else None)
        return (*labels, self.correct)


@dataclass
class Counts:
    """Completions by the text they begin with, counted at the ends of steps."""

    boundary: Boundary
    right: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)

    def add(self, text: str, correct: bool, start: str = "") -> None:
        """Counts a completion at the ends of its steps, those before `start` left out."""
        for prefix in self.prefixes(text):
            if len(prefix) >= len(start):
                self.tried[prefix] += 1
                self.right[prefix] += correct

    def prefixes(self, text: str) -> list[str]:
        found: list[str] = []
        for step in split(text, self.boundary):
            found.append((found[-1] if found else "") + step)
        return found

    def solution(self, text: str, correct: bool, rolled_out: bool) -> Solution:
        prefixes = self.prefixes(text)
        return Solution(
            split(text, self.boundary),
            tuple(self.right[p] for p in prefixes),
            tuple(self.tried[p] for p in prefixes),
            correct,
            rolled_out,
        )


async def math_shepherd(
    policy: Policy,
    judge: Judge,
    *,
    solutions: int = 4,
    n: int = 8,
    dead_ends: bool = True,
    max_steps: int = 40,
) -> list[Solution]:
    """Samples solutions of one problem and labels the end of each of their steps.

    The result depends on the policy's seed alone, not on what else its engine is doing.

    Args:
        policy: the engine bound to the problem; its boundary says what a step is.
        judge: whether a whole solution is right.
        solutions: how many to sample.
        n: completions from the end of each step (paper: 8).
        dead_ends: sample none after a step from which all n were wrong.
        max_steps: the most steps of a solution; longer ones are left out.

    Returns:
        The sampled solutions, then the roll-outs as solutions of their own. Empty ones, those that
        a token limit cut and those whose request failed are left out (a cut roll-out counts as
        wrong).
    """
    sampled = await sample_solutions(policy, solutions, max_steps)
    counts = Counts(policy.boundary)
    verdicts = await asyncio.gather(*(is_correct(node, judge) for node in sampled))
    for node, correct in zip(sampled, verdicts, strict=True):
        counts.add(node.solution(), correct)
    rolled: list[tuple[str, bool]] = []
    depth = max((len(node.path) for node in sampled), default=0)
    for level in range(1, depth):
        starts: dict[str, Node] = {}
        for node in sampled:
            line = node.line()
            if len(line) <= level:
                continue
            before = line[level - 2].solution() if level > 1 else None
            if dead_ends and before is not None and not counts.right[before]:
                continue
            starts.setdefault(line[level - 1].solution(), line[level - 1])
        wanted = [node for text, node in starts.items() for _ in range(n - counts.tried[text])]
        ends = await policy.roll_out(wanted)
        ends = [end for end in ends if end.end != "failed"]
        verdicts = await asyncio.gather(*(is_correct(end, judge) for end in ends))
        for end, correct in zip(ends, verdicts, strict=True):
            counts.add(end.solution(), correct)
            if end.finished:
                rolled.append((end.solution(), correct))
    own = [(node.solution(), counts.right[node.solution()] > 0) for node in sampled]
    made = [counts.solution(text, correct, False) for text, correct in own]
    return made + [counts.solution(text, correct, True) for text, correct in rolled]


async def sample_solutions(policy: Policy, solutions: int, max_steps: int) -> list[Node]:
    """Finished solutions, grown step by step, so that every step's end is known in tokens."""
    open_nodes = (await policy.grow([(policy.root(), solutions)]))[0]
    finished: list[Node] = []
    for _ in range(max_steps):
        finished += [node for node in open_nodes if node.finished]
        open_nodes = [node for node in open_nodes if node.end is None]
        if not open_nodes:
            break
        grown = await policy.grow([(node, 1) for node in open_nodes])
        open_nodes = [child for made in grown for child in made]
    return sorted((n for n in finished if n.solution()), key=lambda node: node.path)


async def is_correct(node: Node, judge: Judge) -> bool:
    """Whether a path is a whole solution and right."""
    if not node.finished:
        return False
    return await judge(Completion(node.token_ids(), node.solution(), "stop"))


def agreement(labels: Sequence[bool], exact: Sequence[bool]) -> dict[str, float]:
    """How labels compare with exact ones: share that agree, and the errors of either kind.

    Returns:
        `agreement`; `false_good`: share of wrong steps that are labelled good; `false_bad`: share
        of right steps that are labelled bad.
    """
    pairs = list(zip(labels, exact, strict=True))
    wrong = [label for label, truth in pairs if not truth]
    right = [label for label, truth in pairs if truth]
    return {
        "agreement": sum(label == truth for label, truth in pairs) / max(1, len(pairs)),
        "false_good": sum(wrong) / max(1, len(wrong)),
        "false_bad": sum(not label for label in right) / max(1, len(right)),
    }
