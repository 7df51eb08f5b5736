"""Reads untrusted tar archives as a stream, with stricter checks than ``tarfile``.

``tarfile`` treats a damaged header, or a file that stops between two members, as the end of the archive. It reads
long names and extended headers completely into memory, recurses for each header that follows another, and accepts
negative sizes. This module checks all of that itself, so the result does not depend on the Python version.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from vectordb.errors import Permanent

HEADER_MAX = 1 << 20  # bytes of a long name or of an extended header
_HEADERS_MAX = 8  # such headers before one member; writers use at most a name, a link and two extended ones

DIGITS_MAX = 200  # of a number in an extended header

_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % (DIGITS_MAX + 1))
_PAX = {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE}
_READ_WHOLE = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class BadArchive(Permanent):
    """The bytes are not a tar archive, or the archive is incomplete or malicious."""


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes: ...


class Archive:
    """The members of one archive, in order.

    Errors of the stream's ``read`` are raised unchanged.
    """

    def __init__(self, stream: Readable) -> None:
        """Reads nothing yet."""
        self._source = _Counted(stream)
        self._tar: tarfile.TarFile | None = None
        self.last = ""  # the name of the last member returned

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """All members, of any type; each can be read until the next one is requested.

        Raises ``BadArchive``, also at the end if the archive is truncated or continues behind its end.
        """
        with _translated():
            self._tar = _open(self._source)
        end = 0
        while (member := self._next(self._tar)) is not None:
            if member.size < 0 or self._tar.offset <= end:
                raise BadArchive("a member has a negative size")
            end = self._tar.offset
            self.last = member.name
            yield member
        self._check_end(end)  # the end of the last member returned: after an invalid header, tarfile may be further

    def read(self, member: tarfile.TarInfo, most: int) -> bytes:
        """The content of the last member. Raises ``BadArchive``, also if it is longer than ``most`` bytes."""
        if member.size > most:
            raise BadArchive(f"{shown(member.name)} is longer than {most:,} bytes")
        return b"".join(self.pieces(member, max(member.size, 1)))

    def pieces(self, member: tarfile.TarInfo, size: int) -> Iterator[bytes]:
        """The content of the last member in pieces of at most ``size`` bytes. Nothing for anything but a file."""
        with _translated():
            content = self._tar.extractfile(member) if self._tar and member.isreg() else None
            left = member.size if content else 0
            while content and left:
                piece = content.read(min(size, left))
                if not piece:
                    raise BadArchive("the archive is truncated")
                left -= len(piece)
                yield piece

    def _next(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        with _translated():
            member = tar.next()
        tar.members.clear()  # type: ignore[attr-defined] # otherwise it would keep all members in memory
        return member

    def _check_end(self, end: int) -> None:
        while self._source.read(1 << 16):
            pass
        if self._source.given < end + tarfile.BLOCKSIZE:  # an archive ends with blocks of zeros
            raise BadArchive("the archive is truncated")
        if self._source.last_data > end:
            raise BadArchive(f"a header is damaged, or another archive follows, at byte {end}")


def shown(name: str) -> str:
    """A member's name, escaped and shortened for messages."""
    return ascii(name[:200])


def _open(source: _Counted) -> tarfile.TarFile:
    """``tarfile`` over a stream, with limits on what it reads by itself."""
    in_a_row = kept = 0

    class Member(tarfile.TarInfo):
        """A member with limits on the size and number of its headers."""

        def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
            """Called for each header before its content is read: the only such place in Python 3.11 to 3.14."""
            nonlocal in_a_row, kept
            if self.type not in _READ_WHOLE:
                in_a_row = 0
            else:
                in_a_row += 1
                # not a tarfile error: tarfile would replace it or treat it as the end
                if not 0 <= self.size <= HEADER_MAX:
                    raise BadArchive(f"a header has {self.size:,} bytes, more than allowed")
                if in_a_row > _HEADERS_MAX:
                    raise BadArchive(f"a member has more than {_HEADERS_MAX} headers")
                kept += self.size * (self.type == tarfile.XGLTYPE)  # tarfile keeps these to the end
                if kept > HEADER_MAX:
                    raise BadArchive(f"its global headers have more than {HEADER_MAX:,} bytes")
            if self.type not in _PAX:
                return _processed(super(), archive)
            stream, ahead = archive.fileobj, _Ahead(archive.fileobj, self.size)
            archive.fileobj = ahead  # type: ignore[assignment]  # has what tarfile calls
            try:
                return _processed(super(), archive)
            finally:
                archive.fileobj = stream

    return tarfile.open(fileobj=source, mode="r|", tarinfo=Member, errors="surrogateescape")  # type: ignore[call-overload, no-any-return] # read only


def _processed(member: Any, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    found: tarfile.TarInfo | None = member._proc_member(archive)  # noqa: SLF001 -- see ``Member``
    return found


class _Ahead:
    """The archive's stream with an extended header that was read before and has no long numbers.

    The regular expressions of ``tarfile`` take quadratic time for those (CVE-2024-6232).
    """

    def __init__(self, stream: Any, size: int) -> None:
        self._stream = stream
        self._data = stream.read(-(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        if _LONG_NUMBER.search(self._data):
            raise BadArchive(f"a header has a number of more than {DIGITS_MAX} digits")

    def read(self, size: int) -> bytes:
        data, self._data = self._data[:size], self._data[size:]
        return bytes(data) + self._stream.read(size - len(data)) if len(data) < size else bytes(data)

    def tell(self) -> int:
        return int(self._stream.tell()) - len(self._data)

    def seek(self, position: int) -> None:
        if position != self.tell():
            skipped = position - self.tell()
            while skipped > 0 and (piece := self.read(min(skipped, 1 << 16))):
                skipped -= len(piece)


@contextmanager
def _translated() -> Iterator[None]:
    """Translates errors of ``tarfile`` to ``BadArchive``."""
    try:
        yield
    except (tarfile.TarError, ValueError, OverflowError) as exc:
        raise BadArchive(f"the archive is damaged, truncated, or not a tar file: {exc}") from exc


class _Counted:
    """Passes the archive's bytes to ``tarfile`` and counts them."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.given = 0  # bytes
        self.last_data = 0  # end position of the last non-zero byte

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if used := len(data.rstrip(b"\0")):
            self.last_data = self.given + used
        self.given += len(data)
        return data
