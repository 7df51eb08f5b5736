"""Remembers the objects that were to be tagged again when their removal was held.

Such an object has a record with good tags. In the ledger it would be sent again until it is ``dead``, and that record
would replace the good one. It would also take a place among the objects in flight, or in segmentation, for as long as
the hold lasts. So it leaves the ledger, and is queued again when the hold ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import structlog

from tasks.message_parts import place_of
from workers.lifecycle.record_reader import PAGE
from workers.redis import scripts
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.script_calls import call_together

log = structlog.get_logger()


class Interrupted:
    """The interrupted objects of all buckets, in Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._interrupt = self._redis.register_script(scripts.source("counting", "interrupt"))

    def put(self, bucket: str, oids: Sequence[str], again: Collection[str]) -> None:
        """Take objects out of the ledger, without a record, and remember those that were in progress.

        ``again``: those to remember in any case, because they were to be tagged again.
        """
        if not oids:
            return
        k = self._keys
        lists = [*k.counting, k.ledger, k.segmenting, k.segmentation_queue, k.segmentation_queue_forced]
        lists += [k.segmentation_queue_origins, k.interrupted(bucket)]
        calls = [((*lists, k.entry(oid)), (raw(oid), int(oid in again))) for oid in oids]
        with translated():
            put = call_together(self._redis, self._interrupt, calls).count(b"interrupted")
        if put:
            log.info("tagging interrupted", bucket=bucket, objects=put, then="queued again when the hold ends")

    def pages(self, bucket: str) -> Iterator[list[str]]:
        """The keys of all of them, in pages. Discard each page before the next one is read."""
        while True:
            with translated():
                page = self._redis.zrange(self._keys.interrupted(bucket), 0, PAGE - 1)
            if not page:
                return
            yield [place_of(text(oid))[1] for oid in page]

    def discard(self, bucket: str, keys: Sequence[str]) -> None:
        """Forget objects that were queued again."""
        with translated():
            self._redis.zrem(self._keys.interrupted(bucket), *(f"{bucket}/{key}" for key in keys))
