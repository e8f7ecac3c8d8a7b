"""Labelled problems to batches of rows, at a position that can be stored."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reasonbench.errors import UsageError
from reasonbench.prompts import messages
from reasonbench.trainers.attention import MULTIPLE
from reasonbench.trainers.batching import Position
from reasonbench.trainers.preference_rows import turn_end
from reasonbench.trainers.reward_config import RewardTraining
from reasonbench.trainers.reward_labels import Labelled
from reasonbench.trainers.reward_rows import (
    Row,
    StepNode,
    Target,
    bundles,
    make_row,
    slipped,
    step_tree,
)
from reasonbench.types import Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

Targets = Callable[[Sequence[StepNode]], list[Target]]
"""What the scores of a problem's steps should be."""


class RowMaker:
    """Turns labelled problems into rows.

    Args:
        tokenizer: of the reward model, with a chat template.
        config: how much of a problem is read, and how it is asked.
        targets: what the scores should be.
        closed: solutions end as an assistant's turn does, and are judged there.

    Attributes:
        solutions: how many were made rows of, or were too long for one, in all calls.
        too_long: those of them that `max_length` left out.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        config: RewardTraining,
        targets: Targets,
        closed: bool = False,
    ) -> None:
        self._tokenizer = tokenizer
        self._config = config
        self._targets = targets
        self._closing = turn_end(tokenizer) if closed else ""
        self.solutions = self.too_long = 0

    def encode(self, text: str) -> list[int]:
        """The tokens of a piece of a solution."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def prompt(self, question: str, instruction: str) -> list[int]:
        """The tokens of the question as the policy is asked it."""
        asked = Question("", "", question, instruction)
        text = self._tokenizer.apply_chat_template(
            [m._asdict() for m in messages(asked)], tokenize=False, add_generation_prompt=True
        )
        return self.encode(str(text))

    def rows(self, problem: Labelled, seed: str, slips: float | None = None) -> list[Row]:
        """The rows of one problem; which prompt they have is drawn by the seed.

        A step that stands in several rows counts in the first one only. `slips` goes before the
        configuration's.
        """
        config = self._config
        bare = random.Random(seed).random() < config.bare
        prompt = self.prompt(problem.question, "" if bare else problem.instruction)
        nodes = step_tree([s for s in problem.solutions if config.rolled_out or not s.rolled_out])
        share = config.slips if slips is None else slips
        nodes += slipped(nodes, share, config.labels.n, seed)
        if self._closing:
            ends = [i for i, node in enumerate(nodes) if node.correct is not None]
            last = [nodes[i] for i in ends]
            nodes = [replace(node, correct=None) for node in nodes]
            nodes += [
                StepNode(self._closing, i, n.right, n.tried, n.correct)
                for i, n in zip(ends, last, strict=True)
            ]
        targets = self._targets(nodes)
        if not self._closing:
            targets = [_given(n, t) for n, t in zip(nodes, targets, strict=True)]
        pieces = [self.encode(node.text) for node in nodes]
        counted: set[int] = set()
        made: list[Row] = []
        room = config.max_length - len(prompt)
        for steps in bundles(nodes, [len(p) for p in pieces], room):
            place = {-1: -1} | {step: i for i, step in enumerate(steps)}
            row = make_row(
                prompt,
                [place[nodes[i].parent] for i in steps],
                [pieces[i] for i in steps],
                [Target(0.0, 0.0) if i in counted else targets[i] for i in steps],
            )
            counted.update(steps)
            if any(row.weights):
                made.append(row)
        leaves = set(range(len(nodes))) - {node.parent for node in nodes}
        self.solutions += len(leaves)
        self.too_long += len(leaves - counted)
        return made


def _given(node: StepNode, target: Target) -> Target:
    """A label that is given goes before what is counted; a solution's end keeps its weight."""
    if node.label is None:
        return target
    return Target(node.label, target.weight if node.correct is not None else 1.0)


