"""Bytes of a file or of standard input, decompressed if they are gzip or zstd.

Compression is detected by the first bytes, not by the name. A file named ``.gz`` or ``.zst`` that is not compressed
is rejected: usually its download failed.
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


# unpacked bytes in packed ones: captions reach 20; more is a file that was made to never end
RATIO_MAX, RATIO_LEAST = 200, 1 << 24


class Stream:
    """A stream of bytes; ``read`` returns what is available, so that nothing before a fault is lost."""

    def __init__(self, path: Path, raw: BinaryIO, unpacked: BinaryIO) -> None:
        """``raw`` are the bytes on disk, ``unpacked`` the decompressed ones; the same without compression."""
        self._path = path
        self._raw = raw
        self._unpacked = unpacked
        self._given = 0
        self._seekable = raw.seekable()

    @property
    def consumed(self) -> int:
        """Bytes read from disk; 0 for a pipe, whose size is unknown too."""
        return self._raw.tell() if self._seekable else 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end. Raises ``BadSource`` if the compressed data is damaged."""
        try:
            data: bytes = cast("io.BufferedReader", self._unpacked).read1(size)
        except EOFError as exc:
            raise BadSource(self._path, "the file is truncated", self._position) from exc
        except (zlib.error, zstd.ZstdError, OSError) as exc:
            raise BadSource(self._path, f"the file is damaged: {exc}", self._position) from exc
        self._given += len(data)
        if self._raw is not self._unpacked and self._given > RATIO_LEAST + RATIO_MAX * self._raw.tell():
            raise BadSource(self._path, f"it unpacks to more than {RATIO_MAX} times its size", self._position)
        return data

    @property
    def _position(self) -> str:
        return f"byte {self._given} of its content"


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The bytes of a file, or of standard input for ``-``, which is not closed. Raises ``BadSource``."""
    if is_stdin(path):
        yield _stream(path, sys.stdin.buffer)
        return
    try:
        raw = path.open("rb")
    except OSError as exc:
        raise BadSource(path, f"the file cannot be opened: {exc.strerror}") from exc
    with raw:
        yield _stream(path, raw)


def head(path: Path, size: int) -> bytes:
    """The first bytes of a file, decompressed; fewer if it is shorter or damaged."""
    data = b""
    with opened(path) as stream:
        try:
            while len(data) < size and (more := stream.read(size - len(data))):
                data += more
        except BadSource:
            return data
    return data


def _stream(path: Path, raw: BinaryIO) -> Stream:
    """A stream over open bytes, decompressed according to the first ones."""
    try:
        magic = cast("io.BufferedReader", raw).peek(4)[:4]
    except OSError as exc:
        raise BadSource(path, f"the file cannot be read: {exc.strerror}") from exc
    if magic.startswith(_GZIP):
        counted = _counted(raw)
        return Stream(path, counted, cast("BinaryIO", gzip.GzipFile(fileobj=counted)))
    if magic == zstd.MAGIC:
        counted = _counted(raw)
        return Stream(path, counted, cast("BinaryIO", zstd.ZstdFile(counted)))
    if path.name.lower().endswith(PACKED_SUFFIXES):
        what = "it is empty" if not magic else "it is not compressed"
        raise BadSource(
            path,
            f"its name ends in {path.suffix}, but {what}: download it again, or rename it",
        )
    return Stream(path, raw, raw)


class _CountedPipe(io.RawIOBase):
    """A pipe that knows how much was read of it."""

    def __init__(self, raw: BinaryIO) -> None:
        self._pipe = raw
        self._count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._pipe.read(size)
        self._count += len(data)
        return data

    def tell(self) -> int:
        return self._count


def _counted(raw: BinaryIO) -> BinaryIO:
    return raw if raw.seekable() else cast("BinaryIO", _CountedPipe(raw))
