r"""The prose of a text: formulas, code, LaTeX, tags and addresses left out.

One pass: each place where something opens is looked at once, and each kind of closing mark is
searched for at most once beyond any place, so the time is linear in the text whatever it holds.
"""

from __future__ import annotations

import re

GAP = "\ue000"
"""Stands where something was left out: no letter and no blank, so that words do not join."""

_FORMULA_MOST = 5_000
"""A display formula closed further away than this is not taken for one."""
_INLINE_MOST = 1_000

_ENVIRONMENTS = (
    "equation|align|aligned|alignat|gather|gathered|multline|eqnarray|split|cases|array|tabular"
    "|matrix|pmatrix|bmatrix|vmatrix|lstlisting|verbatim|minted"
)
_OPENING = re.compile(
    rf"""(?x)
    (?P<fence>```|~~~) | (?P<tick>`) | (?P<display>\$\$) | (?P<dollar>\$)
    | (?P<bracket>\\[(\[]) | \\begin\{{(?P<environment>(?:{_ENVIRONMENTS})\*?)\}}
    | \\[A-Za-z]{{1,40}}\*?
    | </?[A-Za-z][^<>]{{0,100}}>
    | (?:https?://|www\.)[^\s\u0080-\uffff]{{1,2000}}
    """
)


def prose(text: str) -> str:
    r"""The text with everything that is not prose replaced by `GAP`.

    Left out are fenced blocks (an unclosed one to the end of the text), inline code, `$…$`,
    `$$…$$`, `\(…\)`, `\[…\]`, LaTeX environments, the names of other LaTeX commands (what is in
    their braces stays), tags like `<think>` and web addresses. `$` opens a formula as in Pandoc:
    no blank follows it, none precedes the closing one, and no digit follows that, so that prices
    stay prose. Code and formulas without any mark are not recognised here.
    """
    kept: list[str] = []
    at = 0
    closings: dict[str, int] = {}
    match = _OPENING.search(text)
    while match is not None:
        end = _end(text, match, closings)
        if end < 0:  # nothing closes it: it stays
            match = _OPENING.search(text, match.end())
            continue
        kept += (text[at : match.start()], GAP)
        at = end
        match = _OPENING.search(text, at)
    kept.append(text[at:])
    return "".join(kept)


def _end(text: str, match: re.Match[str], closings: dict[str, int]) -> int:
    """Where what opens here ends; -1 where it does not."""
    start, opening = match.end(), match.group()
    match match.lastgroup:
        case "fence":
            at = _closing(text, opening, start, closings)
            return len(text) if at < 0 else at + len(opening)
        case "tick":
            return _within(text, "`", start, _INLINE_MOST, closings)
        case "display":
            return _within(text, "$$", start, _FORMULA_MOST, closings)
        case "dollar":
            return _dollar(text, start, closings)
        case "bracket":
            mark = "\\)" if opening == "\\(" else "\\]"
            return _within(text, mark, start, _FORMULA_MOST, closings)
        case "environment":
            name = match["environment"]
            return _within(text, f"\\end{{{name}}}", start, _FORMULA_MOST, closings)
    return start


def _closing(text: str, mark: str, start: int, closings: dict[str, int]) -> int:
    """The next place of a mark, remembered until the search is past it."""
    if mark not in closings or 0 <= closings[mark] < start:
        closings[mark] = text.find(mark, start)
    return closings[mark]


def _within(text: str, mark: str, start: int, most: int, closings: dict[str, int]) -> int:
    close = _closing(text, mark, start, closings)
    return close + len(mark) if 0 <= close <= start + most else -1


def _dollar(text: str, start: int, closings: dict[str, int]) -> int:
    close = _closing(text, "$", start, closings)
    if not start < close <= start + _INLINE_MOST:
        return -1
    inside, after = text[start:close], text[close + 1 : close + 2]
    if inside[0].isspace() or inside[-1].isspace() or after.isdigit() or "\n\n" in inside:
        return -1
    return close + 1
