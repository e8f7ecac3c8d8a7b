"""What is printed to a terminal: names, answers and responses come from files, not from us."""

from __future__ import annotations

import re
from typing import IO

from rich.console import Console
from rich.table import Table

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def terminal(
    *,
    stderr: bool = False,
    quiet: bool = False,
    record: bool = False,
    width: int | None = None,
    file: IO[str] | None = None,
) -> Console:
    """A console that prints text as it is: "[b]" in an answer is no markup, ":x:" no emoji."""
    return Console(
        stderr=stderr,
        quiet=quiet,
        record=record,
        width=width,
        file=file,
        markup=False,
        emoji=False,
        highlight=False,
    )


def visible(text: str) -> str:
    """Text without what would steer the terminal: control characters are U+FFFD."""
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n"))


def plain_table(*columns: tuple[str, int], left: int = 1) -> Table:
    """Columns with titles and least widths, the first `left` of them texts."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for number, (title, width) in enumerate(columns):
        text = number < left
        table.add_column(
            title,
            min_width=width,
            justify="left" if text else "right",
            overflow="fold",
            no_wrap=not text,
        )
    return table
