"""Whether training problems stand in the benchmarks that are evaluated, by n-gram overlap.

As GPT-3 (Brown et al. 2020, appendix C): a training text overlaps with a problem where they share
13 words in a row, capitals and punctuation aside; a shorter problem where the training text is the
whole problem. Unlike there, what is between the words of a formula counts ("3+4" is not "3-4"),
each character of a script without blanks is a word, and customary wording proves nothing: an
n-gram counts only where some part of it, half as long, is in fewer than three problems of its
benchmark, whatever the numbers in it.

The benchmarks are held as hashes, the training texts are streamed. For n-grams of n words, an
index of the (n + 1) / 2-grams is asked at every (n + 1) / 2th place of a text only: n shared words
always hold one of these places.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from reasonbench.errors import UsageError
from reasonbench.text.scripts import SCRIPTS, UNSPACED
from reasonbench.types import Problem

WORDS = 13
"""Words of an n-gram (GPT-3: 8 to 13)."""
SHORTEST = 5
COMMON = 3
"""What is in at least this many problems of a benchmark is wording, not a problem."""
MOST = 0.5
"""Warnings tell how many problems are covered by at least this share."""
NAMED = 5
"""Problems named in a warning."""

_DROPPED = re.compile(r"[^\w\s+*/=<>≤≥≠^%!|-]|_")
_OPERATOR = re.compile(r" ?([+*/=<>≤≥≠^%!|-]+) ?")
_DASHES = str.maketrans({"−": "-", "‐": "-", "‑": "-", "–": "-", "—": " ", "×": "*", "·": "*"})
_NO_OPERATOR = re.compile(
    r"^[ \t]*+[-*+](?=[ \t])|(?<=[^\W\d_][^\W\d_])!++|(?<=\s)-++(?=[^\W\d_]{2})", re.MULTILINE
)
"""Bullets of a list, exclamation marks and dashes before a word."""
_UNSPACED = re.compile(f"([{''.join(SCRIPTS[script] for script in UNSPACED)}])")


def normalised(text: str) -> list[str]:
    """The words of a text as they are compared: small letters, no punctuation.

    Numbers and names joined by operators are one word ("x^2+3*x=4"); a character of a script that
    puts no blanks between words is one by itself.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_DASHES)
        text = _UNSPACED.sub(r" \1 ", text)
    text = _DROPPED.sub(" ", _NO_OPERATOR.sub(" ", text.lower()))
    # one blank at most before an operator, so that the search for it is linear
    return _OPERATOR.sub(r"\1", " ".join(text.split())).split()


_NUMBER = re.compile(r"\d+")


class _Key(NamedTuple):
    """What is kept of a problem: its tests can be megabytes."""

    benchmark: str
    id: str
    words: int


class Overlap(NamedTuple):
    """A training text that overlaps with a problem of a benchmark.

    Attributes:
        row: number of the training text, from 0.
        id: of the training row, where it was given.
        benchmark, problem_id: what it overlaps with.
        kind: "exact" (the same words from beginning to end), "ngram" (n words in a row).
        shared: the words they share, the first n of them.
        covered: how many words of the training text are in shared n-grams, over the words of the
            problem, at most 1: little for a turn of phrase, much for a problem told again.
    """

    row: int
    id: str | None
    benchmark: str
    problem_id: str
    kind: Literal["exact", "ngram"]
    shared: str
    covered: float


@dataclass(frozen=True, slots=True)
class Contamination:
    """What a check of training texts against benchmarks found.

    Attributes:
        rows: training texts that were looked at.
        problems: problems of each benchmark that was compared.
        words: of an n-gram.
        overlaps: each pair of a training text and a problem, in the order of the texts.
    """

    rows: int
    problems: Mapping[str, int]
    words: int
    overlaps: tuple[Overlap, ...]

    @property
    def found(self) -> dict[str, tuple[str, ...]]:
        """Ids of the problems that training texts overlap with, by benchmark."""
        hit: dict[str, dict[str, None]] = defaultdict(dict)
        for overlap in self.overlaps:
            hit[overlap.benchmark][overlap.problem_id] = None
        return {benchmark: tuple(ids) for benchmark, ids in hit.items()}

    @property
    def contaminated_rows(self) -> frozenset[int]:
        """Numbers of the training texts that overlap with any problem."""
        return frozenset(overlap.row for overlap in self.overlaps)

    def warnings(self) -> tuple[str, ...]:
        """A sentence for each benchmark that training texts overlap with."""
        said = []
        for benchmark, ids in self.found.items():
            mine = [overlap for overlap in self.overlaps if overlap.benchmark == benchmark]
            rows = len({overlap.row for overlap in mine})
            exact = len({one.problem_id for one in mine if one.kind == "exact"})
            most = len({one.problem_id for one in mine if one.covered >= MOST})
            named = ", ".join(ids[:NAMED]) + (", …" if len(ids) > NAMED else "")
            said.append(
                f"{rows:,} of {self.rows:,} training rows share {self.words} words in a row or "
                f"more with {len(ids):,} of the {self.problems[benchmark]:,} problems of "
                f"{benchmark} (with {most:,} most of their words, with {exact:,} all): {named}. "
                "Scores there may be memory."
            )
        return tuple(said)

    def record(self) -> dict[str, Any]:
        """For a run's protocol, as JSON."""
        return {
            "words": self.words,
            "rows": self.rows,
            "problems": dict(self.problems),
            "overlapping_rows": len(self.contaminated_rows),
            "overlapping_problems": {name: list(ids) for name, ids in self.found.items()},
        }


