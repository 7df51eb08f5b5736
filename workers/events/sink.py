"""Stores what the event sources receive: events go to the inbox, rejected notifications are kept, all are counted.

One notification gives one ``ReceivedEvents``; ``commands`` gives the Redis commands for many of them, so that a
source with another client (the gateway's event loop) stores the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
import structlog

from workers.events.notification import Told
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import fields
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

log = structlog.get_logger()

REJECTED_KEPT = 1000  # notifications; the oldest go first
BODY_KEPT = 4096  # bytes of each
REASONS_KEPT = 5
PROBE = "wildtag-probe-"  # in the keys of probes, whose events are noted with their source and time
PROBES_KEPT = 200

Command = tuple[str | bytes | int, ...]


class RejectedNotification(msgspec.Struct, frozen=True):
    """A notification that could not be read, or only in part. ``body``: its beginning; ``size``: bytes in all."""

    source: str
    reason: str
    size: int
    body: bytes


class ReceivedEvents(msgspec.Struct, frozen=True):
    """What one notification leaves in Redis. ``source``: who told; empty where that is of no interest."""

    events: tuple[ObjectEvent, ...] = ()
    counts: Mapping[str, int] = {}
    rejected: RejectedNotification | None = None
    source: str = ""


def deposit(source: str, told: Told, body: bytes, size: int | None = None) -> ReceivedEvents:
    """What ``told``, read from ``body``, leaves. ``size``: of the whole, where ``body`` is its beginning."""
    counts = Counter(f"{source}:ignored:{reason}" for reason in told.ignored)
    counts[f"{source}:events"] = len(told.events)
    counts[f"{source}:rejected"] = len(told.rejected)
    rejected = None
    if told.rejected:
        more = [f"and {len(told.rejected) - REASONS_KEPT} more"] if len(told.rejected) > REASONS_KEPT else []
        reason = "; ".join([*told.rejected[:REASONS_KEPT], *more])
        rejected = RejectedNotification(source, reason, len(body) if size is None else size, body[:BODY_KEPT])
    return ReceivedEvents(told.events, +counts, rejected, source)


def commands(deposits: Iterable[ReceivedEvents], keys: Keys) -> list[Command]:
    """The Redis commands that store deposits, in order."""
    made: list[Command] = []
    counts: Counter[str] = Counter()
    for one in deposits:
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
        counts.update(one.counts)
    made.extend(("HINCRBY", keys.event_counts, name, count) for name, count in counts.items())
    return made


class SetAside(msgspec.Struct, frozen=True):
    """A rejected notification with the time at which it came (Unix seconds)."""

    at: float
    rejected: RejectedNotification


class EventSink:
    """Stores deposits, and shows what was set aside and counted. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys

    def store(self, deposits: Sequence[ReceivedEvents], also: Iterable[Command] = ()) -> None:
        """On return all of it is in Redis; on an error none or all is. ``also``: more of the same transaction."""
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            for command in (*commands(deposits, self._keys), *also):
                pipe.execute_command(*command)
            pipe.execute()
        for aside in (one.rejected for one in deposits if one.rejected is not None):
            log.warning("notification set aside", source=aside.source, reason=aside.reason, size=aside.size)

    def rejected(self, limit: int = REJECTED_KEPT) -> list[SetAside]:
        """What was set aside last, newest first."""
        with translated():
            entries = self._redis.xrevrange(self._keys.rejected_events, count=limit)
        return [
            SetAside(
                int(text(entry).partition("-")[0]) / 1000,
                RejectedNotification(text(f[b"source"]), text(f[b"reason"]), int(f[b"size"]), f[b"body"]),
            )
            for entry, f in entries
        ]

    def counts(self) -> dict[str, int]:
        """How much each source was told, ever: ``SOURCE:events``, ``SOURCE:ignored:REASON``, ``SOURCE:rejected``."""
        with translated():
            return {
                text(name): int(count) for name, count in sorted(self._redis.hgetall(self._keys.event_counts).items())
            }
