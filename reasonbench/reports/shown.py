"""Text of models and of files as it may stand on a page: nothing in it acts, all of it shows."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Marks that turn the direction of what stands around them."""

_HIDDEN = re.compile(
    f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_TURNING}\u2028\u2029\ufeff\ufff9-\uffff\ud800-\udfff]"
)


def shown(text: str) -> str:
    """The text with what cannot be seen written out; line feeds and tabs stay.

    Control characters, an escape sequence's first among them, become their pictures (U+2400 on:
    ␛); marks of direction, separators of lines, and halves of characters become ‹U+202E›. What is
    written in a right-to-left script stays as it is.
    """
    return _HIDDEN.sub(_picture, text.replace("\r\n", "\n"))


def short(text: str, most: int = 80) -> str:
    """At most so many characters of the shown text, in one line: for legends and labels."""
    line = " ".join(shown(text[: 4 * most]).split())
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1] + "…"


def distinct(names: Iterable[str]) -> list[str]:
    """The names, each with a number behind it that would otherwise be there twice."""
    found: list[str] = []
    for name in names:
        number, one = 1, name
        while one in found:
            number += 1
            one = f"{name}-{number}"
        found.append(one)
    return found


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"‹U+{code:04X}›"
