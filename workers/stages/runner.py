"""The worker side of the stages. Each task has four moves: load, call the stage, store, hand on.

Objects that are to be segmented go on alone after ``scoring``; the others are at their end there.

What a fault leads to is decided in ``workers.lifecycle.policy`` and carried out in ``Stages.run``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import structlog

from tasks.embedding import embed
from tasks.extraction import extract
from tasks.extraction.phrases import Phrases
from tasks.ingestion import Ingesting, ingest
from tasks.messages import Batch, Embedded, Extracted, Fault, ObjectRef, Retrieved, Scored, Submitted
from tasks.retrieval import retrieve
from tasks.scoring import score
from vectordb.errors import Transient
from vectordb.index import IndexMissing
from workers.captions.remote_index import answer
from workers.captions.versions import CaptionsDropped
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.outcomes import done, failed
from workers.lifecycle.policy import (
    POSTPONED_S,
    Drop,
    Fail,
    Postpone,
    Requeue,
    Retry,
    Split,
    after_error,
    patience_for,
)
from workers.lifecycle.record import Error, Segmentation
from workers.redis.rpc import answering
from workers.segmentation.keepalive import keepalive
from workers.settings.dependencies import REDIS
from workers.settings.settings import SEGMENTATION
from workers.stages.fetching import fetch
from workers.wiring.wiring import Wiring

if TYPE_CHECKING:
    from workers.stages.segmenter import Segmenter

log = structlog.get_logger()

BEAT_S = 5.0  # between two signs of life of a worker that waits for a service


@dataclass
class _Once:
    """What the tries of one message share. ``begin``: it is still to be counted as begun."""

    retries: int
    delivery: str | None
    begin: bool
    batch: Batch | None = None
    service: str | None = None


class Stages:
    """The four moves of every stage, over one process's adapters."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._phrases = Phrases()
        self._accepted: dict[str, float] = {}  # of the message at hand: when each object that is still wanted came

    def embedding(self, batch: Submitted) -> None:
        """Fetch the images that are still wanted, embed them, hand their vectors on."""
        batch, images, faults = self._fetch(batch)
        encoder, c = self._wiring.image_encoder, self._wiring.pipeline_options
        embedded, bad = self._timed("embedding", lambda: embed(batch, images, encoder, max_pixels=c.max_pixels))
        self._end(batch, [*faults, *bad])
        self._hand_on("retrieval", embedded)

    def retrieval(self, batch: Embedded) -> None:
        """Find the nearest captions, in the version that the batch was submitted for."""
        wiring, c, reference_vectors = self._wiring, self._wiring.pipeline_options, self._wiring.reference_vectors
        version = batch.revision.captions_version
        try:
            index = wiring.indexes.open(version)
            retrieved = self._timed("retrieval", lambda: retrieve(
                batch, index, limit=c.limit, duplicate_similarity=c.duplicate_similarity,
                reference_vectors=reference_vectors,
            ))  # fmt: skip
        except IndexMissing:
            wiring.indexes.release(version)
            if version == wiring.chosen():
                raise
            self._submit_anew(batch)  # it was dropped meanwhile
        else:
            self._hand_on("extraction", retrieved)

    def extraction(self, batch: Retrieved) -> None:
        """Extract the candidates from the captions."""
        extractor, cache = self._wiring.extractor, self._wiring.cache
        self._hand_on("scoring", self._timed("extraction", lambda: extract(batch, extractor, cache)))

    def scoring(self, batch: Extracted) -> None:
        """Score the candidates and write the records."""
        encoder, cache, c = self._wiring.text_encoder, self._wiring.cache, self._wiring.pipeline_options
        scored: Scored = self._timed("scoring", lambda: score(
            batch, encoder, cache, alpha=c.alpha, tau=c.tau, max_tags=c.max_tags, min_score=c.min_score,
            synonym_similarity=c.synonym_similarity, unknown_similarity=c.unknown_similarity, prompts=c.prompts,
        ))  # fmt: skip
        self._finish(scored)

    def segmentation(self, batch: Scored) -> None:
        """Draw what is where in the one image of a batch, and write the record."""
        wiring, (ref,) = self._wiring, batch.objects
        (way,) = wiring.ledger.segmentation_methods([ref])
        if not way:  # it is not wanted any more
            self._finish(batch)
            return
        with keepalive(lambda: self._go_on(ref), wiring.settings.deadline_s / 4):
            _, images, faults = self._fetch(
                Submitted(objects=batch.objects, revision=batch.revision, timings_ms=batch.timings_ms)
            )
            self._end(batch, faults)
            for data in images:
                try:
                    drawn, took = self._segmenter.draw(ref, data, way, batch.revision)
                except CaptionsDropped:
                    self._submit_anew(batch)
                else:
                    self._finish(batch.timed(SEGMENTATION, took), drawn)

    @cached_property
    def _segmenter(self) -> Segmenter:
        from workers.wiring.segmentation import segmenter  # noqa: PLC0415 -- only who segments needs scipy

        return segmenter(self._wiring)

    def run(self, stage: str, data: bytes, retries: int, delivery: str | None = None) -> None:
        """Deal with one message of a stage, whatever it brings. While a service is away it is held, and goes on then.

        Those behind it wait in the queue meanwhile, and cost nothing. ``delivery``: see ``Publisher.put_back``.
        """
        began, limit = time.monotonic(), self._wiring.settings.task_time_limit_s
        once = _Once(retries, delivery, begin=stage == "embedding" and not retries)
        while True:
            try:
                self._try(stage, data, once)
            except Exception as exc:  # whatever it is, the ledger has the objects and the policy the answer
                service = self._wiring.outage_tracker.register(exc) if isinstance(exc, Transient) else None
                patience = 0.0 if service is None else patience_for(service, stage, limit)
                if service is None or not self._outlasts(stage, service, began + patience):
                    self._after(stage, once, exc, away=service is not None)
                    return
                once.service = service
            else:
                if once.service is not None:
                    self._wiring.outage_tracker.end(once.service)
                return

    def _try(self, stage: str, data: bytes, once: _Once) -> None:
        wiring = self._wiring
        once.batch = KINDS[stage].decode(data)
        wiring.health.beat(stage)
        self._accepted = self._advance(stage, once.batch, begin=once.begin)
        once.begin = False
        getattr(self, stage)(once.batch)
        wiring.health.beat(stage)

    def _outlasts(self, stage: str, service: str, until: float) -> bool:
        """Wait for a service; whether it is back in time. Waiting for it is no silence."""
        wiring = self._wiring
        while (left := until - time.monotonic()) > 0:
            if wiring.outage_tracker.wait_to_retry(service, min(left, BEAT_S)):
                return True
            if not wiring.outage_tracker.is_active(REDIS):
                with contextlib.suppress(Transient):
                    wiring.health.beat(stage)
        return False

    def warm(self, queue: str) -> None:
        """Load what the work on a queue needs, then say that it is there."""
        wiring = self._wiring
        match queue:
            case "embedding":
                _ = wiring.image_encoder
            case "retrieval":
                wiring.indexes.open(wiring.chosen())
                _ = wiring.reference_vectors
            case "extraction":
                wiring.extractor.warm()
            case "scoring" | "ingestion":
                _ = wiring.text_encoder
            case "segmentation":
                pass  # where nothing is segmented, no memory is taken: its models are loaded by the first image
        wiring.health.beat(queue)

    def captions(self, request: str, data: bytes) -> None:
        """Answer a question about the captions that this process owns."""
        wiring = self._wiring
        answering(wiring.redis, wiring.keys, request, lambda: answer(wiring.indexes, data))

    def encode(self, request: str, data: bytes) -> None:
        """Encode texts for whoever asks: captions that are taught or imported, a question in words."""
        wiring = self._wiring

        def work() -> bytes:
            asked = Ingesting.decode(data)
            return ingest(asked, wiring.text_encoder if asked.vectors is None else None, self._phrases).encode()

        answering(wiring.redis, wiring.keys, request, work)

    # -- load

    def _advance(self, stage: str, batch: Batch, *, begin: bool) -> dict[str, float]:
        wiring = self._wiring
        now = wiring.clock()
        deadline = now + wiring.settings.deadline_s
        answers = wiring.ledger.advance(batch.objects, batch.revision, stage, deadline, now=now, begin=begin)
        return {ref.id: at for ref, at in zip(batch.objects, answers, strict=True) if at is not None}

    def _go_on(self, ref: ObjectRef) -> None:
        """Say that there is progress with an object that takes long; those behind it wait for nothing else."""
        wiring = self._wiring
        wiring.health.beat(SEGMENTATION)
        wiring.ledger.extend(ref, SEGMENTATION, wiring.clock() + wiring.settings.deadline_s)

    def _fetch(self, batch: Submitted) -> tuple[Submitted, list[bytes], list[Fault]]:
        """The images of the objects that the ledger still waits for, and a fault for each that cannot be read."""
        wiring = self._wiring
        found = fetch(
            wiring.store, [ref for ref in batch.objects if ref.id in self._accepted],
            wiring.settings.max_object_bytes, wiring.object_filter.content,
        )  # fmt: skip
        if found.told:
            wiring.inbox.append(found.told)
        for ref, fault in found.waiting:
            wiring.ledger.postpone([ref], batch.revision, wiring.clock() + POSTPONED_S, fault)
        self._end(batch, found.skipped, "skipped")
        return msgspec.structs.replace(batch, objects=tuple(found.refs)), found.images, found.faults

    # -- store

    def _end(self, batch: Batch, faults: list[Fault], state: Literal["failed", "skipped"] = "failed") -> None:
        """Records of objects that get no tags."""
        now = self._wiring.clock()
        self._wiring.ledger.finish(list(failed(faults, batch, now, self._accepted, state)), now)
        for fault in faults:
            (log.info if state == "skipped" else log.warning)(
                state, object=fault.object.id, code=fault.code, reason=fault.reason
            )

    def _finish(self, batch: Scored, drawn: Segmentation | None = None) -> None:
        """Records of objects that have their tags; those that are to be segmented otherwise than ``drawn`` go on.

        ``drawn``: of the one object of the batch.
        """
        wiring = self._wiring
        ways = wiring.ledger.segmentation_methods(batch.objects)
        fits = drawn if drawn is not None and ways[0] else None  # else it is not wanted any more, or nobody waits
        have = fits.way if fits else ""
        ready = batch.only([place for place, way in enumerate(ways) if way == have])
        now = wiring.clock()
        written = wiring.ledger.finish(list(done(ready, now, self._accepted, fits)), now)
        if written:
            log.info("done", objects=sum(written), late=len(written) - sum(written))
        fine = {ref.id for ref, there in zip(ready.objects, written, strict=True) if there}
        for place, ref in enumerate(batch.objects):
            if ref.id not in fine and not self._segment(batch.only([place])) and drawn is not None:
                self._segmenter.late(ref)

    # -- hand on

    def _hand_on(self, stage: str, batch: Batch) -> None:
        if batch.objects:
            self._wiring.publisher.send(stage, batch)

    def _segment(self, alone: Scored) -> bool:
        """Put an object on the queue of those that are segmented, if anybody still waits for it; whether so."""
        wiring = self._wiring
        now = wiring.clock()
        (accepted,) = wiring.ledger.advance(
            alone.objects, alone.revision, SEGMENTATION, now + wiring.settings.deadline_s, now=now, handed=True
        )
        if accepted is not None:
            self._hand_on(SEGMENTATION, alone)
        return accepted is not None

    def _timed(self, stage: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        answer = call()
        elapsed = (time.perf_counter() - start) * 1000
        if isinstance(answer, tuple):
            message, *rest = answer
            return message.timed(stage, elapsed), *rest
        return answer.timed(stage, elapsed)

    def _submit_anew(self, batch: Batch) -> None:
        """The dispatcher is to begin these again, under what is current."""
        self._wiring.inbox.append(
            [
                ObjectEvent("created", ref.bucket, ref.key, ref.etag, ref.size, ref.version_id, force=True)
                for ref in batch.objects
            ]
        )

    # -- when it goes wrong

    def _after(self, stage: str, once: _Once, error: Exception, *, away: bool) -> None:
        batch, retries = once.batch, once.retries
        action = after_error(error, len(batch.objects) if batch else 0, retries, away=away)
        # what is expected to pass gets a line, or is told already; everything else its traceback too
        (log.debug if isinstance(action, Requeue) else log.warning)(
            "fault",
            stage=stage,
            then=type(action).__name__.lower(),
            error=f"{type(error).__name__}: {error}",
            exc_info=None if isinstance(error, Transient) else error,
        )
        if batch is None or isinstance(action, Drop):
            return
        wiring = self._wiring
        try:
            match action:
                case Retry(pause):
                    wiring.publisher.send(stage, batch, pause=pause, retries=retries + 1)
                case Requeue():
                    # it is held up and kills nobody: what the keeper sends meanwhile does not count against it
                    until = wiring.clock() + wiring.settings.deadline_s
                    wiring.ledger.postpone(batch.objects, batch.revision, until, str(error))
                    self._put_back(stage, once, batch)
                case Postpone(pause, fault):
                    wiring.ledger.postpone(batch.objects, batch.revision, wiring.clock() + pause, fault)
                case Split():
                    for ref in batch.objects:
                        wiring.publisher.send("embedding", Submitted(objects=(ref,), revision=batch.revision))
                case Fail(code, reason) if isinstance(batch, Scored):  # it has its tags, whatever cannot be drawn
                    (way,) = wiring.ledger.segmentation_methods(batch.objects)
                    self._finish(batch, Segmentation(way=way, error=Error(code, reason)) if way else None)
                case Fail(code, reason):
                    self._end(batch, [Fault(batch.objects[0], code, reason)])
        except Transient as exc:
            log.warning("left to the ledger", stage=stage, error=str(exc))

    def _put_back(self, stage: str, once: _Once, batch: Batch) -> None:
        """Before those that came later, if the broker can; it has been begun, and is not begun again."""
        publisher = self._wiring.publisher
        if once.delivery is None or not publisher.put_back(stage, once.delivery):
            publisher.send(stage, batch, retries=max(1, once.retries))


KINDS: dict[str, type[Batch]] = {
    "embedding": Submitted, "retrieval": Embedded, "extraction": Retrieved, "scoring": Extracted,
    SEGMENTATION: Scored,
}  # fmt: skip
