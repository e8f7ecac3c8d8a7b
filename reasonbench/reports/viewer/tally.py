"""How the samples of one problem came out: what the list of problems shows and filters by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from reasonbench.metrics import pass_at_1
from reasonbench.runs.stored import StoredSample
from reasonbench.text.reflection import reflections

RIGHT, CORRECTED, WRONG, CUT, NONE, UNGRADED, ABSENT = "cCitnu."
"""A letter for each sample: right; right after it looked back; wrong; cut by the token limit;
without an answer; without a verdict; no sample of this index (not drawn yet)."""


class Tally(NamedTuple):
    """Counts of samples, as docs/runs.md counts them."""

    letters: str
    """One for each sample from 0 on."""
    drawn: int
    right: int
    graded: int
    rate: float | None
    """pass@1: the share of the graded samples that are right; None where none is graded."""
    truncated: int | None
    """None where nobody knows how samples ended."""
    no_answer: int
    ungraded: int
    corrected: int
    """Right ones that hold a reflection phrase (reasonbench.text.reflection)."""
    tokens: float | None
    """Mean of the completions; None without any, and where those of one are unknown."""


def tally(samples: Sequence[StoredSample], *, ends_known: bool = True) -> Tally:
    """The counts of one problem's samples, which were read with their texts.

    Args:
        ends_known: False where a log that does not say what a limit cut holds them.
    """
    letters = [ABSENT] * (max((s.sample for s in samples), default=-1) + 1)
    verdicts = [verdict_of(sample) for sample in samples]
    for sample in samples:
        letters[sample.sample] = letter(sample)
    drawn = [tokens_of(sample) for sample in samples if sample.finish is not None]
    counted = [tokens for tokens in drawn if tokens is not None]
    graded = sum(verdict is not None for verdict in verdicts)
    return Tally(
        letters="".join(letters),
        drawn=len(samples),
        right=sum(verdict is True for verdict in verdicts),
        graded=graded,
        rate=pass_at_1(verdicts) if graded else None,
        truncated=sum(s.finish == "length" for s in samples) if ends_known else None,
        no_answer=sum(is_without_answer(sample) for sample in samples),
        ungraded=len(samples) - graded,
        corrected=letters.count(CORRECTED),
        tokens=sum(counted) / len(drawn) if drawn and len(counted) == len(drawn) else None,
    )


def tokens_of(sample: StoredSample) -> int | None:
    """Of its completion; None where nobody counted them: none ends by itself without a token."""
    return None if sample.tokens == 0 and sample.finish in ("stop", None) else sample.tokens


def verdict_of(sample: StoredSample) -> bool | None:
    """Whether it is right; None where nobody could say, or has said yet."""
    return None if sample.verdict in (None, "ungraded") else sample.verdict == "correct"


def is_without_answer(sample: StoredSample) -> bool:
    """Whether it ended by itself and holds no answer, or a search found no solution."""
    if sample.finish is None:
        return sample.layer == "no answer"
    return sample.finish == "stop" and verdict_of(sample) is not None and sample.answer is None


def letter(sample: StoredSample) -> str:
    """How it came out, the first that fits: no verdict, right, cut, no answer, wrong."""
    verdict = verdict_of(sample)
    if verdict is None:
        return UNGRADED
    if verdict:
        return CORRECTED if reflections(sample.text or "") else RIGHT
    if sample.finish == "length":
        return CUT
    return NONE if is_without_answer(sample) else WRONG


def as_row(source: int, shards: tuple[int, int], found: Tally) -> list[Any]:
    """The tally as the page reads it (assets: `tallyOf`).

    Args:
        source: index into `Book.sources`.
        shards: the first and the last that hold the samples.
    """
    rate = None if found.rate is None else round(found.rate, 6)
    tokens = None if found.tokens is None else round(found.tokens, 1)
    return [
        source, *shards, found.letters, found.drawn, found.right, found.graded, rate,
        found.truncated, found.no_answer, found.ungraded, found.corrected, tokens,
    ]  # fmt: skip
