"""The artifacts of a segmentation: a label map and an overlay, stored in the bucket under wildtag's own prefix.

Their keys are derived from the object's key (``workers.segmentation.artifact_names``), so an object has at most one
of each. They are written before the record that names them. Redis keeps the set of objects with artifacts, so that
they are deleted with the object. What that set or the records do not have is dealt with by a pass over the bucket
(``workers.segmentation.stray_artifacts``).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from itertools import compress
from typing import TYPE_CHECKING, Any

import structlog

from tasks.message_parts import ObjectRef, place_of
from tasks.segmentation.results import Segmented
from vectordb.errors import Permanent
from workers.lifecycle.record import ArtifactKeys
from workers.redis.connection import Client, raw, translated
from workers.redis.keys import Keys
from workers.segmentation.artifact_names import KEY, METHOD, keys_of
from workers.stores.store import ObjectStore

if TYPE_CHECKING:
    from PIL import Image

log = structlog.get_logger()

QUALITY = 85  # JPEG quality of an overlay


class Artifacts:
    """Stores and removes artifacts. Raises ``StoreUnavailable`` and the errors of the object store."""

    def __init__(self, store: ObjectStore, client: Client, keys: Keys, output: str) -> None:
        """``output``: the prefix of all keys that wildtag writes."""
        self._store = store
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._artifacts = keys.artifacts
        self._output = output

    def of(self, key: str) -> ArtifactKeys:
        """The keys of an object's artifacts: its key with a suffix, or a digest if that key would not be valid."""
        return keys_of(self._output, key)

    def keep(self, ref: ObjectRef, image: Image.Image, segmented: Segmented) -> ArtifactKeys:
        """Render the artifacts of an object and store them."""
        keys = self.of(ref.key)
        label_map, overlay = label_map_png(segmented, ref.key), overlay_jpeg(image, segmented)
        with translated():
            self._redis.sadd(
                self._artifacts, raw(ref.id)
            )  # first, so that no crash leaves artifacts behind unnoticed
        self._store.put(ref.bucket, keys.label_map, io.BytesIO(label_map), "image/png")
        self._store.put(ref.bucket, keys.overlay, io.BytesIO(overlay), "image/jpeg")
        return keys

    def listed(self, oids: Sequence[str]) -> list[bool]:
        """Whether Redis lists each of these objects."""
        if not oids:
            return []
        with translated():
            return [bool(there) for there in self._redis.smismember(self._artifacts, [raw(oid) for oid in oids])]

    def adopt(self, oids: Sequence[str]) -> None:
        """List objects whose artifacts were found in the store."""
        if oids:
            with translated():
                self._redis.sadd(self._artifacts, *map(raw, oids))

    def forget(self, oids: Sequence[str]) -> None:
        """Remove the artifacts of these objects, if any. Artifacts that cannot be removed are logged and stay."""
        for oid in compress(oids, self.listed(oids)):
            self.remove(oid)

    def remove(self, oid: str) -> None:
        """Remove the artifacts of an object, even if Redis does not list it."""
        bucket, key = place_of(oid)
        keys = self.of(key)
        try:
            self._store.remove(bucket, keys.label_map)
            self._store.remove(bucket, keys.overlay)
        except Permanent as exc:
            log.warning("artifacts not removed", object=oid, reason=str(exc))
            return
        with translated():
            self._redis.srem(self._artifacts, raw(oid))


def label_map_png(segmented: Segmented, key: str | None = None) -> bytes:
    """The label map as a PNG with a palette. ``key``: that of the object, which it names with the method."""
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415 -- who only removes artifacts does without

    from tasks.segmentation.rendering import as_palette  # noqa: PLC0415 -- as above

    file, texts = io.BytesIO(), PngInfo()
    if key is not None:
        with suppress(UnicodeEncodeError):  # a key that is no text cannot be named, and is never a digest's
            texts.add_itxt(KEY, key)
        texts.add_itxt(METHOD, segmented.method)
    as_palette(segmented).save(file, "PNG", optimize=True, pnginfo=texts)
    return file.getvalue()


def overlay_jpeg(image: Image.Image, segmented: Segmented) -> bytes:
    """The overlay with its legend as a JPEG."""
    from tasks.segmentation.rendering import overlaid  # noqa: PLC0415 -- as above

    file = io.BytesIO()
    overlaid(image, segmented).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
