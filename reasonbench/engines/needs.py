"""What strategies ask of an engine, so that one which cannot give it says so before it starts."""

from __future__ import annotations

from typing import NamedTuple


class Needs(NamedTuple):
    """Beyond text for a prompt.

    Attributes:
        continuation: go on from a partial solution.
        pattern: end a step where a regular expression matches.
        logprobs: log-probabilities of the tokens that were sampled.
        top_logprobs: those of so many likeliest tokens too.
        self_certainty: a score over the whole vocabulary.
        watch: look at every token as it comes.
        tokens: count the tokens of any text.
        thinking: switch thinking on or off.
        chat: a chat template (True), none (False), or as it comes.
        cuts: sampling with top_k or min_p.
    """

    continuation: bool = False
    pattern: bool = False
    logprobs: bool = False
    top_logprobs: int = 0
    self_certainty: bool = False
    watch: bool = False
    tokens: bool = False
    thinking: bool = False
    chat: bool | None = None
    cuts: bool = False
