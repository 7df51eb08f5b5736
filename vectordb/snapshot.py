"""A version as one file that every library can write and restore, independent of the engine.

A tar archive, compressed with zstd, with a fixed order: ``snapshot.json`` with the format and the manifest; for every
page ``pages/N.json``, a list of ``[id, text, payload]``, and ``pages/N.f32``, its (n, dimension) unit vectors as
little-endian float32; finally ``end.json`` with the number of captions and pages and the SHA-256 of everything before
it. The file ends with its own SHA-256, in a frame that zstd skips, so any change is detected and a damaged file is
rejected before anything is restored.

Written and read one page at a time. Files of earlier versions are supported, too: ``vectordb.snapshot_old``.
"""

from __future__ import annotations

import hashlib
import json
import struct
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vectordb.archive import Archive, Readable
from vectordb.captions import SOURCE, Caption
from vectordb.index import CaptionIndex, Floats, UnusableVectors, WrongDimension
from vectordb.library import BadSnapshot, Manifest
from vectordb.snapshot_old import MANIFEST, OldPages, edge_files, is_edge_files
from vectordb.snapshot_parts import PAGE_MAX, SMALL, Saved, captions_of, manifest_of, understood, vectors_of
from vectordb.zstd import MAGIC, CompressionParameter, ZstdFile

FORMAT = 2  # earlier versions wrote no number
_FIRST, _END = "snapshot.json", "end.json"
_LEVEL = 3  # of zstd: vectors hardly compress, and texts do at any level
_SEAL = struct.Struct("<II32s")  # a frame that zstd readers skip: its magic number, its length, our digest
_SKIPPED = 0x184D2A57

OnProgress = Callable[[int], None]
"""Receives the number of captions written or read so far."""


def silent(_: int) -> None:
    """An ``OnProgress`` that does nothing."""


def write(file: Path, manifest: Manifest, index: CaptionIndex, on_progress: OnProgress = silent) -> None:
    """Write all captions of the index to a file, which is renamed to its final name when complete."""
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("wb") as raw:
            sealed = _Hashed(raw)
            options = {CompressionParameter.compression_level: _LEVEL, CompressionParameter.checksum_flag: 1}
            with ZstdFile(sealed, "wb", options=options) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:  # type: ignore[call-overload] # write only
                _write_members(tar, manifest, index, on_progress)
            raw.write(_SEAL.pack(_SKIPPED, hashlib.sha256().digest_size, sealed.digest.digest()))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _write_members(tar: tarfile.TarFile, manifest: Manifest, index: CaptionIndex, on_progress: OnProgress) -> None:
    checksum = hashlib.sha256()

    def put(name: str, content: bytes) -> None:
        _account(checksum, name, content)
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, BytesIO(content))

    put(_FIRST, json.dumps({"format": FORMAT, "manifest": manifest.stored()}, indent=2).encode())
    count = pages = 0
    for captions, vectors in index.pages():
        for texts, start, end in _in_parts(captions):
            put(f"pages/{pages:06}.json", texts)
            put(f"pages/{pages:06}.f32", np.ascontiguousarray(vectors[start:end], dtype="<f4").tobytes())
            pages += 1
        count += len(captions)
        on_progress(count)
    put(_END, json.dumps({"captions": count, "pages": pages, "sha256": checksum.hexdigest()}).encode())