class Index:
    """The problems of the evaluated benchmarks, ready to be looked for in training texts."""

    def __init__(self, problems: Iterable[Problem], words: int = WORDS) -> None:
        """Args:
        problems: of all benchmarks.
        words: of an n-gram, at least `SHORTEST`.

        Raises:
            UsageError: the n-grams are too short to prove anything.
        """
        if words < SHORTEST:
            raise UsageError(f"n-grams of {words} words overlap by chance: {SHORTEST} or more.")
        self.words = words
        self._stride = (words + 1) // 2
        self._exact: dict[int, list[_Key]] = defaultdict(list)
        self._grams: dict[int, list[_Key]] = defaultdict(list)
        self._short: set[int] = set()
        held: list[tuple[_Key, list[str]]] = []
        variants: dict[tuple[str, str], set[int]] = defaultdict(set)
        for problem in problems:
            found = normalised(problem.question.text)
            held.append((_Key(problem.benchmark, problem.id, len(found)), found))
            variants[problem.benchmark, problem.source or problem.id].update(
                self._parts(problem.benchmark, found)
            )
        self.problems = dict(Counter(key.benchmark for key, _ in held))
        sharing = Counter(part for parts in variants.values() for part in parts)
        del variants
        for key, found in held:
            if found:
                self._exact[hash(" ".join(found))].append(key)
            rare = [sharing[part] < COMMON for part in self._parts(key.benchmark, found)]
            for i in range(len(found) - words + 1):
                if not any(rare[i : i + words - self._stride + 1]):
                    continue
                keys = self._grams[hash(" ".join(found[i : i + words]))]
                if key not in keys:
                    keys.append(key)
                self._short.update(_hashes(found[i : i + words], self._stride))

    def _parts(self, benchmark: str, found: Sequence[str]) -> list[int]:
        """The wording of each half n-gram of a problem, its numbers left out."""
        plain = [_NUMBER.sub("0", word) for word in found]
        return [hash((benchmark, part)) for part in _hashes(plain, self._stride)]

    def overlaps(self, text: str, row: int = 0, id: str | None = None) -> list[Overlap]:
        """The problems that one training text overlaps with, each once."""
        found = normalised(text)
        hits: dict[_Key, Overlap] = {}
        if found:
            shared = " ".join(found[: self.words])
            for key in self._exact.get(hash(" ".join(found)), ()):
                hits[key] = Overlap(row, id, key.benchmark, key.id, "exact", shared, 1.0)
        first: dict[_Key, str] = {}
        ends: dict[_Key, int] = {}
        covered: Counter[_Key] = Counter()
        for start in self._candidates(found):
            end = start + self.words
            gram = " ".join(found[start:end])
            for key in self._grams.get(hash(gram), ()):
                first.setdefault(key, gram)
                covered[key] += min(self.words, end - ends.get(key, 0))
                ends[key] = end
        for key, gram in first.items():
            share = min(1.0, covered[key] / key.words)
            hits.setdefault(key, Overlap(row, id, key.benchmark, key.id, "ngram", gram, share))
        return list(hits.values())

    def _candidates(self, found: Sequence[str]) -> Iterator[int]:
        """Where n-grams begin that hold a half n-gram of a problem, ascending."""
        size, stride = self.words, self._stride
        seen = -1
        for at in range(0, len(found) - stride + 1, stride):
            if hash(" ".join(found[at : at + stride])) in self._short:
                last = min(at, len(found) - size)
                yield from range(max(seen + 1, at + stride - size, 0), last + 1)
                seen = max(seen, last)


def check(index: Index, texts: Iterable[str], ids: Sequence[str] | None = None) -> Contamination:
    """Look for the problems of the benchmarks in training texts, one pass, texts not kept.

    Args:
        texts: one for each training row: the problem, or the whole conversation.
        ids: of the rows, where they have any.
    """
    overlaps: list[Overlap] = []
    rows = 0
    for text in texts:
        overlaps += index.overlaps(text, rows, None if ids is None else ids[rows])
        rows += 1
    return Contamination(rows, index.problems, index.words, tuple(overlaps))


def record_text(record: Mapping[str, Any]) -> str:
    """The question of a training record: what its user turns and its prompt say.

    A record is one of reasonbench.trainers.data or a row of preferences; what the model answers is
    left out, since answers repeat the question in their own words.
    """
    parts: list[str] = []
    for key in ("messages", "prompt", "question", "problem"):
        value = record.get(key)
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, Sequence):
            parts += [
                str(turn.get("content", ""))
                for turn in value
                if isinstance(turn, Mapping) and turn.get("role") != "assistant"
            ]
    return "\n".join(parts)


def _hashes(found: Sequence[str], size: int) -> list[int]:
    """Of each run of `size` words."""
    return [hash(" ".join(found[i : i + size])) for i in range(len(found) - size + 1)]
