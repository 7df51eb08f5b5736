"""Adds images that have records to the index of images, in two tasks: see ``workers.images.index_task``.

Nothing else is written: no record, and no entry of the feed. What has changed meanwhile is left to the flow of new
work.

What people teach concerns the images in the index at that moment, and those in progress. So an image that comes into
the index later is compared with what is taught by then, and tagged again if its tags are from before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import structlog

from tasks.message_parts import Fault, Hit, Judgement, ObjectRef, Vectors
from tasks.messages import Embedded, Retrieved, Submitted
from vectordb.images import ImageEntry, ImageIndex
from workers.broker.publisher import Publisher, describe
from workers.images import index_task
from workers.images.index_task import Indexed, Keep
from workers.images.keeping import entries
from workers.images.labels import labels_of
from workers.images.open_images import OpenImages
from workers.images.remote_images import OWNER
from workers.lifecycle.composing import holding, outdated
from workers.lifecycle.record import Record
from workers.lifecycle.statements import read
from workers.redis.connection import Client
from workers.redis.heartbeats import Health
from workers.redis.keys import Keys
from workers.redis.rpc import answering
from workers.stages.fetching import Fetched

log = structlog.get_logger()

CLEARLY = 0.002  # of similarities: a vector that is made again differs in its last digits

NOT_THERE = "the store has another version of it, or none"


class Indexing:
    """Handles the messages of the task, in the embedding worker and in the owner of the index."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        publisher: Publisher,
        health: Health,
        images: Callable[[], OpenImages],
        *,
        fetch: Callable[[Sequence[ObjectRef]], Fetched],
        embed: Callable[[Submitted, Sequence[bytes]], tuple[Embedded, tuple[Fault, ...]]],
        retrieved: Callable[[Embedded], Retrieved | None],
        judge: Callable[[Embedded], Sequence[Judgement]],
        stored: Callable[[Sequence[str]], Sequence[bytes]],
        tag_again: Callable[[Sequence[str]], object],
        records: Callable[[Sequence[str]], Sequence[Record | None]],
        in_progress: Callable[[Sequence[str]], Sequence[bool]],
    ) -> None:
        """``retrieved``: the captions near to a batch, ``None`` if they are there no more. ``judge``: by exemplars.

        ``stored``: what people said of objects. ``tag_again``: at low priority. ``in_progress``: of the ledger.
        """
        self._judge = judge
        self._stored = stored
        self._tag_again = tag_again
        self._redis = client
        self._keys = keys
        self._publisher = publisher
        self._health = health
        self._images = images
        self._fetch = fetch
        self._embed = embed
        self._retrieved = retrieved
        self._records = records
        self._in_progress = in_progress

    def __call__(self, request: str, data: bytes) -> None:
        """Handle one message; ``request`` is answered by the last of its tasks."""
        message = index_task.decode(data)
        if isinstance(message, Keep):
            answering(self._redis, self._keys, request, lambda: self._keep(message))
            return
        self._health.beat(index_task.QUEUE)  # what kills this process afterwards is known to have been begun

        def work() -> bytes | None:
            embedded, faults = self._embedded(message.batch)
            if not embedded.objects:
                return msgspec.msgpack.encode(Indexed((), faults))
            data = msgspec.msgpack.encode(Keep(embedded, faults))
            label = f"(index {describe(embedded.objects)})"
            self._publisher.ask(OWNER, index_task.TASK, request, data, label, index_task.PATIENCE_S)
            return None  # the owner answers

        answering(self._redis, self._keys, request, work)

    def _embedded(self, batch: Submitted) -> tuple[Embedded, tuple[Fault, ...]]:
        fetched = self._fetch(batch.objects)
        there = msgspec.structs.replace(batch, objects=tuple(fetched.refs))
        embedded, bad = self._embed(there, fetched.images)
        faults = [*fetched.faults, *fetched.skipped, *(Fault(ref, "changed", why) for ref, why in fetched.waiting)]
        known = {ref.id for ref in (*fetched.refs, *(fault.object for fault in faults))}
        # its new version, or its removal, is found by the next comparison of the bucket with the records
        gone = [Fault(ref, "changed", NOT_THERE) for ref in batch.objects if ref.id not in known]
        return embedded, (*faults, *gone, *bad)

    def _keep(self, message: Keep) -> bytes:
        """Put the images whose records still are of this version, and label them."""
        batch = message.batch
        oids = [ref.id for ref in batch.objects]
        records: dict[int, Record] = {}
        for place, (ref, record, busy) in enumerate(
            zip(batch.objects, self._records(oids), self._in_progress(oids), strict=True)
        ):
            if record is not None and record.state == "done" and record.etag == ref.etag and not busy:
                records[place] = record
        if not records:
            return msgspec.msgpack.encode(Indexed((), message.faults))
        retrieved = self._retrieved(batch)
        made: list[ImageEntry] = entries(retrieved.floors if retrieved is not None else (), batch)

        def put(index: ImageIndex) -> None:
            index.put([made[place] for place in records], _rows(batch.vectors, list(records)))
            index.label([labels_of(record) for record in records.values()])
            index.maintain()

        self._images().use(put)
        self._compare(batch, records, retrieved)
        return msgspec.msgpack.encode(Indexed(tuple(record.id for record in records.values()), message.faults))

    def _compare(self, batch: Embedded, records: Mapping[int, Record], retrieved: Retrieved | None) -> None:
        """Have images tagged again whose tags are from before something was taught."""
        judgements = self._judge(batch) or (Judgement(),) * len(batch.objects)
        hashes = batch.hashes or (None,) * len(batch.objects)
        hits = retrieved.hits if retrieved is not None else ()
        statements = self._stored([record.id for record in records.values()])
        late = []
        for (place, record), said in zip(records.items(), statements, strict=True):
            holds = holding(read(said), record.etag, hashes[place])
            if outdated(record, holds, judgements[place]) or (hits and _other_captions(record, hits[place])):
                late.append(record.id)
        if late:
            log.info("images tagged again that were not in the index when something was taught", images=len(late))
            self._tag_again(late)


def _other_captions(record: Record, hits: Sequence[Hit]) -> bool:
    """Whether captions were added or removed since that are clearly nearer than the farthest ones that count."""
    then = {one.caption: one.similarity for one in record.evidence}
    now = {hit.caption: hit.similarity for hit in hits}
    if not then or not now:
        return bool(then) != bool(now)
    added = any(near > min(then.values()) + CLEARLY for caption, near in now.items() if caption not in then)
    return added or any(near > min(now.values()) + CLEARLY for caption, near in then.items() if caption not in now)


def _rows(vectors: Vectors, places: Sequence[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return vectors.array()[list(places)]