def _in_parts(captions: Sequence[Caption], start: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """A page as JSON with the positions of its first caption and of the next page's; split if too large to read."""
    texts = json.dumps([(caption.id, caption.text, dict(caption.payload)) for caption in captions]).encode()
    if len(texts) <= PAGE_MAX or len(captions) == 1:
        yield texts, start, start + len(captions)
        return
    half = len(captions) // 2
    yield from _in_parts(captions[:half], start)
    yield from _in_parts(captions[half:], start + half)


def fill(index: CaptionIndex, saved: Saved, on_progress: OnProgress = silent) -> None:
    """Add all captions of a snapshot to an empty index. Raises ``BadSnapshot`` if its content is invalid.

    The manifest counts the captions that were imported. They stay as they are: only taught ones come and go later.
    """
    count = imported = 0
    for captions, vectors in saved.pages():
        try:
            index.add(captions, vectors)
        except (UnusableVectors, WrongDimension) as exc:
            raise BadSnapshot(f"the snapshot holds data that cannot be stored: {exc}") from exc
        count += len(captions)
        imported += sum(SOURCE not in caption.payload for caption in captions)
        on_progress(count)
    if imported != saved.manifest.count:
        raise BadSnapshot(
            f"the snapshot holds {imported:,} imported captions, but its manifest says {saved.manifest.count:,}"
        )
    if (there := index.count()) != count:
        raise BadSnapshot(f"the snapshot holds {count:,} captions, but {there:,} were restored")


@contextmanager
def reading(file: Path, scratch: Path) -> Iterator[Saved]:
    """Open a snapshot of any kind, detected by its content.

    ``scratch``: a local folder for files of the old embedded kind; it need not exist. Raises ``BadSnapshot``,
    ``DiskFull``.
    """
    with ExitStack() as opened:
        with understood():
            raw = opened.enter_context(file.open("rb"))
            saved = opened.enter_context(_saved(raw, scratch))
        yield saved


@contextmanager
def _saved(raw: BinaryIO, scratch: Path) -> Iterator[Saved]:
    packed = raw.read(len(MAGIC)) == MAGIC
    sealed = packed and _is_sealed(raw)
    size = raw.seek(0, 2)

    def opened() -> Archive:
        raw.seek(0)
        stream: Readable = ZstdFile(raw) if packed else raw
        return Archive(stream)

    archive = opened()
    members = iter(archive)
    first = next(members, None)
    if first is None:
        raise BadSnapshot("this is not a snapshot of captions: it is empty")
    if first.name == _FIRST:
        if packed and not sealed:
            raise BadSnapshot(
                "the checksum at the end of the snapshot is missing: the file is truncated, or was"
                " compressed again (then decompress it with zstd -d and restore the result)"
            )
        yield _Pages(archive, members, first)
    elif first.name == MANIFEST:
        yield _Checked(OldPages(archive, members, first))
    elif is_edge_files(first):
        with edge_files(opened, size, scratch) as saved:
            yield saved
    else:
        raise BadSnapshot("this is not a snapshot of captions")


class _Pages:
    """A ``Saved`` of the current format."""

    def __init__(self, archive: Archive, members: Iterator[tarfile.TarInfo], first: tarfile.TarInfo) -> None:
        self._archive = archive
        self._members = members
        self._told = hashlib.sha256()
        data = json.loads(self._read(first, SMALL))
        if data["format"] != FORMAT:
            raise BadSnapshot(
                f"the snapshot has the format {data['format']!r}, which only a newer version of wildtag can read"
            )
        self.manifest = manifest_of(data["manifest"])

    def pages(self) -> Iterator[tuple[list[Caption], Floats]]:
        """See ``Saved``."""
        with understood():
            yield from self._pages()

    def _pages(self) -> Iterator[tuple[list[Caption], Floats]]:
        count, pages, last, dimension = 0, 0, -1, self.manifest.dimension
        while (member := next(self._members, None)) and member.name != _END:
            if member.name != f"pages/{pages:06}.json":
                raise BadSnapshot(f"page {pages} is missing")
            captions = captions_of(self._read(member, PAGE_MAX), last)
            member = next(self._members, None)
            if member is None or member.name != f"pages/{pages:06}.f32":
                raise BadSnapshot(f"the vectors of page {pages} are missing")
            data = self._read(member, 4 * dimension * len(captions))
            count, pages, last = count + len(captions), pages + 1, captions[-1].id
            yield captions, vectors_of(data, len(captions), dimension)
        end = {"captions": count, "pages": pages, "sha256": self._told.hexdigest()}
        if member is None or json.loads(self._archive.read(member, SMALL)) != end:
            raise BadSnapshot("its end is missing or has a wrong checksum")
        if next(self._members, None) is not None:
            raise BadSnapshot("there is data behind its end")

    def _read(self, member: tarfile.TarInfo, most: int) -> bytes:
        content = self._archive.read(member, most)
        _account(self._told, member.name, content)
        return content


class _Checked:
    """A ``Saved`` whose pages raise ``BadSnapshot`` for any error caused by damage."""

    def __init__(self, saved: Saved) -> None:
        self._saved = saved
        self.manifest = saved.manifest

    def pages(self) -> Iterator[tuple[list[Caption], Floats]]:
        """See ``Saved``."""
        with understood():
            yield from self._saved.pages()


def _account(checksum: hashlib._Hash, name: str, content: bytes) -> None:
    checksum.update(f"{name} {len(content)}\n".encode())
    checksum.update(content)


class _Hashed:
    """A file to write to, and the SHA-256 of it so far."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._raw.write(data)


def _is_sealed(raw: BinaryIO) -> bool:
    """Whether the file ends with a checksum. Raises ``BadSnapshot`` if it does not match."""
    size = raw.seek(0, 2)
    if size < _SEAL.size:
        return False
    raw.seek(size - _SEAL.size)
    magic, length, digest = _SEAL.unpack(raw.read(_SEAL.size))
    if (magic, length) != (_SKIPPED, len(digest)):
        return False
    raw.seek(0)
    checksum = hashlib.sha256()
    left = size - _SEAL.size
    while left and (piece := raw.read(min(1 << 20, left))):
        checksum.update(piece)
        left -= len(piece)
    if checksum.digest() != digest:
        raise BadSnapshot("the snapshot is damaged: its checksum does not match")
    return True
