"""Rows of JSON, JSONL and their gzip, one at a time, each with the line it begins on."""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from reasonbench.errors import UsageError

_CHUNK = 1 << 16
_GZIP = b"\x1f\x8b"
_SPACE = re.compile(r"[ \t\n\r]*")
UNDECIDED = frozenset({"", ".", *(e + sign for e in "eE" for sign in ("", "+", "-"))})
"""What may stand between a number and the end of what was read, if the number goes on."""
_LISTS = ("rows", "data", "results", "records", "examples", "instances", "items", "details")
"""Names under which a JSON object is taken to hold its rows."""


class Row(NamedTuple):
    """One row of a file."""

    line: int
    """Where it begins, from 1."""
    values: Mapping[str, Any]


class Value(NamedTuple):
    """Anything that JSON holds, at the top of a file."""

    line: int
    """Where it begins, from 1."""
    value: Any
    alone: bool = False
    """It is the whole file, not an element or a line."""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file: JSONL, a JSON array of objects, or a JSON object of rows.

    Lines and arrays are streamed. An object (read whole) holds its rows in a list under a usual
    name ("results", "data", …), or is a mapping of ids to rows (the id is added as `id`), or is
    one row. Compression is told by the content, not by the name. Blank lines are skipped.

    Raises:
        UsageError: the file cannot be read, is empty, or is broken (with the line).
    """
    for found in read_values(path):
        if found.alone:
            yield from _of_object(path, found.value)
        else:
            yield row(path, found)


def read_values(path: Path) -> Iterator[Value]:
    """The lines, or the elements of the array, or the one value of a file; see `read_rows`.

    Raises:
        UsageError: the file cannot be read, is empty, or is broken (with the line).
    """
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise UsageError(f"{path} {what}.")
    with reading(path) as stream:
        first = next((line for line in stream if line.strip()), b"")
        more = any(line.strip() for line in stream)
    if not first:
        raise UsageError(f"{path} is empty.")
    if first.removeprefix(BOM_UTF8).lstrip().startswith(b"[") and not _is_lines(path):
        yield from _array(path)
    elif _is_lines(path) or (_is_object(first) and (more or not _is_json(path))):
        yield from _lines(path)
    else:
        with reading(path) as stream:
            text = _text(path, stream.read(), 1)
        yield Value(1, _decoded(path, text, 1), alone=True)


def row(path: Path, found: Value) -> Row:
    """A value that must be an object.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(found.value, dict):
        raise UsageError(
            f"{path}, line {found.line}: {kind(found.value)} where an object should be."
        )
    return Row(found.line, found.value)


def kind(value: Any) -> str:
    """What a value is, in words."""
    names = {list: "a list", dict: "an object", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def _lines(path: Path) -> Iterator[Value]:
    with reading(path) as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                text = _text(path, line.rstrip(), number)
                yield Value(number, _decoded(path, text, number))


def _array(path: Path) -> Iterator[Value]:
    decoder = json.JSONDecoder()
    with reading(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="\n") as stream:
        buffer, at, line, counted, ended = stream.read(_CHUNK), 0, 1, 0, False
        wanted = "["
        while True:
            at = _after_space(buffer, at)
            if at >= len(buffer):
                pass
            elif wanted == "[" or (wanted == "," and buffer[at] == ","):
                at, wanted = at + 1, "value or ]" if wanted == "[" else "value"
                continue
            elif buffer[at] == "]" and wanted != "value":
                rest = buffer[at + 1 :]
                while not rest.strip():
                    rest = stream.read(_CHUNK)
                    if not rest:
                        return
                raise UsageError(f"{path}: something follows the array that ends here.")
            elif wanted == ",":
                line += buffer.count("\n", counted, at)
                raise UsageError(f"{path}, line {line}: a comma or ] is missing.")
            else:
                try:
                    value, end = decoder.raw_decode(buffer, at)
                except (ValueError, RecursionError) as error:
                    if ended or isinstance(error, RecursionError):
                        line += buffer.count("\n", counted, getattr(error, "pos", at))
                        raise _broken(path, line, error) from error
                else:
                    if not ended and buffer[end:] in UNDECIDED:  # a number may go on
                        more = stream.read(_CHUNK)
                        buffer, ended = buffer + more, not more
                        continue
                    line += buffer.count("\n", counted, at)
                    yield Value(line, value)
                    line += buffer.count("\n", at, end)
                    at = counted = end
                    wanted = ","
                    continue
            if ended:
                raise UsageError(f"{path} is cut off: the array is not closed.")
            # doubling keeps a long element linear
            more = stream.read(max(_CHUNK, len(buffer) - at))
            line += buffer.count("\n", counted, at)
            buffer, at, counted, ended = buffer[at:] + more, 0, 0, not more


def _of_object(path: Path, value: Any) -> Iterator[Row]:
    if not isinstance(value, dict):
        raise UsageError(f"{path} holds {kind(value)}, not rows.")
    lists = [name for name in _LISTS if _all_objects(value.get(name))]
    if lists:
        for number, element in enumerate(value[lists[0]], 1):
            yield Row(number, element)
    elif value and all(isinstance(element, dict) for element in value.values()):
        for number, (name, element) in enumerate(value.items(), 1):
            yield Row(number, {"id": name, **element})
    else:
        yield Row(1, value)


def _decoded(path: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _broken(path, line + text.count("\n", 0, getattr(error, "pos", 0)), error) from error


def _broken(path: Path, line: int, error: Exception) -> UsageError:
    if isinstance(error, json.JSONDecodeError):
        return UsageError(f"{path}, line {line}: broken JSON ({error.msg}, column {error.colno}).")
    what = "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
    return UsageError(f"{path}, line {line}: unusable JSON ({what}).")


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    """The bytes of a file, unpacked where it is gzip.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=raw) as plain:
                    yield plain
            else:
                yield raw
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error.reason}.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"{path} is a broken gzip file: {error}.") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}.") from error


def _text(path: Path, raw: bytes, line: int) -> str:
    """Decoded bytes that begin on `line`; a byte order mark is dropped."""
    try:
        return raw.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        raise UsageError(f"{path}, line {line}: not UTF-8 text ({error.reason}).") from error


def _is_lines(path: Path) -> bool:
    return Path(path.name.removesuffix(".gz")).suffix in (".jsonl", ".ndjson")


def _is_json(path: Path) -> bool:
    return Path(path.name.removesuffix(".gz")).suffix == ".json"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _all_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()
