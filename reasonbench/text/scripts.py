"""Words and the scripts they are written in, by Unicode block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

SCRIPTS: dict[str, str] = {
    "latin": "A-Za-zªº\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u1e00-\u1eff\u2c60-\u2c7f"
    "\ua722-\ua7ff\uab30-\uab64\ufb00-\ufb06\uff21-\uff3a\uff41-\uff5a",
    "han": "\u2e80-\u2fd5々〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af",
    "kana": "\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "hangul": "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb\uffa1-\uffdc",
    "bopomofo": "\u3105-\u312f\u31a0-\u31bf",
    "cyrillic": "\u0400-\u052f\u1c80-\u1c88\u2de0-\u2dff\ua640-\ua69f",
    "greek": "\u0370-\u0373\u0376-\u037d\u037f\u0386\u0388-\u03ff\u1f00-\u1fff",
    "arabic": "\u0610-\u061a\u0620-\u065f\u066e-\u06d3\u06d5-\u06ed\u06fa-\u06ff\u0750-\u077f"
    "\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc",
    "hebrew": "\u0591-\u05c7\u05d0-\u05f2\ufb1d-\ufb4f",
    "devanagari": "\u0900-\u0963\u0971-\u097f\ua8e0-\ua8ff",
    "bengali": "\u0980-\u09e3\u09f0-\u09ff",
    "gurmukhi": "\u0a01-\u0a65\u0a70-\u0a76",
    "gujarati": "\u0a81-\u0ae3\u0af9-\u0aff",
    "oriya": "\u0b01-\u0b65\u0b71",
    "tamil": "\u0b82-\u0be5",
    "telugu": "\u0c00-\u0c65",
    "kannada": "\u0c80-\u0ce5\u0cf1-\u0cf3",
    "malayalam": "\u0d00-\u0d65\u0d7a-\u0d7f",
    "sinhala": "\u0d81-\u0de5\u0df2-\u0df3",
    "thai": "\u0e01-\u0e3a\u0e40-\u0e4e",
    "lao": "\u0e81-\u0ece\u0edc-\u0edf",
    "tibetan": "\u0f00\u0f40-\u0fbc",
    "burmese": "\u1000-\u103f\u1050-\u109d\uaa60-\uaa7f",
    "khmer": "\u1780-\u17d3",
    "georgian": "\u10a0-\u10ff\u1c90-\u1cbf\u2d00-\u2d2d",
    "armenian": "\u0531-\u0556\u0559-\u0588\ufb13-\ufb17",
    "ethiopic": "\u1200-\u135a\u1380-\u138f\u2d80-\u2dde",
}
"""Letters of each script and the marks on them, as a class of a regular expression."""

OTHER = "other"
"""The script of letters of none of these."""

UNSPACED = {
    "han": 1.6,
    "kana": 3.0,
    "bopomofo": 2.0,
    "thai": 4.5,
    "lao": 4.5,
    "khmer": 5.0,
    "burmese": 5.0,
    "tibetan": 4.0,
}
"""Scripts that put no blanks between words: about how many characters a word has in running text,
so that a run of them counts as the words it holds. Rough; they only weigh one script against
another."""

ALPHABETS = frozenset({"latin", "greek", "cyrillic"})
"""Scripts whose single letters are variables rather than words."""

_MARKS = "\u0300-\u036f\u200c\u200d"
_SYMBOLS = "\u2100-\u214f\U0001d400-\U0001d7ff"
"""Letters of formulas (ℝ, 𝑥), not of words."""


def _word(name: str, letters: str) -> str:
    one = f"[{letters}][{letters}{_MARKS}]*+"
    joined = rf"(?:['’]{one})*+" if name in ("latin", "cyrillic", "hebrew") else ""
    return f"(?P<{name}>{one}{joined})"


_WORD = re.compile(
    "|".join(_word(name, letters) for name, letters in SCRIPTS.items())
    + rf"|(?P<symbol>[{_SYMBOLS}]++)|(?P<{OTHER}>[^\W\d_])"
)


class Word(NamedTuple):
    """A word, or a run of characters of a script that has no blanks.

    Attributes:
        script: a key of `SCRIPTS`, or `OTHER`.
        start, end: where it stands.
    """

    script: str
    start: int
    end: int

    @property
    def number(self) -> float:
        """How many words it is: 1, or the length of an unspaced run over that of a word."""
        per_word = UNSPACED.get(self.script)
        return 1.0 if per_word is None else (self.end - self.start) / per_word


def words(text: str) -> Iterator[Word]:
    """The words of a text in order; linear in its length."""
    for match in _WORD.finditer(text):
        if match.lastgroup != "symbol" and match.lastgroup is not None:
            yield Word(match.lastgroup, match.start(), match.end())


_NOT_PLAIN = re.compile(rf"[^\W\d_A-Za-z]|[{_MARKS}]")


def plain_latin(text: str) -> bool:
    """Whether a text has no letters but those of English; quick."""
    return text.isascii() or _NOT_PLAIN.search(text) is None
