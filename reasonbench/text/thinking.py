"""The reasoning in a response; what comes after it is `reasonbench.grading.extract.visible`."""

from __future__ import annotations

OPENED, CLOSED = "<think>", "</think>"


def thinking(text: str, *, thinking_open: bool = False) -> str:
    """What stands before the last `</think>`, past the first `<think>` if there is one.

    An unclosed span is thinking to its end. A response without either tag is all thinking.

    Args:
        text: the response.
        thinking_open: the prompt opened the span, so the response begins in it.
    """
    end = text.rfind(CLOSED)
    body = text if end < 0 else text[:end]
    start = -1 if thinking_open else body.find(OPENED)
    return body if start < 0 else body[start + len(OPENED) :]
