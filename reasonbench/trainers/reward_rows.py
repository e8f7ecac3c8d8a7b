"""Solutions of a problem as one row of tokens: the prompt, then the tree of their steps.

Solutions of a problem share their prompt and many of their first steps. Each distinct step stands
in a row once; it sees the prompt and the steps it follows, at the positions it has in a solution
of its own. So the scores are those of every solution read by itself, for less than half of the
tokens.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from reasonbench.trainers.labels import Solution


@dataclass(slots=True)
class StepNode:
    """A step behind all the steps before it.

    Attributes:
        text: of the step alone.
        parent: index of the step before, −1 for a first step.
        right, tried: completions from its end, and those of them that were right.
        correct: whether the solution that ends here is right; None where none ends.
        sampled: on a solution that was sampled from its beginning.
        count: how many of the given solutions pass through it.
        slip: for a step that was made wrong, where in its text.
        label: how good it is, from 0 to 1, where that is given rather than counted. Of solutions
            that share the step and differ, the best one's: something right came of it.
    """

    text: str
    parent: int
    right: int
    tried: int
    correct: bool | None = None
    sampled: bool = False
    count: int = 0
    slip: int | None = None
    label: float | None = None


def step_tree(solutions: Sequence[Solution]) -> list[StepNode]:
    """The distinct steps of a problem's solutions, each after its parent."""
    nodes: list[StepNode] = []
    known: dict[tuple[int, str], int] = {}
    for solution in solutions:
        parent = -1
        labels = solution.labels or (None,) * len(solution.steps)
        columns = solution.steps, solution.right, solution.tried, labels
        for text, right, tried, label in zip(*columns, strict=True):
            index = known.setdefault((parent, text), len(nodes))
            if index == len(nodes):
                nodes.append(StepNode(text, parent, right, tried))
            nodes[index].sampled |= not solution.rolled_out
            nodes[index].count += 1
            if label is not None:
                nodes[index].label = max(label, nodes[index].label or 0.0)
            parent = index
        if parent >= 0:
            nodes[parent].correct = solution.correct
    return nodes


class Row(NamedTuple):
    """A problem with some of its solutions, as the model reads it.

    Attributes:
        ids: the prompt's tokens, then those of every step.
        positions: of every token in the solution it belongs to.
        owner: which step each token belongs to, counted from 1; 0 for the prompt.
        parents: for the prompt (itself) and every step, the step before it, counted likewise.
        ends: where each step's last token stands.
        previous: for every token behind the prompt, where the token before it stands.
        targets: what the score there should be, in [0, 1].
        weights: how much each counts; 0 leaves it out.
    """

    ids: list[int]
    positions: list[int]
    owner: list[int]
    parents: list[int]
    ends: list[int]
    previous: list[int]
    targets: list[float]
    weights: list[float]


class Target(NamedTuple):
    """What a step's score should be, and how much it counts."""

    value: float
    weight: float


def make_row(
    prompt: Sequence[int],
    parents_of: Sequence[int],
    pieces: Sequence[Sequence[int]],
    targets: Sequence[Target],
) -> Row:
    """The row of a problem.

    Args:
        prompt: its tokens.
        parents_of: for each step the step before it, −1 for a first one.
        pieces: the tokens of each step.
        targets: what the score of each step should be.
    """
    ids, owner = list(prompt), [0] * len(prompt)
    positions = list(range(len(prompt)))
    parents, ends, lengths, previous = [0], list[int](), [len(prompt)], list[int]()
    for index, (parent, piece) in enumerate(zip(parents_of, pieces, strict=True), 1):
        start = lengths[parent + 1]
        if piece:
            before = ends[parent] if parent >= 0 else len(prompt) - 1
            previous += [before, *range(len(ids), len(ids) + len(piece) - 1)]
        ids += piece
        owner += [index] * len(piece)
        positions += range(start, start + len(piece))
        lengths.append(start + len(piece))
        parents.append(parent + 1)
        ends.append(len(ids) - 1)
    return Row(
        ids,
        positions,
        owner,
        parents,
        ends,
        previous,
        [t.value for t in targets],
        [t.weight for t in targets],
    )


def slipped(nodes: Sequence[StepNode], share: float, least: int, seed: str) -> list[StepNode]:
    """Right steps with one digit of a value changed, which makes them wrong.

    Slips are rare in what a policy samples, so roll-outs label few of them; the best-scored wrong
    solution among many samples is one with a single slip.

    Args:
        share: of the right steps that write a value, how many get a wrong twin.
        least: a step is right where at least half of so many completions were (a last step where
            its solution is).
        seed: which steps and digits.
    """
    rng = random.Random(seed)
    made: list[StepNode] = []
    for node in nodes:
        right = node.correct or (
            node.correct is None and node.tried >= least and 2 * node.right >= node.tried
        )
        value = _VALUE.search(node.text)
        if not right or value is None or rng.random() >= share:
            continue
        places = range(*value.span(1))
        if rng.random() < 0.5:
            start = max(node.text.find("="), node.text.find("boxed{"))
            places = range(start + 1, value.end(1))
        place = rng.choice([i for i in places if node.text[i].isdigit()])
        digit = rng.choice([d for d in "0123456789" if d != node.text[place]])
        text = node.text[:place] + digit + node.text[place + 1 :]
        correct = None if node.correct is None else False
        tried = max(least, node.tried)
        made.append(StepNode(text, node.parent, 0, tried, correct, slip=place))
    return made


