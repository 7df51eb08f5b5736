"""Stores what the event sources receive: events go to the inbox, rejected notifications are kept, all are counted.

One notification gives one ``ReceivedEvents``. ``commands`` returns the Redis commands for many of them, so that a
source with another client (the gateway's event loop) stores them in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
import structlog

from workers.events.notification import FOLDER_MARKER, Notification
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import fields
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.streams import added_at

log = structlog.get_logger()

REJECTED_KEPT = 1000  # notifications; the oldest are deleted first
BODY_KEPT = 4096  # bytes of each
REASONS_KEPT = 5
PROBE = "wildtag-probe-"  # in the keys of probe objects, whose events are stored with source and time
PROBES_KEPT = 200

Command = tuple[str | bytes | int, ...]


class RejectedNotification(msgspec.Struct, frozen=True):
    """A notification that was rejected at least in part. ``body``: its beginning; ``size``: its length in bytes."""

    source: str
    reason: str
    size: int
    body: bytes


class ReceivedEvents(msgspec.Struct, frozen=True):
    """What one notification stores in Redis. ``source``: who sent it; empty if that is irrelevant.

    ``sweeps``: prefixes of keys to compare soon, see ``Notification``.
    """

    events: tuple[ObjectEvent, ...] = ()
    counts: Mapping[str, int] = {}
    rejected: RejectedNotification | None = None
    source: str = ""
    sweeps: tuple[str, ...] = ()


def received_events(source: str, notification: Notification, body: bytes, size: int | None = None) -> ReceivedEvents:
    """Convert a notification, parsed from ``body``. ``size``: of the complete body if ``body`` is truncated."""
    counts = Counter(f"{source}:ignored:{reason}" for reason in notification.ignored)
    # the removals that folder markers stand for are no events of their own
    counts[f"{source}:events"] = len(notification.events) - notification.ignored.count(FOLDER_MARKER)
    counts[f"{source}:rejected"] = len(notification.rejected)
    rejected = None
    if notification.rejected:
        more = (
            [f"and {len(notification.rejected) - REASONS_KEPT} more"]
            if len(notification.rejected) > REASONS_KEPT
            else []
        )
        reason = "; ".join([*notification.rejected[:REASONS_KEPT], *more])
        rejected = RejectedNotification(source, reason, len(body) if size is None else size, body[:BODY_KEPT])
    return ReceivedEvents(notification.events, +counts, rejected, source, notification.sweeps)


def commands(received: Iterable[ReceivedEvents], keys: Keys, *, partitioned: bool = False) -> list[Command]:
    """The Redis commands that store received events, in order.

    ``partitioned``: not the events themselves, which go to the inboxes of their partitions.
    """
    made: list[Command] = []
    counts: Counter[str] = Counter()
    sweeps: Counter[str] = Counter()
    for one in received:
        if not partitioned:
            made.extend(("XADD", keys.inbox, "*", *chain(*fields(event).items())) for event in one.events)
        made.extend(
            ("XADD", keys.event_probes, "MAXLEN", "~", PROBES_KEPT, "*", "source", one.source, "oid", event.id)
            for event in one.events if PROBE in event.key
        )  # fmt: skip
        if one.rejected is not None:
            j = one.rejected
            made.append((
                "XADD", keys.rejected_events, "MAXLEN", "~", REJECTED_KEPT, "*",
                "source", j.source, "reason", j.reason, "size", j.size, "body", j.body,
            ))  # fmt: skip
        sweeps.update(one.sweeps)
        counts.update(one.counts)
    made.extend(("HINCRBY", keys.event_counts, name, count) for name, count in counts.items())
    made.extend(("HINCRBY", keys.sweep_requests, prefix, count) for prefix, count in sweeps.items())
    return made


class StoredRejection(msgspec.Struct, frozen=True):
    """A rejected notification with its time of arrival (Unix seconds)."""

    at: float
    rejected: RejectedNotification


class EventSink:
    """Stores received events, and reads rejected notifications and counters. Raises ``StoreUnavailable``.

    ``append``: stores events in the inboxes of their partitions, if there are several. ``room``: raises if no more
    events are accepted.
    """

    def __init__(
        self, client: Client, keys: Keys, append: Callable[[Sequence[ObjectEvent]], object] | None = None,
        room: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._append = append
        self._room = room

    def store(self, received: Sequence[ReceivedEvents], also: Iterable[Command] = ()) -> None:
        """Store all in one transaction: on error, all or nothing was stored. ``also``: further commands in it.

        With several partitions the events are stored before it, and on error perhaps a part of them. Raises
        ``InboxFull`` and stores nothing if there are events and no room for them.
        """
        if any(one.events for one in received):
            self._room()
        if self._append is not None:
            self._append([event for one in received for event in one.events])
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            for command in (*commands(received, self._keys, partitioned=self._append is not None), *also):
                pipe.execute_command(*command)
            pipe.execute()
        for aside in (one.rejected for one in received if one.rejected is not None):
            log.warning("notification rejected", source=aside.source, reason=aside.reason, size=aside.size)

    def rejected(self, limit: int = REJECTED_KEPT) -> list[StoredRejection]:
        """The most recent rejected notifications, newest first."""
        with translated():
            entries = self._redis.xrevrange(self._keys.rejected_events, count=limit)
        return [
            StoredRejection(
                added_at(text(entry)),
                RejectedNotification(text(f[b"source"]), text(f[b"reason"]), int(f[b"size"]), f[b"body"]),
            )
            for entry, f in entries
        ]

    def counts(self) -> dict[str, int]:
        """Counts by source: ``SOURCE:events``, ``:ignored:REASON``, ``:rejected``."""
        with translated():
            return {
                text(name): int(count) for name, count in sorted(self._redis.hgetall(self._keys.event_counts).items())
            }
