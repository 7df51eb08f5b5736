"""The inbox: a Redis stream of object events that are not dispatched yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import msgspec

from vectordb.decoders import from_msgpack
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.retag_marks import LOW_PRIORITY, USUAL, RetagMarks
from workers.redis import scripts
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.streams import claim_idle, create_group, read_again, read_group

GROUP = "dispatcher"

Read = list[tuple[str, ObjectEvent]]
"""Events with the ids of their entries."""


def fields(event: ObjectEvent) -> dict[Any, Any]:
    """Encode an event as fields of a stream entry."""
    return {"event": msgspec.msgpack.encode(event)}


def decoded(stored: dict[Any, Any]) -> ObjectEvent | None:
    """The event of a stream entry, ``None`` if it is none that this release knows."""
    try:
        return from_msgpack(stored[b"event"], ObjectEvent)
    except (msgspec.DecodeError, KeyError, TypeError):
        return None


class EventInbox(Protocol):
    """Events that wait to be dispatched: in one stream, or in those of several partitions.

    What was read and not finished is read again from each of ``parts``. Raises ``StoreUnavailable``.
    """

    @property
    def parts(self) -> Sequence[Inbox]:
        """The streams: one, or those of the partitions."""

    def parts_of(self, ids: Collection[str]) -> set[Inbox]:
        """Those of them that have these entries."""

    def append(self, events: Sequence[ObjectEvent], *, mark: bool = False) -> None:
        """Store events in order; they are in Redis when this returns.

        ``mark``: a client wants to wait for what becomes of them, so their objects count as queued from now on.
        """

    def length(self) -> int:
        """Number of events that are not processed yet."""

    def prepare(self) -> None:
        """Create the streams and their consumer groups if they do not exist."""

    def read(self, consumer: str, count: int, block_ms: int | None) -> Read:
        """Read new events; wait up to ``block_ms`` for the first one, or not at all if it is ``None``."""

    def done(self, ids: Sequence[str]) -> None:
        """Remove events that were processed."""

    def finishing(self, ids: Sequence[str]) -> list[tuple[str, ...]]:
        """The commands of ``done`` that can be run in another transaction, before ``finish``."""

    def finish(self, ids: Sequence[str]) -> None:
        """Do what no command of ``finishing`` does."""

    def unmark(self, events: Sequence[tuple[str, ObjectEvent]]) -> None:
        """Forget the marks of forced events that were processed and removed."""


class Inbox:
    """One stream. Appends events, reads them with a consumer group and removes them after processing.

    An event that was read and never acknowledged is read again by ``recover``. Raises ``StoreUnavailable``.
    """

    which = USUAL

    def __init__(self, client: Client, key: str, marks: RetagMarks | None = None) -> None:
        """``key``: of the stream, ``Keys.inbox`` or ``Keys.low_priority_inbox``. ``marks``: none are made without."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = key
        self._marks = marks

    @property
    def parts(self) -> Sequence[Inbox]:
        """See ``EventInbox``."""
        return (self,)

    @property
    def away(self) -> bool:
        """Whether it is in a partition that has an outage of its own."""
        return False

    def tolerated(self) -> AbstractContextManager[None]:
        """Ends its block at a fault of its partition, if that is an outage."""
        return nullcontext()

    def parts_of(self, ids: Collection[str]) -> set[Inbox]:
        """See ``EventInbox``."""
        return {self} if ids else set()

    def append(self, events: Sequence[ObjectEvent], *, mark: bool = False) -> None:
        """See ``EventInbox``."""
        with translated():
            if len(events) == 1 and not mark:  # a third of the cost of a pipeline
                self._redis.xadd(self._key, fields(events[0]))
                return
            pipe = self._redis.pipeline(transaction=False)
            for event in events:
                if mark and self._marks is not None:
                    self._marks.append(pipe, self.which, event.id, fields(event)["event"])
                else:
                    pipe.xadd(self._key, fields(event))
            pipe.execute()

    def length(self) -> int:
        """See ``EventInbox``."""
        with translated():
            return int(self._redis.xlen(self._key))

    def prepare(self) -> None:
        """See ``EventInbox``."""
        create_group(self._redis, self._key, GROUP)

    def read(self, consumer: str, count: int, block_ms: int | None) -> Read:
        """See ``EventInbox``."""
        return self._decoded(read_group(self._redis, self._key, GROUP, consumer, count, block_ms))

    def again(self, consumer: str, count: int, after: str) -> Read:
        """Events that this consumer has read and not finished, starting after an entry id; ``0``: from the start."""
        return self._decoded(read_again(self._redis, self._key, GROUP, consumer, count, after))

    def recover(self, consumer: str, idle_ms: int, count: int) -> Read:
        """Claim events that any consumer read at least ``idle_ms`` ago and did not finish."""
        return self._decoded(claim_idle(self._redis, self._key, GROUP, consumer, idle_ms, count))

    def done(self, ids: Sequence[str]) -> None:
        """See ``EventInbox``."""
        if not ids:
            return
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            for command in self.finishing(ids):
                pipe.execute_command(*command)
            pipe.execute()

    def finishing(self, ids: Sequence[str]) -> list[tuple[str, ...]]:
        """See ``EventInbox``: all of them."""
        return [("XACK", self._key, GROUP, *ids), ("XDEL", self._key, *ids)] if ids else []

    def finish(self, ids: Sequence[str]) -> None:
        """See ``EventInbox``: nothing is left."""

    def unmark(self, events: Sequence[tuple[str, ObjectEvent]]) -> None:
        """See ``EventInbox``."""
        if self._marks is not None:
            self._marks.clear(self.which, [(event.id, entry) for entry, event in events if event.force])

    def _decoded(self, entries: list[Any]) -> Read:
        events, unreadable = [], []
        for entry, fields in entries:
            event = decoded(fields)
            if event is None:
                unreadable.append(text(entry))
            else:
                events.append((text(entry), event))
        self.done(unreadable)  # the sweep finds the change
        return events


class LowPriorityInbox(Inbox):
    """Objects to tag again when no new ones wait: one entry an object.

    A forced event is not added while another one of its object waits to be read. What was read may have been begun,
    so it does not count.
    """

    which = LOW_PRIORITY

    def __init__(self, client: Client, keys: Keys) -> None:
        super().__init__(client, keys.low_priority_inbox, RetagMarks(client, keys))
        self._marked = keys.retag_marks
        self._once = keys.low_priority_once
        self._enqueue_once = self._redis.register_script(scripts.source("enqueue_once"))
        self._clear = self._redis.register_script(scripts.source("clear_marks"))

    def append(self, events: Sequence[ObjectEvent], *, mark: bool = False) -> None:
        """Store events in order, unless they wait already; they are in Redis then. ``mark``: as above."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for event in events:
                if event.force:
                    args = raw(event.id), fields(event)["event"], self.which if mark else ""
                    self._enqueue_once(keys=[self._key, self._once, self._marked], args=args, client=pipe)
                else:
                    pipe.xadd(self._key, fields(event))
            pipe.execute()

    def _decoded(self, entries: list[Any]) -> Read:
        events = super()._decoded(entries)
        if events:  # before they are processed: from now on the same object may be added again
            # ``1``: an older release has added it
            args = [part for entry, event in events for one in (entry, "1") for part in (raw(event.id), one)]
            with translated():
                self._clear(keys=[self._once], args=args)
        return events
