"""WebDataset: tar archives whose members of one sample share a name up to its first dot.

A sample's caption is its ``.txt`` member or, without one, the caption field of its ``.json`` member. The archive is
read as a stream and never unpacked to disk; names are used only for comparison and messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from vectordb.archive import Archive, BadArchive, shown
from vectordb.readers.choice import choose
from vectordb.readers.content import CAPTIONS, EMPTY, kind_of
from vectordb.readers.json_lines import columns_of, object_of
from vectordb.readers.listed import NotListed, texts_of
from vectordb.readers.names import CAPTION_NAMES
from vectordb.readers.rows import LONGEST, BadSource, OnProgress, Rows, packed
from vectordb.readers.stream import Stream, opened

_SAMPLE, _FEW = 50, 5  # samples to judge text members by, and the fewest
_ABOUT = re.compile(r"readme|licen[sc]e|notice|changelog", re.IGNORECASE)  # text about the archive

# the names and the content of the members of a sample that may hold captions
Members = list[tuple[str, bytes]]


def read(path: Path, column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of one archive; samples without one are skipped. With ``column`` only ``.json`` members count.

    Raises ``BadSource`` for an archive without captions, and for one that is truncated or continues behind its end.
    """
    return packed(_texts(path, Sample(path, column), on_progress))


def _texts(path: Path, sample: Sample, on_progress: OnProgress) -> Iterator[str]:
    begin: list[Members] = []
    fault: BadSource | None = None
    count = 0
    with opened(path) as stream:
        source = _samples(_members(path, _Reported(stream, on_progress)))
        try:
            for members in source:
                begin.append(members)
                if len(begin) == _SAMPLE:
                    break
        except BadSource as exc:
            fault = exc
        sample.look(begin)
        for members in chain(begin, _failing(fault) if fault else source):
            texts = sample.texts(members)
            yield from texts
            count += bool(texts)
    if not count:
        column = sample.column
        wanted = f"a field {column!r} in a .json" if column else "a .txt, or a .json with a caption"
        others = ", ".join(f".{suffix} holds {kind}" for suffix, kind in sorted(sample.others.items()))
        raise BadSource(path, f"no sample in it has {wanted}{others and f'; {others}'}")


def _failing(fault: BadSource) -> Iterator[Members]:
    raise fault
    yield  # makes this a generator: the fault is raised in its place


def _samples(members: Iterator[tuple[str, bytes | None]]) -> Iterator[Members]:
    """The members of each sample that may hold captions; those before a fault, then the fault."""
    last: str | None = None
    kept: Members = []
    fault: BadSource | None = None
    try:
        for name, data in members:
            if (key := _key(name)) != last:
                if kept:
                    yield kept
                last, kept = key, []
            if data is not None and not _ABOUT.fullmatch(key.rpartition("/")[2]):
                kept.append((name, data))
    except BadSource as exc:
        fault = exc
    if kept:
        yield kept
    if fault is not None:
        raise fault


class Sample:
    """Reads the captions of samples. ``others``: suffixes of text members that hold something else, and what."""

    def __init__(self, path: Path, column: str | None) -> None:
        self._path = path
        self.column = column
        self.others: dict[str, str] = {}
        self._names: dict[tuple[str, ...], list[str]] = {}  # of the caption fields, by those of the object

    def look(self, samples: Sequence[Members]) -> None:
        """Find out from the first samples which text members hold something else: addresses, or class numbers."""
        values: dict[str, list[str]] = {}
        for name, data in chain.from_iterable(samples):
            if name.lower().endswith(".txt"):
                values.setdefault(_suffix(name), []).append(data.decode("utf-8", "replace"))
        kinds = {suffix: kind_of(texts) for suffix, texts in values.items() if len(texts) >= _FEW}
        self.others = {suffix: kind for suffix, kind in kinds.items() if kind not in {CAPTIONS, EMPTY}}

    def texts(self, members: Members) -> list[str]:
        """The captions of a sample: its .txt, or another text member, or those of its .json."""
        if self.column is None:
            written = [one for one in members if (end := _suffix(one[0])).endswith("txt") and end not in self.others]
            if written:
                return [_decoded(self._path, *min(written, key=lambda one: _rank(_suffix(one[0]))))]
        for name, data in members:
            if name.lower().endswith(".json") and (texts := self._from_json(name, data)):
                return texts
        return []

    def _from_json(self, name: str, data: bytes) -> list[str]:
        """The captions in a .json member; none if it has none and no field was requested."""
        position = f"member {shown(name)}"
        try:
            row = object_of(data)
            fields = tuple(row)
            if (names := self._names.get(fields)) is None:
                columns = columns_of([row])
                at, _ = choose(self._path, columns, self.column, position, "field")
                names = [columns[i].name for i in at]
                if len(self._names) < _SAMPLE:
                    self._names[fields] = names
            return [text for one in names for text in texts_of(row[one]) or [""]]
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


def _suffix(name: str) -> str:
    """What follows the first dot of a member's name, in lower case."""
    return name.rpartition("/")[2].partition(".")[2].lower()


def _rank(suffix: str) -> int:
    """The smaller, the more likely are captions in members with this suffix: ``txt``, then ``caption.txt`` …"""
    name = suffix.removesuffix("txt").rstrip(".")
    return 0 if not name else 1 + CAPTION_NAMES.index(name) if name in CAPTION_NAMES else 1 + len(CAPTION_NAMES)


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
