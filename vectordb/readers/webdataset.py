"""WebDataset: tar archives whose members of one sample share a name up to its first dot.

A sample's caption is its ``.txt`` member or, without one, the caption field of its ``.json`` member. The archive is
read as a stream and never unpacked to disk; names are used only for comparison and messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vectordb.archive import Archive, BadArchive, shown
from vectordb.readers.choice import choose
from vectordb.readers.json_lines import columns_of, object_of
from vectordb.readers.listed import NotListed, texts_of
from vectordb.readers.rows import LONGEST, BadSource, OnProgress, Rows, packed
from vectordb.readers.stream import Stream, opened


def read(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of one archive; samples without one are skipped. With ``column`` only ``.json`` members count.

    Raises ``BadSource`` for an archive without captions, and for one that is truncated or continues behind its end.
    """
    return packed(_texts(path, Sample(path, column), on_progress))


def _texts(path: Path, sample: Sample, on_progress: OnProgress) -> Iterator[str]:
    last, kept, count = "", list[str](), 0
    fault: BadSource | None = None
    with opened(path) as stream:
        try:
            for name, data in _members(path, _Reported(stream, on_progress)):
                if (key := _key(name)) != last:
                    yield from kept
                    last, kept = key, []
                if data is not None:
                    kept = sample.captions(name, data, kept)
                count += bool(kept)
        except BadSource as exc:
            fault = exc
    yield from kept
    if fault is not None:
        raise fault
    if not count:
        column = sample.column
        wanted = f"a field {column!r} in a .json" if column else "a .txt, or a .json with a caption"
        raise BadSource(path, f"no sample in it has {wanted}")


class Sample:
    """Reads the captions of samples; the field that was found in one is looked for first in the next."""

    def __init__(self, path: Path, column: str | None) -> None:
        self._path = path
        self.column = column
        self._names: list[str] = []

    def captions(self, name: str, data: bytes, kept: list[str]) -> list[str]:
        """The captions of a sample after this member; ``kept`` were its captions before. A .txt comes first."""
        if name.lower().endswith(".json"):
            return kept or self._from_json(name, data)
        return kept if self.column is not None else [_decoded(self._path, name, data)]

    def _from_json(self, name: str, data: bytes) -> list[str]:
        """The captions in a .json member; none if it has none and no field was requested."""
        position = f"member {shown(name)}"
        try:
            row = object_of(data)
            if not self._names or any(one not in row for one in self._names):
                columns = columns_of([row])
                at, _ = choose(self._path, columns, self.column, position, "field")
                self._names = [columns[i].name for i in at]
            return [text for one in self._names for text in texts_of(row[one]) or [""]]
        except BadSource:
            if self.column is not None:
                raise
            return []
        except NotListed as exc:
            if self.column is None:
                return []
            raise BadSource(self._path, f"the field {self.column!r} holds {exc}", position) from exc
        except ValueError as exc:
            raise BadSource(self._path, str(exc), position) from exc


def _members(path: Path, source: _Reported) -> Iterator[tuple[str, bytes | None]]:
    """All files of an archive, with the content of those that may hold a caption."""
    archive = Archive(source)
    try:
        for member in archive:
            if not member.isfile():
                continue
            data = None
            if member.name.lower().endswith((".txt", ".json")):
                if member.size > LONGEST:
                    longer = f"it is longer than {LONGEST:,} bytes: this is not a caption"
                    raise BadSource(path, longer, f"member {shown(member.name)}")
                data = archive.read(member, LONGEST)
            yield member.name, data
    except BadArchive as exc:
        raise BadSource(path, str(exc), f"after member {shown(archive.last)}" if archive.last else None) from exc


def _key(name: str) -> str:
    """The common part of a sample's member names: the path, and the name up to its first dot."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _decoded(path: Path, name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadSource(path, f"byte {exc.start} is not UTF-8", f"member {shown(name)}") from exc


class _Reported:
    """Passes the archive's bytes on and reports the progress."""

    def __init__(self, stream: Stream, on_progress: OnProgress) -> None:
        self._stream = stream
        self._on_progress = on_progress

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._on_progress(self._stream.consumed)
        return data
