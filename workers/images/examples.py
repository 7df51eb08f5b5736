"""Exemplars in the process that owns the index of images: they are statements, joined with the vectors of the images.

So they need no store of their own, follow what people say at once, and are made anew when the encoder changes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import numpy as np
import structlog

from tasks.exemplars.judging import Examples, Exemplar
from tasks.exemplars.nearness import MOST, Calibration, calibrate
from tasks.message_parts import Floats, Judgement
from tasks.messages import Embedded
from vectordb.images import ImageIndex, image_id
from workers.images.open_images import OpenImages
from workers.lifecycle.statements import Statements, holding, read

log = structlog.get_logger()

GROWN = 1.25  # a calibration is made anew when the archive has grown or shrunk by this factor
NEAR_MOST = 1000  # images that one exemplar may change at once
PAGE = 500


class ExampleBook:
    """Judges images by the exemplars of one space."""

    def __init__(
        self,
        images: OpenImages,
        statements: Statements,
        expected: float | None,
        min_confidence: float = 0.0,
    ) -> None:
        """``expected``: the usual distance of two images in the space, see ``Calibration``."""
        self._images = images
        self._statements = statements
        self._expected = expected
        self._min_confidence = min_confidence
        self._revision = -1
        self._examples: Examples | None = None
        self._calibration: Calibration | None = None
        self._calibrated_for = 0

    def judge(self, batch: Embedded) -> tuple[Judgement, ...]:
        """What the exemplars say of each image of a batch; empty if there are none."""
        self._images.attempt("exemplars", self._refresh)
        if self._examples is None or not self._examples.exemplars:
            return ()
        judged = self._examples.judge(
            batch.vectors.array(), object_ids=[ref.id for ref in batch.objects], featureless=batch.featureless,
            min_confidence=self._min_confidence,
        )  # fmt: skip
        return tuple(judged)

    def near(self, bucket: str, key: str) -> list[tuple[str, str, float]]:
        """The images that look like this one, nearest first: bucket, key and similarity. Raises as the index does."""
        index = self._images.index()
        _, rows = index.get([image_id(bucket, key)])
        if not len(rows):
            return []
        least = 1.0 - self.calibration(index).radius(rows[0])
        (found,) = index.search(rows, NEAR_MOST)
        return [
            (entry.bucket, entry.key, round(score, 6))
            for entry, score in zip(found.entries, found.scores, strict=True)
            if score >= least and (entry.bucket, entry.key) != (bucket, key)
        ]

    def calibration(self, index: ImageIndex) -> Calibration:
        """How near is near enough in this archive."""
        count = index.count()
        known = self._calibrated_for
        if self._calibration is None or not known / GROWN <= count <= known * GROWN:
            # ids are digests of keys, so the first page is a random sample
            _, rows = next(iter(index.pages()), ([], np.empty((0, index.dimension), np.float32)))
            self._calibration, self._calibrated_for = calibrate(rows[:MOST], self._expected), count
        return self._calibration

    def _refresh(self, index: ImageIndex) -> None:
        revision = self._statements.revision()
        if revision == self._revision:
            return
        begun = time.perf_counter()
        found = [one for part in _parts(self._statements.objects()) for one in self._exemplars(index, part)]
        self._examples = Examples(found, self.calibration(index)) if found else None
        self._revision = revision
        log.info("exemplars read", exemplars=len(found), ms=round((time.perf_counter() - begun) * 1000))

    def _exemplars(self, index: ImageIndex, oids: Sequence[str]) -> list[Exemplar]:
        places = [oid.partition("/") for oid in oids]
        entries, rows = index.get([image_id(bucket, key) for bucket, _, key in places])
        by_id: dict[str, tuple[str, bytes | None, Floats]] = {
            f"{entry.bucket}/{entry.key}": (entry.etag, entry.hash, row)
            for entry, row in zip(entries, rows, strict=True)
        }
        found = []
        for oid, stored in zip(oids, self._statements.stored(oids), strict=True):
            if oid in by_id:
                etag, number, row = by_id[oid]
                found += [Exemplar(oid, one.label, one.accepted, row) for one in holding(read(stored), etag, number)]
        return found


class Near(msgspec.Struct, frozen=True):
    """The images that look like the image of an object: bucket, key and similarity, nearest first.

    ``etag`` and ``hash``: of the image in the index; ``None`` if it is not there.
    """

    etag: str | None
    hash: bytes | None
    images: tuple[tuple[str, str, float], ...]


def _parts(oids: Sequence[str]) -> list[Sequence[str]]:
    return [oids[start : start + PAGE] for start in range(0, len(oids), PAGE)]
