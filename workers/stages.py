"""The worker side of the stages. Each task has four moves: load, call the stage, store, hand on.

What a fault leads to is decided in ``workers.policy`` and carried out in ``Stages.run``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from celery import Celery, Task
from tasks.embedding import embed
from tasks.extraction import extract
from tasks.retrieval import retrieve
from tasks.scoring import score

from tasks.messages import Batch, Embedded, Extracted, Fault, ObjectRef, Retrieved, Scored, Submitted
from vectordb.errors import Transient
from workers.events.event import ObjectEvent
from workers.policy import Drop, Fail, Postpone, Retry, Split, after_error
from workers.records import Error, Evidence, Record
from workers.settings import STAGES
from workers.stores.store import ObjectError
from workers.wiring import Wiring

log = structlog.get_logger()


class Stages:
    """The four moves of every stage, over one process's adapters."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def embedding(self, batch: Submitted) -> None:
        """Fetch the images that are still wanted, embed them, hand their vectors on."""
        batch, images, faults = self._fetch(batch)
        embedded, bad = self._timed(
            "embedding", lambda: embed(batch, images, self._wiring.image_encoder,
                                       max_pixels=self._wiring.settings.max_pixels)
        )  # fmt: skip
        self._fail(batch, [*faults, *bad])
        self._hand_on("retrieval", embedded)

    def retrieval(self, batch: Embedded) -> None:
        """Find the nearest captions."""
        settings = self._wiring.settings
        self._hand_on("extraction", self._timed("retrieval", lambda: retrieve(
            batch, self._wiring.index, limit=settings.retrieval_limit,
            duplicate_similarity=settings.duplicate_similarity,
        )))  # fmt: skip

    def extraction(self, batch: Retrieved) -> None:
        """Extract the candidates from the captions."""
        extractor = self._wiring.extractor
        self._hand_on("scoring", self._timed("extraction", lambda: extract(batch, extractor, self._wiring.cache)))

    def scoring(self, batch: Extracted) -> None:
        """Score the candidates and write the records."""
        settings = self._wiring.settings
        scored = self._timed("scoring", lambda: score(
            batch, self._wiring.text_encoder, self._wiring.cache, alpha=settings.alpha, max_tags=settings.max_tags
        ))  # fmt: skip
        self._finish(scored)

    def run(self, stage: str, data: bytes, retries: int) -> None:
        """Deal with one message of a stage, whatever it brings."""
        kind = KINDS[stage]
        batch: Batch | None = None
        try:
            batch = kind.decode(data)
            self._wiring.health.beat(stage)
            self._accepted = self._advance(stage, batch, begin=stage == "embedding" and not retries)
            getattr(self, stage)(batch)
            self._wiring.health.beat(stage)
        except Exception as exc:  # whatever it is, the ledger has the objects and the policy the answer
            self._after(stage, batch, exc, retries)

    def warm(self, stage: str) -> None:
        """Load what a stage needs, then say that it is there."""
        wiring = self._wiring
        match stage:
            case "embedding":
                _ = wiring.image_encoder
            case "retrieval":
                _ = wiring.index
            case "extraction":
                wiring.extractor.warm()
            case "scoring":
                _ = wiring.text_encoder
        wiring.health.beat(stage)

    # -- load

    def _advance(self, stage: str, batch: Batch, *, begin: bool) -> dict[str, float]:
        wiring = self._wiring
        deadline = wiring.clock() + wiring.settings.deadline_s
        answers = wiring.ledger.advance(batch.objects, batch.revision, stage, deadline, begin=begin)
        return {ref.id: at for ref, at in zip(batch.objects, answers, strict=True) if at is not None}

    def _fetch(self, batch: Submitted) -> tuple[Submitted, list[bytes], list[Fault]]:
        """The images of the objects that the ledger still waits for, and a fault for each that has none."""
        store, limit = self._wiring.store, self._wiring.settings.max_object_bytes
        refs: list[ObjectRef] = []
        images: list[bytes] = []
        faults: list[Fault] = []
        changed: list[ObjectEvent] = []
        for ref in batch.objects:
            if ref.id not in self._accepted:
                continue
            try:
                data, info = store.get(ref.bucket, ref.key, limit)
            except ObjectError as exc:
                faults.append(Fault(ref, exc.code, str(exc)))
                continue
            if info.ref.etag != ref.etag:
                changed.append(ObjectEvent.seen(info))  # overwritten meanwhile: that version has its own turn
                continue
            refs.append(ref)
            images.append(data)
        if changed:
            self._wiring.inbox.append(changed)
        return msgspec.structs.replace(batch, objects=tuple(refs)), images, faults

    # -- store

    def _fail(self, batch: Batch, faults: list[Fault], state: str = "failed") -> None:
        now = self._wiring.clock()
        revision = batch.revision
        self._wiring.ledger.finish([
            Record(bucket=f.object.bucket, key=f.object.key, etag=f.object.etag, version_id=f.object.version_id,
                   state="failed", space_id=revision.space_id, captions_version=revision.captions_version,
                   error=Error(f.code, f.reason), finished_at=now,
                   timings_ms=self._timings(f.object, batch, now))
            for f in faults
        ], now)  # fmt: skip
        for fault in faults:
            log.warning(state, object=fault.object.id, code=fault.code, reason=fault.reason)

    def _finish(self, batch: Scored) -> None:
        now = self._wiring.clock()
        revision = batch.revision
        records = [
            Record(bucket=ref.bucket, key=ref.key, etag=ref.etag, version_id=ref.version_id, state="done",
                   tags=tags, evidence=tuple(Evidence(hit.caption, round(hit.similarity, 6)) for hit in hits),
                   space_id=revision.space_id, captions_version=revision.captions_version,
                   timings_ms=self._timings(ref, batch, now), finished_at=now)
            for ref, hits, tags in zip(batch.objects, batch.hits, batch.tags, strict=True)
        ]  # fmt: skip
        written = self._wiring.ledger.finish(records, now)
        log.info("done", objects=sum(written), late=len(written) - sum(written))

    def _timings(self, ref: ObjectRef, batch: Batch, now: float) -> dict[str, float]:
        shares = {stage: round(ms / max(1, len(batch.objects)), 3) for stage, ms in batch.timings_ms.items()}
        accepted = self._accepted.get(ref.id)
        return shares if accepted is None else {**shares, "total": round((now - accepted) * 1000, 3)}

    # -- hand on

    def _hand_on(self, stage: str, batch: Batch) -> None:
        if batch.objects:
            self._wiring.publisher.send(stage, batch)

    def _timed(self, stage: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        answer = call()
        elapsed = (time.perf_counter() - start) * 1000
        if isinstance(answer, tuple):
            message, *rest = answer
            return message.timed(stage, elapsed), *rest
        return answer.timed(stage, elapsed)

    # -- when it goes wrong

    def _after(self, stage: str, batch: Batch | None, error: Exception, retries: int) -> None:
        action = after_error(error, len(batch.objects) if batch else 0, retries)
        # what is expected to pass gets a line; everything else its traceback too
        log.warning("fault", stage=stage, then=type(action).__name__.lower(),
                    error=f"{type(error).__name__}: {error}",
                    exc_info=None if isinstance(error, Transient) else error)  # fmt: skip
        if batch is None or isinstance(action, Drop):
            return
        wiring = self._wiring
        try:
            match action:
                case Retry(pause):
                    wiring.publisher.send(stage, batch, pause=pause, retries=retries + 1)
                case Postpone(pause, fault):
                    wiring.ledger.postpone(batch.objects, batch.revision, wiring.clock() + pause, fault)
                case Split():
                    for ref in batch.objects:
                        wiring.publisher.send("embedding", Submitted(objects=(ref,), revision=batch.revision))
                case Fail(code, reason):
                    self._fail(batch, [Fault(batch.objects[0], code, reason)])
        except Transient as exc:
            log.warning("left to the ledger", stage=stage, error=str(exc))


KINDS: dict[str, type[Batch]] = {
    "embedding": Submitted, "retrieval": Embedded, "extraction": Retrieved, "scoring": Extracted,
}  # fmt: skip


def register(app: Celery, stages: Callable[[], Stages]) -> None:
    """Give an app the tasks of all stages. ``stages`` is called in the process that runs them, on first use."""

    def stage_task(stage: str) -> Callable[[Any, bytes], None]:
        def run(task: Any, data: bytes) -> None:
            stages().run(stage, data, task.request.retries)

        return run

    def probe_task(stage: str) -> Callable[[], None]:
        return lambda: stages().warm(stage)

    options: dict[str, Any] = {"ignore_result": True, "base": Task}
    for stage in STAGES:
        app.task(stage_task(stage), name=f"wildtag.{stage}", bind=True, **options)
        app.task(probe_task(stage), name=f"wildtag.probe.{stage}", **options)
