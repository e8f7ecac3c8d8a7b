"""How alike two responses are: exact copies by normalised text, near ones by n-grams.

The normalised text is NFKC, case-folded, with runs of white space as one space and without the
signs of Markdown and TeX that only set text (`* _ # $ \\` before a space, backquotes). Operators
stay: 3 + 4 and 3 - 4 are different solutions. Similarity is the Jaccard index |A ∩ B| / |A ∪ B| of
the sets of token n-grams (Broder 1997, shingles); a token is a word or number, one CJK character,
or any other sign. Sets of more than `SKETCH` n-grams are compared by their bottom-k sketches
(Cohen and Kaplan 2007): the standard error is then at most 0.012.
"""

from __future__ import annotations

import heapq
import re
import unicodedata
import zlib
from hashlib import blake2b
from typing import NamedTuple

SKETCH = 2048
"""N-grams that are kept of a response: the smallest hashes, where there are more."""

_SET_ONLY = re.compile(r"[*_#$`]|\\(?=[\s,;:!()\[\]])")
_TOKEN = re.compile(r"[぀-ヿ㐀-鿿가-힯]|\w+|[^\w\s]")


class Shingles(NamedTuple):
    """The hashed n-grams of a text."""

    hashes: frozenset[int]
    whole: bool
    """Whether these are all."""


def normal(text: str) -> str:
    """The text that exact duplicates share."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_SET_ONLY.sub(" ", folded).split())


def digest(text: str) -> bytes:
    """Eight bytes that stand for the normalised text."""
    return blake2b(normal(text).encode("utf-8", "replace"), digest_size=8).digest()


def shingles(text: str, n: int) -> Shingles:
    """The n-grams of a text; a text of fewer tokens is one n-gram."""
    tokens = _TOKEN.findall(normal(text))
    grams = range(max(1, len(tokens) - n + 1))
    hashed = {
        # an odd factor is a bijection of 32-bit numbers: it spreads what CRC leaves in order
        zlib.crc32("\x1f".join(tokens[i : i + n]).encode("utf-8", "replace")) * 2654435761 % 2**32
        for i in grams
    }
    if len(hashed) <= SKETCH:
        return Shingles(frozenset(hashed), True)
    return Shingles(frozenset(heapq.nsmallest(SKETCH, hashed)), False)


def jaccard(a: Shingles, b: Shingles) -> float:
    """The Jaccard index, in [0, 1]; estimated where either set was cut."""
    if a.whole and b.whole:
        return len(a.hashes & b.hashes) / max(1, len(a.hashes | b.hashes))
    union = heapq.nsmallest(SKETCH, a.hashes | b.hashes)
    return sum(h in a.hashes and h in b.hashes for h in union) / max(1, len(union))
