"""Captions and the index of images as rows, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from vectordb.captions import SOURCE, Caption
from vectordb.decoders import converted
from vectordb.images import ImageEntry, ImageIndex, ImageSearch
from vectordb.index import PAGE, CaptionIndex, Floats
from vectordb.library import ChangeableLibrary, Manifest, VersionExists
from vectordb.snapshot import fill
from vectordb.snapshot_parts import check_texts, manifest_of, vectors_of
from workers.backup.form import SavedCaptions, SavedImages
from workers.backup.key_rows import Row
from workers.backup.unfinished import Written
from workers.backup.writing import Page
from workers.images.labels import labels_of
from workers.lifecycle.record_reader import Records


def caption_pages(number: int, index: CaptionIndex, after: int, last: int | None) -> Iterator[Page]:
    """The imported captions of a version with their vectors, see ``writing.Pages``: they never change.

    ``number``: of the version in the manifest.
    """
    for captions, vectors in index.pages(after=after):
        inside = len(captions) if last is None else sum(one.id <= last for one in captions)
        own = [at for at, one in enumerate(captions[:inside]) if SOURCE not in one.payload]
        if own:
            found = [captions[at] for at in own]
            yield Page(_captions_row(number, found, vectors[own]), found[-1].id, len(found))
        if inside < len(captions):
            return


def taught_rows(number: int, index: CaptionIndex) -> Iterator[Row]:
    """The taught captions of a version with their vectors."""
    for captions, vectors in index.pages(taught=True):
        yield _captions_row(number, captions, vectors)


def captions_source(number: int, manifest: Manifest) -> str:
    """The identity of the imported captions of a version. Only its thresholds may change, and they are not files."""
    stored = {name: value for name, value in manifest.stored().items() if name != "thresholds"}
    content = msgspec.json.encode(stored, order="deterministic")
    return f"captions {number} {hashlib.sha256(content).hexdigest()}"


def image_pages(index: ImageSearch, after: int, last: int | None) -> Iterator[Page]:
    """The images of an index with their vectors, see ``writing.Pages``."""
    for entries, vectors in index.pages(after):
        inside = len(entries) if last is None else sum(one.id <= last for one in entries)
        if inside:
            found = entries[:inside]
            row = ("images", msgspec.to_builtins(found), _packed(vectors[:inside]))
            yield Page(row, found[-1].id, inside, b"".join(map(_content, found)))
        if inside < len(entries):
            return


def unchanged_images(
    index: ImageSearch, written: Sequence[Written], on_images: Callable[[int], None]
) -> list[Written]:
    """The files whose images are in the index as they were: none is missing, another version, or new among them.

    A vector follows from the version of its image, so vectors are not read. ``written``: as ``Journal.of`` gives it.
    """
    kept: list[Written] = []
    if not written:
        return kept

    def each() -> Iterator[ImageEntry]:
        done = 0
        for page in index.entries(written[0].after):
            yield from page
            on_images(done := done + len(page))

    entries = each()
    one = next(entries, None)
    for file in written:
        digest = hashlib.sha256()
        while one is not None and one.id <= file.last:
            if one.id > file.after:
                digest.update(_content(one))
            one = next(entries, None)
        if digest.hexdigest() == file.digest:
            kept.append(file)
    return kept


def _captions_row(number: int, captions: Sequence[Caption], vectors: Floats) -> Row:
    return ("captions", number, [[one.id, one.text, dict(one.payload)] for one in captions], _packed(vectors))


def _packed(vectors: Floats) -> bytes:
    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()


def _content(entry: ImageEntry) -> bytes:
    return msgspec.msgpack.encode(msgspec.to_builtins(entry), order="deterministic")


class CaptionRows:
    """A version in a backup, as ``vectordb.snapshot.fill`` reads one."""

    def __init__(self, saved: SavedCaptions, rows: Callable[[], Iterable[Row]]) -> None:
        self.saved = saved
        self.manifest: Manifest = manifest_of(saved.manifest)
        self._rows = rows

    def pages(self) -> Iterator[tuple[list[Caption], Floats]]:
        """See ``vectordb.snapshot_parts.Saved``."""
        for _, _, rows, vectors in self._rows():
            captions = [Caption(*row) for row in rows]
            check_texts(captions)
            yield captions, vectors_of(vectors, len(captions), self.manifest.dimension)


def same(one: Manifest, other: Manifest) -> bool:
    """Whether two manifests are of the same version."""
    return _properties(one) == _properties(other)


def require_captions_fit(library: ChangeableLibrary, saved: CaptionRows, *, taught: bool) -> None:
    """Raise ``VersionExists`` if ``restore_captions`` would, and change nothing."""
    manifest = saved.manifest
    there = library.find(manifest.space_id, manifest.captions_version)
    if there is None:
        return
    if not same(there, manifest):
        raise VersionExists(
            f"there are other captions {manifest.captions_version} already: drop them first (`wildtag captions drop`)"
        )
    if taught:
        return
    index = library.open(manifest.space_id, manifest.captions_version)
    try:
        _require_none_taught(saved, sum(len(page) for page, _ in index.pages(taught=True)))
    finally:
        index.close()


def restore_captions(
    library: ChangeableLibrary, saved: CaptionRows, on_progress: Callable[[int], None], *, taught: bool
) -> None:
    """Restore a version. If it is there, its taught captions become those of the backup, if ``taught`` allows it.

    Raises ``VersionExists`` for another version of this name, and for taught captions that would be lost.
    """
    manifest = saved.manifest
    space, version = manifest.space_id, manifest.captions_version
    there = library.find(space, version)
    if there is None:
        with library.building(space, version, manifest.dimension, resume=False) as building:
            fill(building.index, saved, on_progress)
            building.finish(manifest)
        return
    require_captions_fit(library, saved, taught=True)
    index = library.open(space, version)
    try:
        _level(index, saved, on_progress, taught=taught)
    finally:
        index.close()


def _level(index: CaptionIndex, saved: CaptionRows, on_progress: Callable[[int], None], *, taught: bool) -> None:
    there = {caption.id: caption for page, _ in index.pages(taught=True) for caption in page}
    if not taught:
        _require_none_taught(saved, len(there))
    done = 0
    for captions, vectors in saved.pages():
        fresh = [at for at, one in enumerate(captions) if SOURCE in one.payload and there.pop(one.id, None) != one]
        if fresh:
            index.add([captions[at] for at in fresh], vectors[fresh])
        done += len(captions)
        on_progress(done)
    gone = list(there)
    for start in range(0, len(gone), PAGE):
        index.remove(gone[start : start + PAGE])


def _require_none_taught(saved: CaptionRows, count: int) -> None:
    if count:
        raise VersionExists(
            f"the captions {saved.manifest.captions_version} are there already, and {count:,} were taught to them:"
            " with --replace they become those of the backup"
        )


def restore_images(
    index: ImageIndex, saved: SavedImages, rows: Iterable[Row], records: Records, on_progress: Callable[[int], None]
) -> None:
    """Put the images into an empty index, with what they are found by, as their records say."""
    done = 0
    for _, packed, vectors in rows:
        entries = converted(packed, list[ImageEntry])
        index.put(entries, vectors_of(vectors, len(entries), saved.dimension))
        index.label(list(_labels(entries, records)))
        done += len(entries)
        on_progress(done)
    index.maintain()


def _labels(entries: Sequence[ImageEntry], records: Records) -> Iterator[Any]:
    """Of the images whose record is of the same version; the others are repaired by the verification."""
    found = records.get([entry.object_id for entry in entries])
    for entry, record in zip(entries, found, strict=True):
        if record is not None and record.etag == entry.etag and record.state == "done":
            yield labels_of(record)


def _properties(manifest: Manifest) -> tuple[object, ...]:
    m = manifest
    return m.space_id, m.dimension, m.count, m.source, m.template, m.profile
