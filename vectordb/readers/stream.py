"""Bytes of a file or of standard input, unpacked on the way where they are gzip or zstd.

What is packed is known by its first bytes, whatever its name. A file that is called ``.gz`` or ``.zst`` and is not
packed is refused: mostly it was cut off or holds an error page.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from vectordb import zstd
from vectordb.readers.rows import BadSource, is_stdin

_GZIP = b"\x1f\x8b"
PACKED_SUFFIXES = (".gz", ".tgz", ".zst", ".zstd")


class Stream:
    """Bytes in their order; ``read`` gives what is at hand, so that nothing before a fault is lost."""

    def __init__(self, path: Path, raw: BinaryIO, unpacked: BinaryIO) -> None:
        """``raw`` are the bytes on disk, ``unpacked`` what they hold; the same where nothing is packed."""
        self._path = path
        self._raw = raw
        self._unpacked = unpacked
        self._given = 0

    @property
    def consumed(self) -> int:
        """Bytes on disk that have been read; 0 for a pipe, whose size nobody knows either."""
        return self._raw.tell() if self._raw.seekable() else 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end. Raises ``BadSource`` where the packing is damaged or cut off."""
        try:
            data: bytes = cast("io.BufferedReader", self._unpacked).read1(size)
        except EOFError as exc:
            raise BadSource(self._path, "the file is cut off", self._position) from exc
        except (zlib.error, zstd.ZstdError, OSError) as exc:
            raise BadSource(self._path, f"the file is damaged: {exc}", self._position) from exc
        self._given += len(data)
        return data

    @property
    def _position(self) -> str:
        return f"byte {self._given} of what it holds"


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The bytes of a file, or of standard input for ``-``, which is left open. Raises ``BadSource``."""
    if is_stdin(path):
        yield _stream(path, sys.stdin.buffer)
        return
    try:
        raw = path.open("rb")
    except OSError as exc:
        raise BadSource(path, f"it cannot be opened: {exc.strerror}") from exc
    with raw:
        yield _stream(path, raw)


def head(path: Path, size: int) -> bytes:
    """The first bytes of a file, unpacked; fewer where it is shorter or damaged."""
    data = b""
    with opened(path) as stream:
        try:
            while len(data) < size and (more := stream.read(size - len(data))):
                data += more
        except BadSource:
            return data
    return data


def _stream(path: Path, raw: BinaryIO) -> Stream:
    """A stream over open bytes, by what they begin with."""
    try:
        magic = cast("io.BufferedReader", raw).peek(4)[:4]
    except OSError as exc:
        raise BadSource(path, f"it cannot be read: {exc.strerror}") from exc
    if magic.startswith(_GZIP):
        return Stream(path, raw, cast("BinaryIO", gzip.GzipFile(fileobj=raw)))
    if magic == zstd.MAGIC:
        return Stream(path, raw, cast("BinaryIO", zstd.ZstdFile(raw)))
    if path.name.lower().endswith(PACKED_SUFFIXES):
        what = "it is empty" if not magic else "its first bytes are none"
        raise BadSource(
            path, f"it is called {path.suffix}, but {what}: fetch it again, or rename it if it is unpacked"
        )
    return Stream(path, raw, raw)
