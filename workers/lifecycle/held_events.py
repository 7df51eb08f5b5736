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
        self._left: set[int] = set()
        self._looked = "-"

    def step(self) -> int:
        """Pass events on to the partitions that are back. Returns their number. Raises ``StoreUnavailable``.

        They are removed only after that: an event may be passed on twice. Those of partitions that are still away are
        not read again: there may be many, and the other partitions would wait.
        """
        if not self._left or not all(map(self._faults.away, self._left)):
            self._left, self._looked = set(), "-"
        count = 0
        try:
            while True:
                with translated():
                    page = self._redis.xrange(self._key, self._looked, count=PAGE)
                if not page:
                    return count
                count += self._pass_on(page)
                self._looked = f"({text(page[-1][0])}"
        except BaseException:
            self._left, self._looked = set(), "-"
            raise

    def _pass_on(self, page: Entries) -> int:
        ids: dict[int, list[Any]] = {}
        events: dict[int, list[ObjectEvent]] = {}
        finished = []
        for entry, fields in page:
            event = decoded(fields)
            if event is None:
                finished.append(entry)
                continue
            partition = self._partitions.of(event.id)
            ids.setdefault(partition, []).append(entry)
            events.setdefault(partition, []).append(looked_up(event))
        count = 0
        for partition, mine in events.items():
            passed = False
            if not self._faults.away(partition):
                with self._faults.tolerated(partition):
                    self._inbox.pass_on(partition, mine)
                    passed = True
            if passed:
                finished += ids[partition]
                count += len(ids[partition])
            else:
                self._left.add(partition)
        if finished:
            with translated():
                self._redis.xdel(self._key, *finished)
        return count


def looked_up(event: ObjectEvent) -> ObjectEvent:
    """The event without what the object was when it came."""
    if event.kind == "removed":  # looked up in any case
        return event
    return msgspec.structs.replace(event, etag="", size=None, version_id=None, sequence="")
