"""Captions and the index of images as rows, and back."""

from __future__ import annotations

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
from workers.images.labels import labels_of
from workers.lifecycle.record_reader import Records


def caption_rows(number: int, index: CaptionIndex) -> Iterator[Row]:
    """All captions of a version, with their vectors. ``number``: of the version in the manifest."""
    for captions, vectors in index.pages():
        rows = [[one.id, one.text, dict(one.payload)] for one in captions]
        yield ("captions", number, rows, np.ascontiguousarray(vectors, dtype="<f4").tobytes())


def image_rows(index: ImageSearch) -> Iterator[Row]:
    """All images of an index, with their vectors."""
    for entries, vectors in index.pages():
        yield ("images", msgspec.to_builtins(entries), np.ascontiguousarray(vectors, dtype="<f4").tobytes())


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
    if not same(there, manifest):
        raise VersionExists(f"there are other captions {version} already: drop them first (`wildtag captions drop`)")
    index = library.open(space, version)
    try:
        _level(index, saved, on_progress, taught=taught)
    finally:
        index.close()


def _level(index: CaptionIndex, saved: CaptionRows, on_progress: Callable[[int], None], *, taught: bool) -> None:
    there = {caption.id: caption for page, _ in index.pages(taught=True) for caption in page}
    if there and not taught:
        raise VersionExists(
            f"the captions {saved.manifest.captions_version} are there already, and {len(there):,} were taught to"
            " them: with --replace they become those of the backup"
        )
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
