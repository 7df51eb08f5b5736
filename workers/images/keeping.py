"""What the retrieval stage does with the index of images: it keeps vectors, and uses them in place of the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from tasks.message_parts import Floor, Media, ObjectRef, UserMetadata, Vectors
from tasks.messages import Embedded, Retrieved, Submitted
from vectordb.decoders import converted
from vectordb.images import NO_FLOOR, ImageEntry, image_id
from vectordb.index import Floats
from workers.images.open_images import OpenImages

_MEDIA = "media"
_FEATURELESS = "featureless"
_VIEW = "view"
_SIZE = "size"
_VERSION = "version_id"
_NOISE = 1e-9  # of a similarity; whoever compares floors allows for ``vectordb.image_points.MARGIN``
_USER = "user_metadata"


def _as_stored(value: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return found


# defaults are not stored: the library takes some microseconds for each value
_USUAL = {
    name: value
    for name, value in _as_stored(Media(format="", width=0, height=0, bytes=0)).items()
    if name not in {"format", "width", "height", "bytes"}
}


def keep(images: OpenImages, retrieved: Retrieved, embedded: Embedded, stored: Sequence[ImageEntry] = ()) -> None:
    """Put the images of a batch into the index. Their tags follow when they have records.

    ``stored``: the entries from which the batch was made, if any. An image whose entry is the same is not put again.
    """
    before = {entry.object_id: entry for entry in stored}
    new = entries(retrieved.floors, embedded)
    places = [place for place, entry in enumerate(new) if not _same(entry, before.get(entry.object_id))]
    if places:
        changed, rows = [new[place] for place in places], embedded.vectors.array()[places]
        images.attempt("keep", lambda index: index.put(changed, rows))


def _same(new: ImageEntry, stored: ImageEntry | None) -> bool:
    if stored is None:
        return False
    # the library changes the last digit of numbers
    floors = abs(new.floor - stored.floor) < _NOISE and abs(new.bound - stored.bound) < _NOISE
    return floors and replace(stored, floor=new.floor, bound=new.bound, tags=new.tags) == new


def kept(images: OpenImages, batch: Submitted, view: str) -> tuple[Embedded, Submitted, list[ImageEntry]]:
    """Split a batch: the objects whose vectors are in the index, and those that must be embedded.

    A vector counts if it is of the same version of the object and of the same ``view``, see ``tasks.embedding``. The
    entries of the former are the third part.
    """
    found = images.attempt("use", lambda index: index.get([image_id(ref.bucket, ref.key) for ref in batch.objects]))
    by_id: dict[str, tuple[ImageEntry, Floats]] = {}
    if found is not None:
        by_id = {entry.object_id: (entry, row) for entry, row in zip(*found, strict=True)}
    refs: list[ObjectRef] = []
    chosen: list[tuple[ImageEntry, Floats]] = []
    for ref in batch.objects:
        entry, row = by_id.get(ref.id, (None, None))
        if entry is not None and row is not None and entry.etag == ref.etag and entry.extra.get(_VIEW) == view:
            version, size = ref.version_id or entry.extra.get(_VERSION), ref.size or entry.extra.get(_SIZE)
            user = converted(entry.extra[_USER], UserMetadata) if _USER in entry.extra else None
            refs.append(msgspec.structs.replace(ref, version_id=version, size=size, user_metadata=user))
            chosen.append((entry, row))
    there = {ref.id for ref in refs}
    rest = tuple(ref for ref in batch.objects if ref.id not in there)
    embedded = _embedded(batch, refs, chosen, view)
    return embedded, msgspec.structs.replace(batch, objects=rest), [entry for entry, _ in chosen]


def entries(found: Sequence[Floor], embedded: Embedded) -> list[ImageEntry]:
    """The entries of a batch's images. ``found``: the floor of each, or nothing."""
    count = len(embedded.objects)
    floors = [(floor.rank, floor.similarity) for floor in found] or [(NO_FLOOR, NO_FLOOR)] * count
    media: Sequence[Media | None] = embedded.media or (None,) * count
    hashes = embedded.hashes or (None,) * count
    featureless: Sequence[bool | None] = embedded.featureless or (None,) * count
    rows = zip(embedded.objects, floors, media, hashes, featureless, strict=True)
    return [
        ImageEntry(
            ref.bucket, ref.key, ref.etag, embedded.revision.captions_version, *floor, number,
            about.taken_at if about else None, extra=_extra(ref, about, flat, embedded.view),
        )
        for ref, floor, about, number, flat in rows
    ]  # fmt: skip


def _extra(ref: ObjectRef, media: Media | None, featureless: bool | None, view: str) -> dict[str, Any]:  # noqa: FBT001 -- as stored
    found: dict[str, Any] = {_VIEW: view}
    if media is not None:
        about = _as_stored(media).items()
        found[_MEDIA] = {name: value for name, value in about if name not in _USUAL or value != _USUAL[name]}
    user = None if ref.user_metadata is None else _as_stored(ref.user_metadata)
    others = {_FEATURELESS: featureless, _SIZE: ref.size, _VERSION: ref.version_id, _USER: user}
    return found | {name: value for name, value in others.items() if value is not None}


def _embedded(
    batch: Submitted, refs: Sequence[ObjectRef], chosen: Sequence[tuple[ImageEntry, Floats]], view: str
) -> Embedded:
    media = [entry.extra.get(_MEDIA) for entry, _ in chosen]
    flat = [entry.extra.get(_FEATURELESS) for entry, _ in chosen]
    rows = np.stack([row for _, row in chosen]) if chosen else np.empty((0, 1), np.float32)
    return Embedded(
        objects=tuple(refs),
        revision=batch.revision,
        timings_ms=batch.timings_ms,
        vectors=Vectors.of(rows),
        media=() if None in media else tuple(converted(one, Media) for one in media),
        featureless=() if None in flat else tuple(map(bool, flat)),
        hashes=tuple(entry.hash for entry, _ in chosen),
        view=view,
    )
