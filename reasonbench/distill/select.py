"""Which of a problem's responses become rows: rejection sampling with its filters and its cap.

Reasons come in this order, and a response is rejected for the first that holds: ungraded,
truncated, no answer, incorrect, too short, too long, no code block, (readability), mixed languages,
duplicate, near duplicate, over the cap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from reasonbench.distill.config import Readable, Select
from reasonbench.distill.draft import Draft, Judged
from reasonbench.distill.readable import unreadable
from reasonbench.distill.similar import Shingles, digest, jaccard, shingles
from reasonbench.text import language_of, measure, mixture


class Filters(NamedTuple):
    """What a response must pass by itself."""

    rules: Select
    readable: Readable | None

    def refused(self, draft: Draft) -> Judged | None:
        """The draft with its reason; None where nothing is against it."""
        rules = self.rules
        reason, detail = _failed(draft) or (None, "")
        if reason is None and draft.tokens < rules.min_tokens:
            reason, detail = "too short", f"{draft.tokens} tokens"
        if reason is None and rules.max_tokens is not None and draft.tokens > rules.max_tokens:
            reason, detail = "too long", f"{draft.tokens} tokens"
        return self.form(draft) if reason is None else Judged(draft, reason, detail)

    def form(self, draft: Draft) -> Judged | None:
        """The same without the limits of length: also for what a person wrote."""
        if failed := _failed(draft):
            return Judged(draft, *failed)
        question = draft.problem.question
        if question.kind == "code" and "```" not in draft.response:
            return Judged(draft, "no code block")  # it went on from the prompt's own lines
        if self.readable is not None:
            why = unreadable(draft.response, draft.answer, question.kind, self.readable)
            if why is not None:
                return Judged(draft, why)
        languages = mixed(question.text, draft.response, self.rules.languages)
        return None if languages is None else Judged(draft, "mixed languages", languages)


def mixed(question: str, response: str, rule: str) -> str | None:
    """The languages that a response mixes, or None where the rule has nothing against it.

    With `question` the response is held against the question's language, with `one` against its
    own (that of most of its words).
    """
    if rule == "any":
        return None
    if rule == "question":
        found = measure(response, language_of(question), question)
    else:
        found = mixture(response, question)
    return " and ".join(found.languages) if found.mixed else None


def _failed(draft: Draft) -> tuple[str, str] | None:
    if draft.verdict is None or draft.verdict == "ungraded":
        return "ungraded", draft.layer
    if draft.finish == "length":
        return "truncated", ""
    if draft.finish == "aborted":
        return "aborted", ""
    if draft.verdict == "incorrect":
        empty = draft.layer in ("no answer", "no code")
        return ("no answer" if empty else "incorrect"), ""
    if not draft.response:
        return "no text", "only the answer was recorded"
    return None


def select(drafts: Sequence[Draft], filters: Filters, cap: int) -> Iterator[Judged]:
    """Judge all responses of one problem; at most `cap` are kept (0: all)."""
    fit: list[Draft] = []
    for draft in drafts:
        if (refused := filters.refused(draft)) is not None:
            yield refused
        else:
            fit.append(draft)
    yield from _distinct(fit, filters.rules, cap)


def _distinct(fit: Sequence[Draft], rules: Select, cap: int) -> Iterator[Judged]:
    """Exact and near duplicates away, then no more than the cap, the preferred ones first.

    A near duplicate is one of a response that was taken before it; once the cap is reached only
    exact ones are told from the others that are left over.
    """
    first: dict[bytes, Draft] = {}
    unique: list[Draft] = []
    for draft in ranked(fit, rules):
        before = first.setdefault(digest(draft.response), draft)
        if before is draft:
            unique.append(draft)
        else:
            yield Judged(draft, "duplicate", before.id)
    if rules.prefer == "diverse":
        yield from _diverse(unique, rules, cap)
        return
    taken: list[tuple[Draft, Shingles]] = []
    for draft in unique:
        if cap and len(taken) == cap:
            yield Judged(draft, "over the cap")
            continue
        grams = shingles(draft.response, rules.ngram)
        like = _like(grams, taken, rules.near)
        if like is not None:
            yield Judged(draft, "near duplicate", like)
        else:
            taken.append((draft, grams))
            yield Judged(draft)


def ranked(drafts: Sequence[Draft], rules: Select) -> list[Draft]:
    """In the order of preference; ties and `random` by a hash of the seed and the id."""

    def chance(draft: Draft) -> bytes:
        return blake2b(f"{rules.seed} {draft.id}".encode(), digest_size=8).digest()

    if rules.prefer == "first":
        return list(drafts)
    sign = {"shortest": 1, "longest": -1}.get(rules.prefer, 0)
    return sorted(drafts, key=lambda draft: (sign * draft.tokens, chance(draft)))


def _like(grams: Shingles, taken: Sequence[tuple[Draft, Shingles]], near: float) -> str | None:
    if near == 1:
        return None
    return next((draft.id for draft, other in taken if jaccard(grams, other) >= near), None)


def _diverse(unique: Sequence[Draft], rules: Select, cap: int) -> Iterator[Judged]:
    """Always the one whose nearest among those taken is farthest (Gonzalez 1985)."""
    left = [(draft, shingles(draft.response, rules.ngram)) for draft in unique]
    nearest = [(0.0, "")] * len(left)
    count = 0
    while left:
        at = min(range(len(left)), key=lambda i: nearest[i][0])
        (draft, grams), (alike, other) = left.pop(at), nearest.pop(at)
        if rules.near < 1 and alike >= rules.near:
            yield Judged(draft, "near duplicate", other)
            continue
        if cap and count == cap:
            yield Judged(draft, "over the cap")
            continue
        count += 1
        yield Judged(draft)
        for i, (_, own) in enumerate(left):
            nearest[i] = max(nearest[i], (jaccard(own, grams), draft.id))
