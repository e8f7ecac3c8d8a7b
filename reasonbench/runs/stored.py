"""What the store gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from reasonbench.types import Finish, Message, Problem, Prompt, Usage, VerdictKind


class SampleKey(NamedTuple):
    """Which sample of a run: the key of completions, verdicts and scores."""

    benchmark: str
    problem_id: str
    pool: str
    """Samples drawn alike; strategies that draw alike share a pool."""
    weight_version: int
    """0, or the trainer's version of the weights."""
    sample: int
    """From 0."""


class Scores(NamedTuple):
    """What one reward says of one sample; NaN where it gave no number."""

    steps: tuple[float, ...] = ()
    whole: float | None = None
    """Of the whole solution; None where the reward scores steps only."""


class Reading(NamedTuple):
    """How many tokens a reward reads of a sample, as if nothing were cached."""

    head_tokens: int = 0
    """Before the first step: the same for all samples of a problem."""
    step_tokens: int = 0
    """Of all its steps."""


class StoredSearch(NamedTuple):
    """How the search of one problem ended, and what it cost."""

    state: str
    """finished, out of steps, budget used up, every path died, or "failed: …"."""
    policy_tokens: float = 0.0
    """Policy-equivalent tokens (docs/statistics.md)."""
    written: int = 0
    """Of them the policy's own, every prompt once."""
    judged: int = 0
    """Tokens that the reward read, every shared prefix once."""
    usage: Usage = Usage()
    """What was really computed."""


@dataclass(frozen=True, slots=True)
class StoredSample:
    """One sample as selectors and reports need it.

    Attributes:
        sample: its index, from 0.
        finish: None where there is a verdict only (a failed request, a recorded answer).
        tokens: how many it has.
        verdict: None where it is not graded yet.
        answer: extracted; None where there is none.
        answer_class: number of its equivalence class in the pool, −1 without an answer; None
            until `set_classes`.
        scores: by the reward's name.
        text: only where it was asked for.
    """

    sample: int
    finish: Finish | None = None
    stop_reason: str | None = None
    tokens: int = 0
    seed: int | None = None
    mean_logprob: float | None = None
    self_certainty: float | None = None
    usage: Usage = field(default_factory=Usage)
    verdict: VerdictKind | None = None
    answer: str | None = None
    layer: str | None = None
    reason: str | None = None
    answer_class: int | None = None
    scores: Mapping[str, Scores] = field(default_factory=dict)
    text: str | None = None


class StoredProblem(NamedTuple):
    """One problem with all samples of one pool and weight version, in the order of their index."""

    problem: Problem
    samples: tuple[StoredSample, ...]


class StoredPrompt(NamedTuple):
    """A rendered prompt with the conversation it came from."""

    prompt: Prompt
    sha256: str
    """Of the prompt's text in UTF-8, in hexadecimal."""
    messages: tuple[Message, ...]


class Series(NamedTuple):
    """Samples that were drawn alike by the same weights."""

    benchmark: str
    pool: str
    weight_version: int


class Counts(NamedTuple):
    """How much is stored."""

    problems: int
    completions: int
    correct: int
    incorrect: int
    ungraded: int
    decode_tokens: int

    @property
    def verdicts(self) -> int:
        return self.correct + self.incorrect + self.ungraded
