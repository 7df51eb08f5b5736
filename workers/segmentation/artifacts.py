"""The pictures of a segmentation, in the object store under wildtag's own prefix: a label map and an overlay.

Their keys follow from the object's, so an object has one of each at the most. A record that speaks of them is written
after they are. Redis knows which objects have some, so that they go when the object does, whatever its record says.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from itertools import compress
from typing import Any

import structlog
from PIL import Image

from tasks.messages import ObjectRef
from tasks.segmentation.rendering import as_palette, overlaid
from tasks.segmentation.results import Segmented
from vectordb.errors import Permanent
from workers.lifecycle.record import Pictured
from workers.redis.connection import Client, raw, translated
from workers.redis.keys import Keys
from workers.stores.store import ObjectStore

log = structlog.get_logger()

FOLDER = "segments/"  # below the output prefix
LABELS, OVERLAY = ".labels.png", ".overlay.jpg"
LONGEST = 900  # bytes of a key: stores take 1,024
LONGEST_PART = 200  # bytes between two slashes: file systems take 255
_DIGEST = re.compile(r"[0-9a-f]{64}")
QUALITY = 85  # of an overlay, a JPEG


class Artifacts:
    """Keeps and forgets them. Raises ``StoreUnavailable`` and what the store raises."""

    def __init__(self, store: ObjectStore, client: Client, keys: Keys, output: str) -> None:
        """``output``: the prefix of what wildtag writes."""
        self._store = store
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._artifacts = keys.artifacts
        self._folder = f"{output}{FOLDER}"

    def of(self, key: str) -> Pictured:
        """The keys of an object's pictures: its own with a suffix, or where that may not be a name, a digest."""
        parts = key.split("/")
        odd = (
            len(key.encode()) > LONGEST
            or _DIGEST.fullmatch(key)
            or any(part.endswith((LABELS, OVERLAY)) or len(part.encode()) > LONGEST_PART for part in parts)
        )
        name = f"{self._folder}{hashlib.sha256(key.encode()).hexdigest() if odd else key}"
        return Pictured(label_map=f"{name}{LABELS}", overlay=f"{name}{OVERLAY}")

    def keep(self, ref: ObjectRef, image: Image.Image, segmented: Segmented) -> Pictured:
        """Draw the pictures of an object and put them into the store."""
        keys = self.of(ref.key)
        label_map, overlay = label_map_png(segmented), overlay_jpeg(image, segmented)
        with translated():
            self._redis.sadd(
                self._artifacts, raw(ref.id)
            )  # first: whatever happens then, they are not forgotten there
        self._store.put(ref.bucket, keys.label_map, io.BytesIO(label_map), "image/png")
        self._store.put(ref.bucket, keys.overlay, io.BytesIO(overlay), "image/jpeg")
        return keys

    def forget(self, oids: Sequence[str]) -> None:
        """Remove the pictures of those objects that have some. Those that may not be removed stay, and are logged."""
        if not oids:
            return
        with translated():
            there = self._redis.smismember(self._artifacts, [raw(oid) for oid in oids])
        for oid in compress(oids, there):
            self.remove(oid)

    def remove(self, oid: str) -> None:
        """Remove the pictures of an object, whether it is known to have some or not."""
        bucket, _, key = oid.partition("/")
        keys = self.of(key)
        try:
            self._store.remove(bucket, keys.label_map)
            self._store.remove(bucket, keys.overlay)
        except Permanent as exc:
            log.warning("pictures are left behind", object=oid, reason=str(exc))
            return
        with translated():
            self._redis.srem(self._artifacts, raw(oid))


def label_map_png(segmented: Segmented) -> bytes:
    """The label map as PNG with a palette."""
    file = io.BytesIO()
    as_palette(segmented).save(file, "PNG", optimize=True)
    return file.getvalue()


def overlay_jpeg(image: Image.Image, segmented: Segmented) -> bytes:
    """The overlay with its legend as JPEG."""
    file = io.BytesIO()
    overlaid(image, segmented).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
