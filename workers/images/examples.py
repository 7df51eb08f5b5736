"""Exemplars in the process that owns the index of images: they are statements, joined with the vectors of the images.

So they need no store of their own, follow what people say at once, and are made anew when the encoder changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec
import numpy as np
import structlog

from tasks.exemplars.judging import Examples, Exemplar
from tasks.exemplars.nearness import MOST, Calibration, calibrate
from tasks.message_parts import Floats, Judgement, ObjectRef, place_of
from tasks.messages import Embedded
from vectordb.images import ImageIndex, image_id
from workers.images.departures import NEAR_MOST, Departures, Homeless
from workers.images.open_images import PAUSE_S, OpenImages
from workers.lifecycle.composing import holding
from workers.lifecycle.record_reader import Records
from workers.lifecycle.statements import Statement, Statements

log = structlog.get_logger()

_Content = tuple[tuple[Exemplar, ...], Calibration | None]

GROWN = 1.25  # a calibration is made anew when the archive has grown or shrunk by this factor
RECHECK_S = 10.0  # after which the images of exemplars are read again
PAGE = 500


class ExampleBook:
    """Judges images by the exemplars of one space."""

    def __init__(
        self,
        images: OpenImages,
        statements: Statements,
        records: Records,
        expected: float | None,
        min_confidence: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        departures: Departures | None = None,
    ) -> None:
        """``departures``: follows exemplars that do not hold any more.

        ``expected``: the usual distance of two images in the space, see ``Calibration``. ``clock``: seconds."""
        self._images = images
        self._statements = statements
        self._records = records
        self._expected = expected
        self._min_confidence = min_confidence
        self._clock = clock
        self._departures = departures
        self._homeless: Homeless | None = None
        self._etags: dict[str, str] = {}
        self._revision = -1
        self._due = 0.0
        self._rests_until = 0.0
        self._examples: Examples | None = None
        self._read: _Content | None = None
        self._calibration: Calibration | None = None
        self._calibrated_for = 0

    def judge(self, batch: Embedded) -> tuple[Judgement, ...]:
        """What the exemplars say of each image of a batch; empty if there are none.

        If the index of images fails, the exemplars that were read before count. Raises ``StoreUnavailable``.
        """
        self._refresh()
        self._welcome(batch)
        if self._examples is None or not self._examples.exemplars:
            return ()
        judged = self._examples.judge(
            batch.vectors.array(), object_ids=[ref.id for ref in batch.objects], featureless=batch.featureless,
            min_confidence=self._min_confidence,
        )  # fmt: skip
        return tuple(judged)

    def renew(self) -> None:
        """Read the exemplars again before the next image: one may have its vector only now."""
        self._due = 0.0

    def late(self, batch: Embedded, judged: Sequence[Judgement]) -> list[ObjectRef]:
        """Objects of a batch of which exemplars say something else than when it was judged.

        Somebody may have spoken in between, when these images were not in the index. Raises ``StoreUnavailable``.
        """
        if self._clock() < self._rests_until or self._statements.revision() == self._revision:
            return []
        nothing = (Judgement(),) * len(batch.objects)
        pairs = zip(batch.objects, judged or nothing, self.judge(batch) or nothing, strict=True)
        return [ref for ref, then, now in pairs if _labels(then) != _labels(now)]

    def changed(self, objects: Iterable[tuple[str, str | None]]) -> None:
        """Objects (``bucket/key``) have another version now, or none (``None``): read exemplars again if it matters.

        Raises ``StoreUnavailable``.
        """
        if any(oid in self._etags and self._etags[oid] != etag for oid, etag in objects):
            self._due = 0.0
            self._refresh()

    def removed(self, ids: Sequence[int]) -> None:
        """Images were removed from the index. As ``changed``."""
        by_id = {image_id(*place_of(oid)): oid for oid in self._etags}
        self.changed((by_id[number], None) for number in ids if number in by_id)

    def _welcome(self, batch: Embedded) -> None:
        """Receive exemplars that come back, and move statements of objects that are gone to the same content."""
        homeless, departures = self._homeless, self._departures
        if homeless is None:
            return
        if departures is None:  # an encoder prepares: statements stay where they are, and exemplars come one by one
            if any(homeless.has(ref.id) for ref in batch.objects):
                self._due = 0.0
            return
        hashes = batch.hashes or (None,) * len(batch.objects)
        for ref, number, row in zip(batch.objects, hashes, batch.vectors.array(), strict=True):
            old = homeless.match(ref, number)
            if homeless.has(ref.id) or (old is not None and departures.mover.move(old, ref.id, ref.etag)):
                self._due = 0.0  # it is in the index before the next batch is judged
                came = partial(self._came, departures, ref.id, row)
                self._images.attempt("exemplar came", came)

    def _came(self, departures: Departures, oid: str, row: Floats, index: ImageIndex) -> None:
        departures.came(index, row, self.calibration(index).radius(row), oid)

    def near(self, bucket: str, key: str) -> Near:
        """The images that look like this one. Raises as the index does."""
        return self._images.use(lambda index: self._near(index, bucket, key))

    def _near(self, index: ImageIndex, bucket: str, key: str) -> Near:
        entries, rows = index.get([image_id(bucket, key)])
        if not entries:
            return Near(None, None, ())
        least = 1.0 - self.calibration(index).radius(rows[0])
        (found,) = index.search(rows, NEAR_MOST)
        images = tuple(
            (entry.bucket, entry.key, round(score, 6))
            for entry, score in zip(found.entries, found.scores, strict=True)
            if score >= least and (entry.bucket, entry.key) != (bucket, key)
        )
        more = len(found.scores) == NEAR_MOST and found.scores[-1] >= least
        return Near(entries[0].etag, entries[0].hash, images, more)

    def calibration(self, index: ImageIndex) -> Calibration:
        """How near is near enough in this archive."""
        count = index.count()
        known = self._calibrated_for
        if self._calibration is None or not known / GROWN <= count <= known * GROWN:
            # ids are digests of keys, so the first page is a random sample
            _, rows = next(iter(index.pages()), ([], np.empty((0, index.dimension), np.float32)))
            self._calibration, self._calibrated_for = calibrate(rows[:MOST], self._expected), count
        return self._calibration

    def _refresh(self) -> None:
        """Read the exemplars if people have said something, and from time to time: images come, change and go."""
        now = self._clock()
        if now < self._rests_until:
            return
        revision = self._statements.revision()
        if revision == self._revision and now < self._due:
            return
        said = dict(self._statements.all())
        etags = dict(zip(said, (etag for etag, _ in self._records.known(list(said))), strict=True))
        begun = time.perf_counter()
        if not said:
            content: _Content | None = ((), self._calibration)
        else:
            content = self._images.attempt("exemplars", lambda index: self._content(index, said, etags))
        if content is None:  # the index rests; then it is tried again
            self._rests_until = now + PAUSE_S
            return
        self._homeless = Homeless(said, etags)
        self._etags = {one.object_id: etags.get(one.object_id, "") for one in content[0]}
        if self._read is None or not _same(content, self._read):
            exemplars, calibration = content
            self._follow_gone(content, said)
            self._examples = Examples(exemplars, calibration) if exemplars and calibration else None
            self._read = content
            log.info("exemplars read", exemplars=len(exemplars), ms=round((time.perf_counter() - begun) * 1000))
        self._revision = revision
        # reading many exemplars again takes a small share of the time
        self._due = now + max(RECHECK_S, 20 * (time.perf_counter() - begun))

    def _follow_gone(self, content: _Content, said: Mapping[str, Sequence[Statement]]) -> None:
        """Follow what was an exemplar and is none any more."""
        before, departures = self._read, self._departures
        if before is None or before[1] is None or departures is None:
            return
        calibration, left = before[1], set(map(_identity, content[0]))
        gone = [one for one in before[0] if _identity(one) not in left]
        if gone:
            self._images.attempt(
                "exemplars gone",
                lambda index: departures.follow(index, gone, lambda one: calibration.radius(one.vector), said),
            )

    def _content(
        self, index: ImageIndex, said: Mapping[str, Sequence[Statement]], etags: Mapping[str, str]
    ) -> _Content:
        found: list[Exemplar] = []
        for part in _parts(list(said)):
            places = [place_of(oid) for oid in part]
            entries, rows = index.get([image_id(bucket, key) for bucket, key in places])
            for entry, row in zip(entries, rows, strict=True):
                oid = entry.object_id
                # with another record the image was overwritten; it has none yet after a loss of Redis
                if etags[oid] in {entry.etag, ""}:
                    holds = holding(said[oid], entry.etag, entry.hash)
                    found += [Exemplar(oid, one.label, one.accepted, row) for one in holds]
        return tuple(found), self.calibration(index)


def _same(one: _Content, other: _Content) -> bool:
    return one[1] is other[1] and sorted(map(_identity, one[0])) == sorted(map(_identity, other[0]))


def _labels(judgement: Judgement) -> tuple[set[str], set[str]]:
    return {one.label for one in judgement.gained}, {one.label for one in judgement.withheld}


def _identity(exemplar: Exemplar) -> tuple[str, str, bool, bytes]:
    return exemplar.object_id, exemplar.label, exemplar.accepted, exemplar.vector.tobytes()


class Near(msgspec.Struct, frozen=True):
    """The images that look like the image of an object: bucket, key and similarity, nearest first.

    ``etag`` and ``hash``: of the image in the index; ``None`` if it is not there. ``more``: there are more of them.
    """

    etag: str | None
    hash: bytes | None
    images: tuple[tuple[str, str, float], ...]
    more: bool = False


def _parts(oids: Sequence[str]) -> list[Sequence[str]]:
    return [oids[start : start + PAGE] for start in range(0, len(oids), PAGE)]
