"""Segments one object in a worker."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from tasks.images.decoder import Decoder
from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Scored, Submitted
from tasks.pipeline import Pipeline
from tasks.segmentation.run import SegmentationMethod, segment
from vectordb.index import IndexMissing
from workers.captions.versions import CaptionsDropped
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.outcomes import Accepted
from workers.lifecycle.record import Segmentation
from workers.lifecycle.record_reader import Records
from workers.redis.heartbeats import Health
from workers.redis.rpc import RpcPermanent, RpcTransient
from workers.segmentation.artifacts import Artifacts
from workers.segmentation.keepalive import keepalive
from workers.segmentation.methods import recorded
from workers.segmentation.requests import SegmentationRequests
from workers.settings.settings import SEGMENTATION
from workers.stages.fetching import Fetcher
from workers.stages.handover import Handover

log = structlog.get_logger()


class Segmenter:
    """Segments objects. ``pipeline``: returns the pipeline of a captions version. ``chosen``: the version in use.

    ``video``: whether videos are tagged; the first view of one is segmented.
    """

    def __init__(
        self,
        decode: Decoder,
        methods: Callable[[str], SegmentationMethod],
        pipeline: Callable[[str], Pipeline],
        chosen: Callable[[], str],
        artifacts: Artifacts,
        records: Records,
        segmentation_requests: SegmentationRequests,
        inbox: EventInbox,
        max_pixels: int,
        *,
        video: bool = False,
    ) -> None:
        self._decode = decode
        self._methods = methods
        self._pipeline = pipeline
        self._chosen = chosen
        self._artifacts = artifacts
        self._records = records
        self._segmentation_requests = segmentation_requests
        self._inbox = inbox
        self._max_pixels = max_pixels
        self._video = video

    def draw(self, ref: ObjectRef, data: bytes, method: str, revision: Revision) -> tuple[Segmentation, float]:
        """Segment an object and store its artifacts. Returns the segmentation for the record, and the milliseconds.

        Raises ``CaptionsDropped``, ``BadImage``, and the errors of the method, the captions and the store.
        """
        start = time.perf_counter()
        (image, *_), _ = self._decode(data, max_pixels=self._max_pixels, video=self._video)
        made = self._methods(method)
        try:
            segmented = segment(image, made, self._pipeline(revision.captions_version))
        except (IndexMissing, RpcPermanent, RpcTransient) as exc:
            if isinstance(exc, RpcTransient) and exc.kind != IndexMissing.__name__:
                raise
            if revision.captions_version == self._chosen():
                raise
            raise CaptionsDropped(str(exc)) from exc
        artifacts = self._artifacts.keep(ref, image, segmented)
        return recorded(segmented, artifacts), (time.perf_counter() - start) * 1000

    def late(self, ref: ObjectRef) -> None:
        """Clean up a segmentation that is no longer needed.

        Removes the artifacts, or requests them again if another version of the object has a segmentation.
        """
        (record,) = self._records.get([ref.id])
        if record is None:
            if self._records.on_its_way(ref.id) is None:  # otherwise the next run replaces them
                self._artifacts.remove(ref.id)
        elif record.etag != ref.etag and record.segmentation_method:
            log.info("segmentation requested again", object=ref.id, etag=record.etag, over=ref.etag)
            self._segmentation_requests.ask([ref.id], record.segmentation_method)
            self._inbox.append([ObjectEvent("created", ref.bucket, ref.key, force=True)])


class Segmenting:
    """Segment the only image of a batch, and write its record."""

    def __init__(
        self,
        fetcher: Fetcher,
        segmenter: Segmenter,
        health: Health,
        handover: Handover,
        alive_s: float,
    ) -> None:
        """``alive_s``: seconds between two progress reports while an image is being segmented."""
        self._fetcher = fetcher
        self._segmenter = segmenter
        self._health = health
        self._handover = handover
        self._alive_s = alive_s

    def __call__(self, batch: Scored, accepted: Accepted) -> None:
        """See ``workers.stages.table.Work``."""
        (ref,) = batch.objects
        method = accepted[ref.id].method if ref.id in accepted else ""
        if not method:  # no longer wanted
            self._handover.finish(batch, accepted)
            return
        with keepalive(lambda: self._go_on(ref), self._alive_s):
            submitted = Submitted(objects=batch.objects, revision=batch.revision, timings_ms=batch.timings_ms)
            _, images, faults = self._fetcher(submitted, accepted)
            self._handover.fail(batch, faults, accepted)
            for data in images:
                try:
                    drawn, took = self._segmenter.draw(ref, data, method, batch.revision)
                except CaptionsDropped:
                    self._handover.submit_again(batch)
                else:
                    self._handover.finish(batch.timed(SEGMENTATION, took), accepted, drawn)

    def _go_on(self, ref: ObjectRef) -> None:
        self._health.beat(SEGMENTATION)
        self._handover.go_on(ref, SEGMENTATION)
