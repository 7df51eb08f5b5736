"""Brings the index of images in step with the records, by the feed: labels of new records, and removals.

Messages go to the queue of the owner without waiting for an answer. One that is lost is found by the verification.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from tasks.message_parts import place_of
from vectordb.errors import Transient
from vectordb.images import image_id
from workers.images import image_requests as requests
from workers.images.labels import labels_of
from workers.images.remote_images import OWNER
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import FeedItem, Records
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.rpc import Sender
from workers.redis.streams import entry_order

log = structlog.get_logger()

PAGE = 200  # feed entries at a time
LIFETIME_S = 600.0  # of a message that nobody takes
GATHER_S = 1.0  # after entries were sent; a message costs as much as ten images in it


class Follower:
    """Follows the feed in calls of ``step``. Several may run at once. Raises ``Transient``."""

    def __init__(
        self,
        records: Records,
        sender: Sender,
        client: Client,
        keys: Keys,
        space_id: str,
        on_gap: Callable[[], object] = lambda: None,
        *,
        gather_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``on_gap``: called when the feed was trimmed before its entries were read. ``clock``: seconds.

        ``gather_s``: seconds after entries were sent in which none are, so that one message has those of many images.
        """
        self._gather_s = gather_s
        self._clock = clock
        self._rests_until = float("-inf")
        self._records = records
        self._sender = sender
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._position = keys.images_position
        self._space_id = space_id
        self._on_gap = on_gap

    def step(self) -> int:
        """Send what one page of the feed changes, unless entries are gathered. Returns the number of entries."""
        if self._clock() < self._rests_until:
            return 0
        with translated():
            position = text(self._redis.get(self._position) or b"0")
        items = self._records.feed_page(position, PAGE)
        if items:
            self._look_for_gap(position)
            self._send(items)
            with translated():
                self._redis.set(self._position, items[-1].id)
            if len(items) < PAGE:  # otherwise it is behind
                self._rests_until = self._clock() + self._gather_s
        return len(items)

    def _look_for_gap(self, position: str) -> None:
        oldest = self._records.feed_begin()
        if position != "0" and oldest is not None and entry_order(position) < entry_order(oldest):
            log.warning("gap in the feed", of="the image index", then="the index is compared with all records")
            self._on_gap()

    def adopt(self, before: Mapping[str, str], records: Sequence[Record]) -> None:
        """Have the index follow records whose ETag has changed while the content is the same.

        ``before``: object id → the ETag that it had. ``records``: as they are now.
        """
        done = [one for one in records if one.state == "done" and one.space_id == self._space_id]
        versions = tuple((one.bucket, one.key, before[one.id], one.etag) for one in done)
        with suppress(Transient):  # the verification finds what was not told
            self._tell(requests.Adopt(versions))
            # an entry of another ETag begins without words
            self._tell(requests.Label(tuple(map(labels_of, done))))

    def _send(self, items: Sequence[FeedItem]) -> None:
        latest = {item.oid: item for item in items}
        records = [item.record for item in latest.values() if item.record is not None]
        done = [one for one in records if one.state == "done" and one.space_id == self._space_id]
        tagged = {one.id for one in done}
        # what has no tags any more is not found either: a failed record of a new version
        gone = [place_of(oid) for oid in latest if oid not in tagged]
        if done:
            self._tell(requests.Label(tuple(map(labels_of, done))))
        if gone:
            self._tell(requests.Remove(tuple(image_id(bucket, key) for bucket, key in gone)))

    def _tell(self, request: requests.Label | requests.Remove | requests.Adopt) -> None:
        kind = type(request).__name__.lower()
        self._sender.ask(OWNER, requests.TASK, "", msgspec.msgpack.encode(request), f"(images {kind})", LIFETIME_S)
