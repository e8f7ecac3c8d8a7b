"""Roll-outs as rows of tokens, micro-batches of rows, and numbers of tokens to and fro.

Numbers about trained tokens come in three shapes: *flat* (one tensor over the trained tokens of a
micro-batch, row after row, as a model gives them), *padded* [rows, length] (as losses take them),
and a list with one tensor for each row (as they are kept between passes).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reasonbench.trainers import parallel, ranks
from reasonbench.trainers.batching import cut
from reasonbench.trainers.completion_loss import Padded, pad
from reasonbench.trainers.data import Encoded
from reasonbench.trainers.rollouts import Rollout


@dataclass(frozen=True, slots=True)
class Row:
    """A roll-out's tokens.

    Attributes:
        example: prompt and completion; the completion's tokens are trained on, or none of it.
        count: trained tokens.
        engine: the log-probability by which the engine sampled each trained token; NaN where it
            gave none.
    """

    example: Encoded
    count: int
    engine: Tensor


def row(rollout: Rollout, trained: bool = True) -> Row:
    """The tokens of a roll-out; untrained ones take part in no loss."""
    prompt, written = rollout.prompt.token_ids, rollout.completion.token_ids
    flags = [False] * len(prompt) + [trained] * len(written)
    count = len(written) if trained else 0
    given = rollout.completion.token_logprobs
    if given is None or not trained:
        engine = torch.full((count,), torch.nan)
    else:
        engine = torch.tensor(given, dtype=torch.float32)
    return Row(Encoded([*prompt, *written], flags), count, engine)


@dataclass(frozen=True, slots=True)
class Micro:
    """Rows that go through a model together.

    Attributes:
        rows: their places in the batch; none where this process only goes along with others.
        padded: their tokens.
        mask: [rows, most trained tokens of a row], 1.0 where there is one.
    """

    rows: tuple[int, ...]
    padded: Padded
    mask: Tensor

    def to_padded(self, flat: Tensor) -> Tensor:
        """Flat numbers in the shape of the mask, 0 outside it; gradients pass."""
        return torch.zeros_like(self.mask).masked_scatter(self.mask > 0, flat.to(self.mask.dtype))

    def to_rows(self, flat: Tensor) -> list[Tensor]:
        """Flat numbers as one tensor for each row."""
        counts = self.mask.sum(-1).int().tolist()
        return list(torch.split(flat, counts))

    def gather(self, kept: Sequence[Tensor]) -> Tensor:
        """What is kept for each row of the batch, padded for the rows of this micro-batch."""
        flat = torch.cat([kept[index] for index in self.rows])
        return self.to_padded(flat.to(self.mask.device))


def micro_batches(
    rows: Sequence[Row],
    chosen: Sequence[int],
    budget: int,
    pad_id: int,
    device: torch.device,
    multiple: int = 1,
) -> Iterator[Micro]:
    """The chosen rows, sorted by length, in micro-batches of at most `budget` padded tokens.

    The order is fixed by the rows alone, so that sums of gradients repeat exactly. Of several
    processes each gets its own part, in as many micro-batches as the others (`parallel.deal`).
    """
    order = sorted(chosen, key=lambda index: (len(rows[index].example.ids), index))
    whole: list[list[int]] = []
    for batch in cut([rows[index].example for index in order], budget, multiple):
        start = sum(map(len, whole))
        whole.append(order[start : start + len(batch)])
    for places in parallel.deal(whole, ranks.world_size(), parallel.rank()):
        counts = torch.tensor([rows[index].count for index in places], device=device)
        longest = max((rows[index].count for index in places), default=1)
        mask = (torch.arange(max(1, longest), device=device)[None, :] < counts[:, None]).float()
        examples = [rows[index].example for index in places]
        yield Micro(tuple(places), pad(examples, pad_id, device, multiple), mask)


def shares(count: int, parts: int, seed: str) -> list[list[int]]:
    """The numbers below `count` in a random order, cut into parts of nearly equal size."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return [order[part::parts] for part in range(parts)]
