"""Groups of copies among the tagged images, from the index of images."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from tasks.duplicates import Group, duplicates
from tasks.images.perceptual_hash import words_of
from tasks.message_parts import Floats, place_of
from vectordb.images import ImageEntry, ImageSearch, image_id
from workers.lifecycle.record_reader import Records

FRESH_S = 60.0  # how long a result is used again
_MD5 = re.compile(r"[0-9a-f]{32}")  # an ETag that is a digest of the bytes


class DuplicateFinder:
    """Finds duplicates; takes seconds for 100,000 images. Raises as the index does, and ``StoreUnavailable``."""

    def __init__(self, images: ImageSearch, records: Records, clock: Callable[[], float] = time.monotonic) -> None:
        self._images = images
        self._records = records
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[float, list[Group]] | None = None

    def find(self, *, fresh: bool = False) -> list[Group]:
        """The groups, those that waste the most bytes first; ids are ``bucket/key``.

        A result is used again for a minute, unless ``fresh``. One request at a time is computed.
        """
        with self._lock:
            if self._known is None or fresh or self._clock() - self._known[0] > FRESH_S:
                self._known = self._clock(), self._find()
            return self._known[1]

    def _find(self) -> list[Group]:
        found = [entry for page in self._images.entries() for entry in self._current(page)]
        media = [entry.extra.get("media") or {} for entry in found]
        return duplicates(
            [entry.object_id for entry in found],
            words_of([entry.hash for entry in found]),
            [int(one.get("width", 0)) * int(one.get("height", 0)) for one in media],
            [int(one.get("bytes", 0)) for one in media],
            self._vectors,
            digests=[entry.etag if _MD5.fullmatch(entry.etag) else None for entry in found],
        )

    def _current(self, entries: Sequence[ImageEntry]) -> list[ImageEntry]:
        """Those whose record is of the same version."""
        known = self._records.known([entry.object_id for entry in entries])
        return [entry for entry, (etag, _) in zip(entries, known, strict=True) if entry.etag == etag]

    def _vectors(self, oids: Sequence[str]) -> Floats:
        places = {image_id(*place_of(oid)): row for row, oid in enumerate(oids)}
        found = np.full((len(oids), self._images.dimension), np.nan, np.float32)
        entries, rows = self._images.get(list(places))
        for entry, row in zip(entries, rows, strict=True):
            found[places[entry.id]] = row
        return found
