"""Entries of a zip archive of unknown origin, read into memory one at a time within a limit.

Nothing is unpacked to disk, so what entries are called can do no harm. Python 3.11 does not know
the compression that inspect_ai writes by default (zstd, method 93): pyarrow unpacks it.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.imports import bounded

ZSTD = 93
_CHUNK = 1 << 20
_LOCAL_HEADER = 30


class Archive:
    """A zip archive that is open.

    Attributes:
        names: of its entries; where one stands there twice, the last one counts.
    """

    def __init__(self, path: Path, opened: zipfile.ZipFile) -> None:
        """Use `opened`."""
        self._path, self._zip = path, opened
        self._entries = {entry.filename: entry for entry in opened.infolist()}
        self.names = tuple(self._entries)

    def json(self, name: str) -> Any:
        """The JSON value of an entry.

        Raises:
            UsageError: the entry is damaged, locked, too large, or no JSON.
        """
        where = f"{self._path}, {name[:200]}"
        entry = self._entries[name]
        if entry.flag_bits & 1:
            raise UsageError(f"{where} is encrypted.")
        if entry.file_size > bounded.LARGEST:
            raise UsageError(_too_large(where))
        try:
            unpack = self._zstd if entry.compress_type == ZSTD else self._usual
            return bounded.parsed(unpack(entry, where), where)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
            raise UsageError(f"{where} is damaged: {error}.") from None
        except (NotImplementedError, RuntimeError) as error:
            raise UsageError(f"{where} cannot be read: {error}.") from None

    def _usual(self, entry: zipfile.ZipInfo, where: str) -> bytes:
        with self._zip.open(entry) as stream:
            return _bounded(stream, where)

    def _zstd(self, entry: zipfile.ZipInfo, where: str) -> bytes:
        import pyarrow

        stream = self._zip.fp
        assert stream is not None
        if entry.compress_size > bounded.LARGEST:
            raise UsageError(_too_large(where))
        stream.seek(entry.header_offset)
        header = stream.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("its header is missing")
        name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
        stream.seek(name + extra, 1)
        packed = stream.read(entry.compress_size)
        with pyarrow.CompressedInputStream(pyarrow.BufferReader(packed), "zstd") as plain:
            raw = _bounded(plain, where)
        if zlib.crc32(raw) != entry.CRC:
            raise zipfile.BadZipFile("its checksum is wrong")
        return raw


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """An archive, open for reading.

    Raises:
        UsageError: it cannot be read, or is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield Archive(path, archive)
    except zipfile.BadZipFile as error:
        raise UsageError(f"{path} is a damaged archive: {error}.") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}.") from None


def _bounded(stream: Any, where: str) -> bytes:
    """All of a stream, whatever its directory says of its size."""
    parts, size = [], 0
    while part := stream.read(_CHUNK):
        size += len(part)
        if size > bounded.LARGEST:
            raise UsageError(_too_large(where))
        parts.append(part)
    return b"".join(parts)


def _too_large(where: str) -> str:
    return f"{where} is larger than {bounded.LARGEST >> 20} MB."
