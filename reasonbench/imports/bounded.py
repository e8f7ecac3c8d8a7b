"""JSON of unknown origin, one value at a time: what is too large or too deep is told, not read.

Lines, elements of arrays and members of objects are streamed; one of them may have `LARGEST`
characters. Nothing that a file says is used as a path.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.runs.rows import UNDECIDED, reading

LARGEST = 128 << 20
"""Characters, or bytes, of one line, element or entry."""

_CHUNK = 1 << 16
_SPACE = " \t\n\r"


def lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The lines of JSONL with their numbers, from 1; blank ones are skipped.

    Raises:
        UsageError: the file cannot be read, or a line is broken, too long or too deep.
    """
    with reading(path) as stream:
        number = 0
        while raw := stream.readline(LARGEST + 1):
            number += 1
            where = f"{path}, line {number}"
            if len(raw) > LARGEST:
                raise UsageError(f"{where} is longer than {LARGEST >> 20} MB.")
            if raw.strip():
                yield number, parsed(raw, where)


def whole(path: Path) -> Any:
    """The one value of a file.

    Raises:
        UsageError: the file cannot be read, or is broken, too long or too deep.
    """
    with reading(path) as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise UsageError(f"{path} is longer than {LARGEST >> 20} MB.")
    return parsed(raw, str(path))


def parsed(raw: bytes, where: str) -> Any:
    """One JSON value.

    Raises:
        UsageError: it is none, is nested too deeply, or is no UTF-8; the message begins with
            `where`.
    """
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 text ({error.reason}).") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: {_why(error)}.") from None


def begins(path: Path) -> str:
    """The first character of a file that is no space ("" where there is none)."""
    with reading(path) as stream:
        while raw := stream.read(_CHUNK):
            text = raw.removeprefix(b"\xef\xbb\xbf").lstrip()
            if text:
                return chr(text[0])
    return ""


def elements(path: Path) -> Iterator[tuple[int, Any]]:
    """The elements of a JSON array with the lines that they begin on.

    Raises:
        UsageError: the file cannot be read, is no array, or is broken.
    """
    with reading(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="\n") as stream:
        cursor = _Cursor(path, stream)
        yield from cursor.array()
        cursor.end()


def members(path: Path, *spread: str) -> Iterator[tuple[str, int, Any]]:
    """The members of a JSON object: (name, line, value), in the order of the file.

    Args:
        spread: of members with these names each element of their array, or each (name, value)
            pair of their object, is given by itself. A null gives nothing.

    Raises:
        UsageError: the file cannot be read, is no object, or is broken.
    """
    with reading(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="\n") as stream:
        cursor = _Cursor(path, stream)
        for name in cursor.names():
            opened = cursor.peek() if name in spread else ""
            if opened == "[":
                for line, value in cursor.array():
                    yield name, line, value
            elif opened == "{":
                for key in cursor.names():
                    line, value = cursor.value()
                    yield name, line, (key, value)
            else:
                line, value = cursor.value()
                if name not in spread or value is not None:
                    yield name, line, value
        cursor.end()


class _Cursor:
    """A place in a JSON text that is read as it goes on."""

    def __init__(self, path: Path, stream: io.TextIOWrapper) -> None:
        self._path, self._stream = path, stream
        self._decoder = json.JSONDecoder()
        self._buffer, self._at, self._line, self._ended = "", 0, 1, False

    def names(self) -> Iterator[str]:
        """The names of an object's members; the value must be taken after each."""
        self._take("{")
        more = self.peek() != "}"
        while more:
            line, name = self.value()
            if not isinstance(name, str):
                raise UsageError(f"{self._path}, line {line}: a name should stand here.")
            self._take(":")
            yield name
            more = self.peek() == ","
            if more:
                self._take(",")
        self._take("}")

    def array(self) -> Iterator[tuple[int, Any]]:
        """The elements of an array."""
        self._take("[")
        more = self.peek() != "]"
        while more:
            yield self.value()
            more = self.peek() == ","
            if more:
                self._take(",")
        self._take("]")

    def value(self) -> tuple[int, Any]:
        """The next value, whole, and the line that it begins on."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                beyond = error.pos - self._at
                if not self._more():
                    self._at += beyond
                    if "Unterminated" in error.msg or self._at >= len(self._buffer.rstrip()):
                        raise UsageError(f"{self._path} is cut off.") from None
                    raise UsageError(f"{self._here()}: broken JSON ({error.msg}).") from None
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{self._here()}: {_why(error)}.") from None
            else:
                if self._buffer[end : end + 3] in UNDECIDED and self._more():
                    continue
                line = self._line + self._buffer.count("\n", 0, self._at)
                self._at = end
                return line, value

    def peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def end(self) -> None:
        """Nothing may follow."""
        if self.peek():
            raise UsageError(f"{self._here()}: something follows the end.")

    def _take(self, wanted: str) -> None:
        found = self.peek()
        if found == wanted:
            self._at += 1
        elif not found:
            raise UsageError(f"{self._path} is cut off: a {wanted} is missing at its end.")
        else:
            raise UsageError(f"{self._here()}: {found!r} where a {wanted} should be.")

    def _more(self) -> bool:
        if self._ended:
            return False
        left = len(self._buffer) - self._at
        if left > LARGEST:
            raise UsageError(f"{self._here()}: a value is longer than {LARGEST >> 20} MB.")
        read = self._stream.read(max(_CHUNK, left))  # doubling keeps a long value linear
        self._line += self._buffer.count("\n", 0, self._at)
        self._buffer, self._at = self._buffer[self._at :] + read, 0
        self._ended = not read
        return bool(read)

    def _here(self) -> str:
        return f"{self._path}, line {self._line + self._buffer.count(chr(10), 0, self._at)}"


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"broken JSON ({error.msg}, line {error.lineno}, column {error.colno})"
    if isinstance(error, RecursionError):
        return "JSON that is nested too deeply"
    return "JSON with a number that is too long"
