"""Bytes of a file or of standard input, decompressed if they are gzip or zstd.

Compression is detected by the first bytes, not by the name. A file named ``.gz`` or ``.zst`` that is not compressed
is rejected: usually its download failed.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from vectordb import zstd
from vectordb.memory import available_memory
from vectordb.readers.rows import BadSource, is_stdin
from vectordb.readers.xz import Xz

_GZIP = b"\x1f\x8b"
_BZIP2, _XZ = b"BZh", b"\xfd7zXZ\0"
PACKED_ARCHIVES = (".tgz", ".tbz2", ".tbz", ".txz", ".tzst")
PACKED_SUFFIXES = (".gz", ".zst", ".zstd", ".bz2", ".xz", *PACKED_ARCHIVES)

# bytes of a zstd window that are always allowed: zstd's own limit
_WINDOW_FREE = 1 << 27
# bytes that unpacking xz may take: its largest usual dictionary has 64 MiB
_MEMORY_MAX = 1 << 29
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
        except (zlib.error, zstd.ZstdError, lzma.LZMAError, OSError) as exc:
            if "memory" in str(exc).lower():
                raise BadSource(self._path, f"unpacking it takes too much memory: {exc}", self._position) from exc
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
        begin = cast("io.BufferedReader", raw).peek(zstd.HEADER_MAX)[: zstd.HEADER_MAX]
    except OSError as exc:
        raise BadSource(path, f"the file cannot be read: {exc.strerror}") from exc
    if (unpacked := _unpacked(path, raw, begin)) is not None:
        return unpacked
    if path.name.lower().endswith(PACKED_SUFFIXES):
        what = "it is empty" if not begin else "it is not compressed"
        raise BadSource(
            path,
            f"its name ends in {path.suffix}, but {what}: download it again, or rename it",
        )
    return Stream(path, raw, raw)


def _unpacked(path: Path, raw: BinaryIO, begin: bytes) -> Stream | None:
    """The decompressed stream, if the first bytes are those of compressed data."""
    counted = _counted(raw)
    if begin.startswith(_GZIP):
        return Stream(path, counted, cast("BinaryIO", gzip.GzipFile(fileobj=counted)))
    if begin.startswith(_BZIP2) and begin[3:4].isdigit():
        return Stream(path, counted, cast("BinaryIO", bz2.BZ2File(counted)))
    if begin.startswith(_XZ):
        return Stream(path, counted, cast("BinaryIO", Xz(counted, _MEMORY_MAX)))
    if begin.startswith(zstd.MAGIC):
        window = zstd.window_size(begin)
        most = max(_WINDOW_FREE, min(zstd.WINDOW_MAX, available_memory() // 2))
        if window > most:
            raise BadSource(
                path,
                f"it was packed with a window of {window >> 20:,} MiB, which unpacking keeps in memory, and"
                f" {most >> 20:,} MiB may be taken here: unpack it first, with zstd -d --long=31, or pack it again"
                " without --long",
            )
        options = {int(zstd.DecompressionParameter.window_log_max): max(27, (window - 1).bit_length())}
        return Stream(path, counted, cast("BinaryIO", zstd.ZstdFile(counted, options=options)))
    return None


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
