"""A response as it is trained on, and the parts it has."""

from __future__ import annotations

from typing import NamedTuple

OPEN, CLOSE = "<think>", "</think>"


class Parts(NamedTuple):
    """A response in two: None where it has no thinking span."""

    thinking: str | None
    said: str
    """What stands behind the thinking, or the whole."""


def whole(text: str, *, thinking_open: bool, stop_reason: str | None = None) -> str:
    """A completion as the assistant's whole turn.

    The tag that the chat template opened is put back, the string that stopped a plain-text
    completion is cut off (all but a closing tag, which belongs to the answer), and so is blank
    space at both ends.
    """
    if stop_reason and not stop_reason.startswith("</"):
        text = text.removesuffix(stop_reason)
    text = text.strip()
    if thinking_open and not text.startswith(OPEN):
        text = f"{OPEN}\n{text}"
    return text


def parts(response: str) -> Parts | None:
    """Thinking and what follows; None where the tags do not make one span at the beginning."""
    opened, closed = response.count(OPEN), response.count(CLOSE)
    if opened == closed == 0:
        return Parts(None, response.strip())
    if opened > 1 or closed != 1 or not (opened == 0 or response.startswith(OPEN)):
        return None
    thinking, _, said = response.removeprefix(OPEN).partition(CLOSE)
    return Parts(thinking.strip(), said.strip())
