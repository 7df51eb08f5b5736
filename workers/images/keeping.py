"""What the retrieval stage does with the index of images: it keeps vectors, and uses them in place of the encoder."""

from __future__ import annotations

from collections.abc import Sequence
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
_USER = "user_metadata"


def keep(images: OpenImages, retrieved: Retrieved, embedded: Embedded) -> None:
    """Put the images of a batch into the index. Their tags follow when they have records."""
    if embedded.objects:
        images.attempt("keep", lambda index: index.put(entries(retrieved.floors, embedded), embedded.vectors.array()))


def kept(images: OpenImages, batch: Submitted, view: str) -> tuple[Embedded, Submitted]:
    """Split a batch: the objects whose vectors are in the index, and those that must be embedded.

    A vector counts if it is of the same version of the object and of the same ``view``, see ``tasks.embedding``.
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
    return _embedded(batch, refs, chosen, view), msgspec.structs.replace(batch, objects=rest)


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
        found[_MEDIA] = {k: v for k, v in msgspec.to_builtins(media).items() if v is not None}
    user = None if ref.user_metadata is None else msgspec.to_builtins(ref.user_metadata)
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
