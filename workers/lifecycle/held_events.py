"""Events whose partition is away: they wait under ``P``, so that no source waits for a partition."""

from __future__ import annotations

from typing import Any

import msgspec

from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import decoded
from workers.lifecycle.partitioned_inbox import PartitionedInbox
from workers.redis.connection import Client, text, translated
from workers.redis.partition_faults import PartitionFaults
from workers.redis.partitions import Partitions
from workers.redis.streams import Entries

PAGE = 500


class HeldEvents:
    """Events whose partition was away when they came: they wait in the inbox under ``P``.

    So no source waits for a partition. The events go to it when it is back; without their ETag, since newer ones may
    have been read before: the dispatcher then looks which version there is.
    """

    def __init__(
        self, client: Client, key: str, inbox: PartitionedInbox, partitions: Partitions, faults: PartitionFaults
    ) -> None:
        """``key``: of the stream under ``P`` in which they wait; ``inbox``: to which they go."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = key
        self._inbox = inbox
        self._partitions = partitions
        self._faults = faults

    def step(self) -> int:
        """Pass events on to the partitions that are back. Returns their number. Raises ``StoreUnavailable``.

        They are removed only after that: an event may be passed on twice.
        """
        after, count = "-", 0
        while True:
            with translated():
                page = self._redis.xrange(self._key, after, count=PAGE)
            if not page:
                return count
            count += self._pass_on(page)
            after = f"({text(page[-1][0])}"

    def _pass_on(self, page: Entries) -> int:
        ids: dict[int, list[Any]] = {}
        events: dict[int, list[ObjectEvent]] = {}
        unreadable = []
        for entry, fields in page:
            event = decoded(fields)
            if event is None:
                unreadable.append(entry)
                continue
            partition = self._partitions.of(event.id)
            ids.setdefault(partition, []).append(entry)
            events.setdefault(partition, []).append(looked_up(event))
        count = 0
        for partition, mine in events.items():
            if not self._faults.away(partition):
                with self._faults.tolerated(partition):
                    self._inbox.pass_on(partition, mine)
                    unreadable += ids[partition]
                    count += len(ids[partition])
        if unreadable:
            with translated():
                self._redis.xdel(self._key, *unreadable)
        return count


def looked_up(event: ObjectEvent) -> ObjectEvent:
    """The event without what the object was when it came."""
    if event.kind == "removed":  # looked up in any case
        return event
    return msgspec.structs.replace(event, etag="", size=None, version_id=None, sequence="")
