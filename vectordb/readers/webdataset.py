"""WebDataset: tar archives whose members of one sample share a name up to its first dot.

A sample's caption is its ``.txt`` member or, where it has none, the caption field of its ``.json`` member. The
archive is read as a stream; nothing is ever unpacked to disk, and names are only compared and told.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from vectordb.readers.json_lines import field, object_of, text_of
from vectordb.readers.rows import LONGEST, BadSource, Rows, Tell, packed
from vectordb.readers.stream import Stream, opened

_READ_WHOLE = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


def read(path: Path, column: str | None, tell: Tell) -> Iterator[Rows]:
    """The captions of one archive, a sample without one passed over. With ``column`` only ``.json`` members count.

    Raises ``BadSource`` for an archive without any, and for one that is cut off or goes on behind its end.
    """
    return packed(_texts(path, column, tell))


def _texts(path: Path, column: str | None, tell: Tell) -> Iterator[str]:
    sample, kept, count = "", None, 0
    fault: BadSource | None = None
    with opened(path) as stream:
        try:
            for name, data in _members(path, _Told(stream, tell)):
                if (key := _key(name)) != sample:
                    if kept is not None:
                        yield kept
                    sample, kept = key, None
                if data is not None:
                    kept = _caption(path, column, name, data, kept)
                count += kept is not None
        except BadSource as exc:
            fault = exc
    if kept is not None:
        yield kept
    if fault is not None:
        raise fault
    if not count:
        wanted = f"a field {column!r} in a .json" if column else "a .txt, or a .json with a caption"
        raise BadSource(path, f"no sample in it has {wanted}")


class _Member(tarfile.TarInfo):
    """A member whose header fits into memory: long names and extended headers are read whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _READ_WHOLE and member.size > LONGEST:
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member


def _members(path: Path, source: _Told) -> Iterator[tuple[str, bytes | None]]:
    """All files of an archive, with the content of those that may hold a caption."""
    last = ""
    try:
        with tarfile.open(fileobj=source, mode="r|", tarinfo=_Member, errors="surrogateescape") as tar:  # type: ignore[call-overload]  # only reads
            while (member := tar.next()) is not None:
                tar.members.clear()  # it would remember them all
                last = _shown(member.name)
                if not member.isfile():
                    continue
                data = None
                if member.name.lower().endswith((".txt", ".json")):
                    if member.size > LONGEST:
                        raise BadSource(
                            path, f"it is longer than {LONGEST:,} bytes: this is no caption", f"member {last}"
                        )
                    content = tar.extractfile(member)
                    data = content.read() if content else None
                yield member.name, data
            end: int = tar.offset
        # tarfile takes a damaged header, and a file that stops between two members, for the end
        while source.read(1 << 16):
            pass
        if source.given < end + tarfile.BLOCKSIZE:  # where nothing more stands, there are blocks of zeros
            raise BadSource(path, "the archive is cut off", f"after member {last}")
        if source.last_data > end:
            fault = "a damaged header, or another archive behind this one's end"
            raise BadSource(path, fault, f"after member {last}, byte {end}")
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as exc:
        where = f"after member {last}" if last else None
        raise BadSource(path, f"the archive is damaged, cut off, or no tar: {exc}", where) from exc


def _key(name: str) -> str:
    """What the members of one sample have in common: the path, and the name up to its first dot."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _caption(path: Path, column: str | None, name: str, data: bytes, kept: str | None) -> str | None:
    """The caption of a sample that had ``kept`` as its caption before this member."""
    if name.lower().endswith(".json"):
        return kept if kept is not None else _from_json(path, column, name, data)
    return kept if column is not None else _decoded(path, name, data)


def _from_json(path: Path, column: str | None, name: str, data: bytes) -> str | None:
    """The caption in a .json member; None where it has none, and none was asked for by name."""
    position = f"member {_shown(name)}"
    try:
        row = object_of(data)
        return text_of(row, field(path, row, column, position))
    except BadSource:
        if column is not None:
            raise
        return None
    except ValueError as exc:
        raise BadSource(path, str(exc), position) from exc


def _decoded(path: Path, name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadSource(path, f"byte {exc.start} is not UTF-8", f"member {_shown(name)}") from exc


def _shown(name: str) -> str:
    """A member's name as it may be shown: it may hold anything, and be long."""
    return ascii(name[:200])


class _Told:
    """The archive's bytes for tarfile: counted, and told to whoever follows the progress."""

    def __init__(self, stream: Stream, tell: Tell) -> None:
        self._stream = stream
        self._tell = tell
        self.given = 0  # bytes
        self.last_data = 0  # where the last byte that is not zero ends

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if used := len(data.rstrip(b"\0")):
            self.last_data = self.given + used
        self.given += len(data)
        self._tell(self._stream.consumed)
        return data