class RowPlan:
    """How problems become batches: every epoch shuffles them, sorts pools by length, cuts.

    Args:
        problems: all of them, held in memory.
        rows: makes the row of a problem.
        config: batch size, pool, seed.
        sums: solutions that were read, and those of them that were too long, are added up here.
    """

    def __init__(
        self,
        problems: Sequence[Labelled],
        rows: RowMaker,
        config: RewardTraining,
        sums: MutableMapping[str, float],
    ) -> None:
        self._sums = sums
        self._problems = problems
        self._rows = rows
        self._config = config
        self.total = max(1, round(config.epochs * len(problems)))
        self._cut = 0

    def weight_per_batch(self) -> float:
        """The mean summed weight of a batch, measured on the first pool.

        Raises:
            UsageError: nothing in it can be learned from.
        """
        maker, room = self._rows, f"max_length={self._config.max_length} tokens"
        solutions, too_long = maker.solutions, maker.too_long
        batches = self._pool(0)
        solutions, too_long = maker.solutions - solutions, maker.too_long - too_long
        said = f"{too_long} of the first {solutions} solutions are longer than {room}"
        if not batches:
            why = f"{said}: raise it" if too_long else "no step of them has a label that counts"
            raise UsageError(f"the first problems give nothing to train on: {why}")
        if too_long:
            log.warning("%s and are left out", said)
        return sum(sum(r.weights) for batch in batches for r in batch) / len(batches)

    def batches(self, start: Position) -> Iterator[tuple[list[Row], Position]]:
        """Batches from a position on, each with the position after it."""
        index, done = start
        while index * self._config.pool < self.total:
            pool = self._pool(index, count=not done)
            for number in range(done, len(pool)):
                last = number + 1 == len(pool)
                yield pool[number], Position(index + 1, 0) if last else Position(index, number + 1)
            index, done = index + 1, 0

    def passed(self, position: Position) -> int:
        """How many problems lie before a position, the pool it stands in taken in proportion."""
        size = self._config.pool
        done = position.pools * size
        if position.batches and self._cut:
            done += size * position.batches // self._cut
        return min(done, self.total)

    def _pool(self, index: int, count: bool = False) -> list[list[Row]]:
        size, seed = self._config.pool, self._config.seed
        solutions, too_long = self._rows.solutions, self._rows.too_long
        places = range(index * size, min((index + 1) * size, self.total))
        rows = list[Row]()
        for place in places:
            epoch, number = divmod(place, len(self._problems))
            problem = self._problems[self._order(epoch)[number]]
            rows += self._rows.rows(problem, f"{seed}/{epoch}/{problem.id}")
        if count:
            self._sums["solutions"] += self._rows.solutions - solutions
            self._sums["too_long"] += self._rows.too_long - too_long
        batches = cut_rows(rows, self._config.batch_tokens)
        random.Random(f"{seed}/pool {index}").shuffle(batches)
        self._cut = len(batches)
        return batches

    def _order(self, epoch: int) -> list[int]:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch, self._places = epoch, list(range(len(self._problems)))
            random.Random(f"{self._config.seed}/epoch {epoch}").shuffle(self._places)
        return self._places


def hold_out(problems: Sequence[Labelled], count: int) -> tuple[list[Labelled], list[Labelled]]:
    """Problems to train on and problems to measure with, which share no question.

    Args:
        problems: all; several may be of one question.
        count: questions, the last that appear, whose problems are held out.
    """
    questions = list(dict.fromkeys(problem.question for problem in problems))
    held = set(questions[max(0, len(questions) - count) :]) if count else set[str]()
    train = [problem for problem in problems if problem.question not in held]
    return train, [problem for problem in problems if problem.question in held]


def cut_rows(rows: list[Row], budget: int) -> list[list[Row]]:
    """Rows sorted by length, cut into batches of at most `budget` padded tokens."""
    batches: list[list[Row]] = []
    for row in sorted(rows, key=lambda r: len(r.ids)):
        length = -(-len(row.ids) // MULTIPLE) * MULTIPLE
        if batches and length * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
