"""Reads the two kinds of snapshots that earlier versions wrote.

*Pages*, from a server: an uncompressed tar of ``manifest.json``, ``pages/N.json`` and ``pages/N.npy`` for every page,
and ``end.json`` with the number of captions. *Edge files*, from the embedded library: a tar of the version's folder,
``SPACE/NAME@VERSION/…``, with ``manifest.json`` and Qdrant Edge's index, compressed with zstd.
"""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vectordb.archive import Archive
from vectordb.captions import Caption
from vectordb.index import CaptionIndex, Floats, IndexFault, IndexMissing
from vectordb.leftovers import remove_leftovers
from vectordb.library import BadSnapshot, Manifest
from vectordb.snapshot_parts import (
    PAGE_MAX,
    SMALL,
    captions_of,
    check_texts,
    check_vectors,
    manifest_of,
    vectors_of,
)
from vectordb.unpacking import Limits, check, unpack

MANIFEST, _END = "manifest.json", "end.json"
_FOLDER = re.compile(r"[^/]+/[^/@]+@[^/@]+/?")
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\), \} *\n", re.DOTALL
)
# of Edge files: they are sparse, and holes compress to nothing; their content compresses about tenfold
_NOMINAL_LEAST, _NOMINAL_TIMES = 2**30, 64
_WRITTEN_LEAST, _WRITTEN_TIMES = 2**24, 32
_LEFT_AFTER_S = 86_400.0  # the folder of a killed reader is removed after a day
_PREFIX = ".restoring-"


class OldPages:
    """A ``Saved`` of the first kind. ``members``: those after the manifest."""

    def __init__(self, archive: Archive, members: Iterator[tarfile.TarInfo], first: tarfile.TarInfo) -> None:
        """Reads the manifest."""
        self._archive = archive
        self._members = members
        self.manifest: Manifest = manifest_of(json.loads(archive.read(first, SMALL)))

    def pages(self) -> Iterator[tuple[list[Caption], Floats]]:
        """See ``Saved``."""
        count, last, dimension = 0, -1, self.manifest.dimension
        member: tarfile.TarInfo | None
        while (member := next(self._members, None)) and member.name != _END:
            captions = captions_of(self._archive.read(member, PAGE_MAX), last)
            page = member.name.removesuffix(".json")
            member = next(self._members, None)
            if member is None or member.name != f"{page}.npy":
                raise BadSnapshot(f"{page}.npy is missing")
            data = self._archive.read(member, 4 * dimension * len(captions) + SMALL)
            head = _NPY.match(data)
            if head is None or [int(size) for size in head.groups()] != [len(captions), dimension]:
                raise BadSnapshot(f"{page} and its vectors do not match")
            count, last = count + len(captions), captions[-1].id
            yield captions, vectors_of(memoryview(data)[head.end() :], len(captions), dimension)
        if member is None or json.loads(self._archive.read(member, SMALL)) != {"captions": count}:
            raise BadSnapshot("the end of the snapshot is missing")
        if next(self._members, None) is not None:
            raise BadSnapshot("there is data behind the end of the snapshot")


class EdgeFiles:
    """A ``Saved`` of the second kind, unpacked and open."""

    def __init__(self, manifest: Manifest, index: CaptionIndex) -> None:
        """Used by ``edge_files``."""
        self.manifest = manifest
        self._index = index

    def pages(self) -> Iterator[tuple[list[Caption], Floats]]:
        """See ``Saved``. These files have no checksum."""
        with _unpanicked():
            for captions, vectors in self._index.pages():
                check_texts(captions)
                check_vectors(vectors)
                yield captions, vectors


def is_edge_files(first: tarfile.TarInfo) -> bool:
    """Whether an archive with this first member may be of the second kind."""
    return first.isdir() and _FOLDER.fullmatch(first.name) is not None


@contextmanager
def edge_files(archive: Callable[[], Archive], packed: int, scratch: Path) -> Iterator[EdgeFiles]:
    """Open a snapshot of the second kind, unpacked below ``scratch`` while it is read. All of it is checked first.

    ``archive`` opens it from its beginning. ``packed``: the file's bytes. Raises ``BadSnapshot``, ``DiskFull``.
    """
    try:
        from vectordb.edge import EdgeIndex  # noqa: PLC0415 -- Edge is not installed in containers
    except ImportError as exc:
        raise BadSnapshot(
            "this snapshot of an earlier version contains files of Qdrant Edge, which is not installed:"
            " pip install qdrant-edge-py"
        ) from exc
    limits = Limits(_NOMINAL_LEAST + _NOMINAL_TIMES * packed, _WRITTEN_LEAST + _WRITTEN_TIMES * packed)
    checked = archive()
    check(checked, checked, limits)
    scratch.mkdir(parents=True, exist_ok=True)
    _sweep(scratch)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=scratch) as draft:
        opened = archive()
        unpack(opened, opened, Path(draft), limits)
        places = [*Path(draft).glob("*/*")]
        if len(places) != 1 or not (places[0] / MANIFEST).is_file():
            raise BadSnapshot("this is not a snapshot of a caption database in a folder")
        (place,) = places
        if (place / MANIFEST).stat().st_size > SMALL:
            raise BadSnapshot(f"its manifest is longer than {SMALL:,} bytes")
        manifest = manifest_of(json.loads((place / MANIFEST).read_bytes()))
        with _unpanicked():
            index = EdgeIndex.open(place / "index")
        try:
            if index.dimension != manifest.dimension or (manifest.count and not index.count()):
                raise BadSnapshot("the snapshot holds no captions that match its manifest")
            yield EdgeFiles(manifest, index)
        finally:
            with _unpanicked():
                index.close()


@contextmanager
def _unpanicked() -> Iterator[None]:
    """Translates Edge's errors over damaged files, including its panics, to ``BadSnapshot``."""
    try:
        yield
    except (IndexMissing, IndexFault) as exc:
        raise BadSnapshot(f"the captions in the snapshot cannot be opened: {exc}") from exc
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # a Rust panic; not importable, and not an Exception
            raise
        raise BadSnapshot(f"the captions in the snapshot cannot be opened: {exc}") from exc


def _sweep(scratch: Path) -> None:
    remove_leftovers(scratch, f"{_PREFIX}*", _LEFT_AFTER_S)
