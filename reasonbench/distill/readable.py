"""Whether a person can read a response (DeepSeek-R1, sections 2.3.1 and 2.3.3).

R1 kept cold-start data that is in one language and ends in a summary, and dropped from its
rejection-sampled data "mixed languages, long paragraphs, and code blocks". Languages are looked at
apart, because that filter also serves data that nobody reads.
"""

from __future__ import annotations

import re

from reasonbench.distill.config import Readable
from reasonbench.distill.response import parts

WORDS = 3
"""A summary has at least so many words beside its answer."""

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)", re.MULTILINE)
_BLANK = re.compile(r"\n[ \t]*\n")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{[^\n]*")
_WORD = re.compile(r"[^\W\d_]{2,}|[぀-ヿ㐀-鿿가-힯]")


def unreadable(response: str, answer: str | None, kind: str, rules: Readable) -> str | None:
    """Why a response cannot be read, as a reason to reject it; None where it can.

    Args:
        response: the whole turn, thinking included.
        answer: what the grader extracted.
        kind: of the question; "code" may hold code blocks.
    """
    found = parts(response)
    if found is None or (rules.thinking and not found.thinking):
        return "no thinking span" if found and found.thinking is None else "broken thinking span"
    fences = len(_FENCE.findall(response))
    if fences % 2:
        return "unclosed code block"
    if fences and kind != "code" and not rules.code:
        return "stray code block"
    if rules.paragraph:
        longest = max(map(len, _BLANK.split(response)))
        if longest > rules.paragraph:
            return "overlong paragraph"
    if rules.summary and not _summarised(found.thinking, found.said, answer, kind):
        return "no closing summary"
    return None


def _summarised(thinking: str | None, said: str, answer: str | None, kind: str) -> bool:
    """The answer of a response with thinking stands behind it, or the grader had not found it."""
    closing = said
    if thinking is None and kind != "code":
        before, _, closing = said.rpartition("\n\n")
        if not before.strip() or (answer and _squeezed(answer) not in _squeezed(closing)):
            return False
    outside = "".join(_FENCE.split(closing)[::4])  # text, fence, code, fence, text, …
    return len(_WORD.findall(_BOX.sub(" ", outside))) >= WORDS


def _squeezed(text: str) -> str:
    return "".join(text.split()).casefold()
