"""tar archives from anywhere, read as a stream, by our own rules on top of ``tarfile``'s.

``tarfile`` takes a damaged header, and a file that stops between two members, for the end of the archive. It reads
long names and extended headers whole, calls itself once for each that follows another, and follows sizes below zero.
None of that is left to the version of Python that runs.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from vectordb.errors import Permanent

HEADER_MAX = 1 << 20  # bytes of a long name or of an extended header
_HEADERS_MAX = 8  # such headers before one member; a name, a link and two extended ones are the most that is written

_READ_WHOLE = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class BadArchive(Permanent):
    """The bytes are no tar archive, not a whole one, or one that nobody writes in good faith."""


class Readable(Protocol):
    """Bytes in their order."""

    def read(self, size: int, /) -> bytes: ...


class Archive:
    """The members of one archive, in their order.

    Whatever the stream's ``read`` raises comes through as it is.
    """

    def __init__(self, stream: Readable) -> None:
        """Reads nothing yet."""
        self._source = _Counted(stream)
        self._tar: tarfile.TarFile | None = None
        self.last = ""  # the name of the member that was given last

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """All members, of any kind; each can be read until the next one is asked for.

        Raises ``BadArchive``, at the end as well: where the archive is cut off or goes on behind its end.
        """
        with _translated():
            self._tar = _open(self._source)
        end = 0
        while (member := self._next(self._tar)) is not None:
            if member.size < 0 or self._tar.offset <= end:
                raise BadArchive("a member with a size below zero")
            end = self._tar.offset
            self.last = member.name
            yield member
        self._check_end(end)  # of what was given: where a header is refused, tarfile may be behind it

    def read(self, member: tarfile.TarInfo, most: int) -> bytes:
        """All of the member that was given last. Raises ``BadArchive``, also where it is longer than ``most``."""
        if member.size > most:
            raise BadArchive(f"{shown(member.name)} is longer than {most:,} bytes")
        return b"".join(self.pieces(member, max(member.size, 1)))

    def pieces(self, member: tarfile.TarInfo, size: int) -> Iterator[bytes]:
        """The same, at most ``size`` bytes at a time. Nothing for what is no file."""
        with _translated():
            content = self._tar.extractfile(member) if self._tar and member.isreg() else None
            left = member.size if content else 0
            while content and left:
                piece = content.read(min(size, left))
                if not piece:
                    raise BadArchive("the archive is cut off")
                left -= len(piece)
                yield piece

    def _next(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        with _translated():
            member = tar.next()
        tar.members.clear()  # type: ignore[attr-defined]  # it would remember them all
        return member

    def _check_end(self, end: int) -> None:
        while self._source.read(1 << 16):
            pass
        if self._source.given < end + tarfile.BLOCKSIZE:  # where nothing more stands, there are blocks of zeros
            raise BadArchive("the archive is cut off")
        if self._source.last_data > end:
            raise BadArchive(f"a damaged header, or another archive behind this one's end, at byte {end}")


def shown(name: str) -> str:
    """A member's name as it may be shown: it may hold anything, and be long."""
    return ascii(name[:200])


def _open(source: _Counted) -> tarfile.TarFile:
    """``tarfile`` over a stream, with bounds on what it reads for itself."""
    in_a_row = 0

    class Member(tarfile.TarInfo):
        """A member whose headers fit into memory, and into the stack."""

        def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
            """Called for each header before what it announces is read: the only such place in Python 3.11 to 3.14."""
            nonlocal in_a_row
            if self.type not in _READ_WHOLE:
                in_a_row = 0
            else:
                in_a_row += 1
                # no error of tarfile's, which would be put into other words, or taken for the end
                if not 0 <= self.size <= HEADER_MAX:
                    raise BadArchive(f"a header of {self.size:,} bytes")
                if in_a_row > _HEADERS_MAX:
                    raise BadArchive(f"more than {_HEADERS_MAX} headers for one member")
            found: tarfile.TarInfo | None = super()._proc_member(archive)  # type: ignore[misc]  # typeshed leaves it out
            return found

    return tarfile.open(fileobj=source, mode="r|", tarinfo=Member, errors="surrogateescape")  # type: ignore[call-overload, no-any-return]  # only reads


@contextmanager
def _translated() -> Iterator[None]:
    """``BadArchive`` for what ``tarfile`` raises."""
    try:
        yield
    except (tarfile.TarError, ValueError, OverflowError) as exc:
        raise BadArchive(f"the archive is damaged, cut off, or no tar: {exc}") from exc


class _Counted:
    """The archive's bytes for ``tarfile``, counted."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.given = 0  # bytes
        self.last_data = 0  # where the last byte that is not zero ends

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if used := len(data.rstrip(b"\0")):
            self.last_data = self.given + used
        self.given += len(data)
        return data