_VALUE = re.compile(r"(?:=|boxed\{)(\d+)\}?\s*$")
"""The value that a step ends with. Where something is said of it, as in a try's "no", it may do no
harm."""


def bundles(nodes: Sequence[StepNode], lengths: Sequence[int], room: int) -> list[list[int]]:
    """Solutions gathered into rows: for each row the steps it holds, each after its parent.

    Solutions that share steps come together. Attention costs the square of a row's length, so
    several short rows are cheaper than a long one although the steps they share stand in each.

    Args:
        lengths: tokens of each step.
        room: tokens of all steps of a row; a solution that is longer is left out.
    """
    inner = {node.parent for node in nodes}
    order = sorted((line(nodes, i), i) for i in range(len(nodes)) if i not in inner)
    made: list[list[int]] = []
    size = 0
    for path, _ in order:
        new = path if not made else [i for i in path if i not in made[-1]]
        more = sum(lengths[i] for i in new)
        if made and size + more <= room:
            made[-1] += new
            size += more
        elif (whole := sum(lengths[i] for i in path)) <= room:
            made.append(list(path))
            size = whole
    return [sorted(steps) for steps in made]


def line(nodes: Sequence[StepNode], index: int) -> list[int]:
    """The steps up to one, itself included."""
    found: list[int] = []
    while index >= 0:
        found.append(index)
        index = nodes[index].parent
    return found[::-1]


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows as tensors.

    Attributes:
        ids, positions: (rows, length), padded on the right.
        mask: (rows, 1, length, length), 0 where a token may look and very negative elsewhere.
        where: (steps,) places of the counted steps' last tokens in the flattened ids.
        targets, weights: (steps,).
        row: (steps,) which row each counted step is of.
        tokens, previous: (tokens,) places of the solutions' tokens, and of those before them.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    where: Tensor
    targets: Tensor
    weights: Tensor
    row: Tensor
    tokens: Tensor
    previous: Tensor

    def to(self, device: torch.device) -> RowBatch:
        """The same on a device."""
        return RowBatch(*(getattr(self, f.name).to(device) for f in fields(self)))


def pad_rows(rows: Sequence[Row], pad_id: int, multiple: int, dtype: torch.dtype) -> RowBatch:
    """Tensors of some rows; the length is rounded up to a multiple."""
    length = -(-max(len(r.ids) for r in rows) // multiple) * multiple
    ids = torch.full((len(rows), length), pad_id)
    positions = torch.zeros((len(rows), length), dtype=torch.long)
    mask = torch.full((len(rows), 1, length, length), -1e4, dtype=dtype)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    where, targets, weights, owners = list[int](), list[float](), list[float](), list[int]()
    tokens, previous = list[int](), list[int]()
    for index, row in enumerate(rows):
        n = len(row.ids)
        ids[index, :n] = torch.tensor(row.ids)
        positions[index, :n] = torch.tensor(row.positions)
        owner = torch.tensor(row.owner)
        seen = ancestry(row.parents)[owner][:, owner] & causal[:n, :n]
        mask[index, 0, :n, :n].masked_fill_(seen, 0.0)
        mask[index, 0, n:, 0] = 0.0  # padding looks somewhere, so that its softmax is a number
        tokens += range(index * length + n - len(row.previous), index * length + n)
        previous += [index * length + place for place in row.previous]
        for end, target, weight in zip(row.ends, row.targets, row.weights, strict=True):
            if weight:
                where.append(index * length + end)
                targets.append(target)
                weights.append(weight)
                owners.append(index)
    return RowBatch(
        ids,
        positions,
        mask,
        torch.tensor(where, dtype=torch.long),
        torch.tensor(targets),
        torch.tensor(weights),
        torch.tensor(owners, dtype=torch.long),
        torch.tensor(tokens, dtype=torch.long),
        torch.tensor(previous, dtype=torch.long),
    )


def ancestry(parents: Sequence[int]) -> Tensor:
    """(steps, steps): whether the second step is the first one or comes before it."""
    seen = torch.eye(len(parents), dtype=torch.bool)
    for index, parent in enumerate(parents):
        if index:
            seen[index] |= seen[parent]
    return seen
