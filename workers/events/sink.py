"""Where the event sources leave what they were told: events in the inbox, junk set aside, everything counted.

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

JUNK_KEPT = 1000  # notifications; the oldest go first
BODY_KEPT = 4096  # bytes of each
REASONS_KEPT = 5
PROBE = "wildtag-probe-"  # in the keys of probes, whose events are noted with their source and time
SIGHTINGS_KEPT = 200

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
    junk: RejectedNotification | None = None
    source: str = ""


def deposit(source: str, told: Told, body: bytes, size: int | None = None) -> ReceivedEvents:
    """What ``told``, read from ``body``, leaves. ``size``: of the whole, where ``body`` is its beginning."""
    counts = Counter(f"{source}:ignored:{reason}" for reason in told.ignored)
    counts[f"{source}:events"] = len(told.events)
    counts[f"{source}:junk"] = len(told.junk)
    junk = None
    if told.junk:
        more = [f"and {len(told.junk) - REASONS_KEPT} more"] if len(told.junk) > REASONS_KEPT else []
        reason = "; ".join([*told.junk[:REASONS_KEPT], *more])
        junk = RejectedNotification(source, reason, len(body) if size is None else size, body[:BODY_KEPT])
    return ReceivedEvents(told.events, +counts, junk, source)


def commands(deposits: Iterable[ReceivedEvents], keys: Keys) -> list[Command]:
    """The Redis commands that store deposits, in order."""
    made: list[Command] = []
    counts: Counter[str] = Counter()
    for one in deposits:
        made.extend(("XADD", keys.inbox, "*", *chain(*fields(event).items())) for event in one.events)
        made.extend(
            ("XADD", keys.sightings, "MAXLEN", "~", SIGHTINGS_KEPT, "*", "source", one.source, "oid", event.id)
            for event in one.events if PROBE in event.key
        )  # fmt: skip
        if one.junk is not None:
            j = one.junk
            made.append((
                "XADD", keys.junk, "MAXLEN", "~", JUNK_KEPT, "*",
                "source", j.source, "reason", j.reason, "size", j.size, "body", j.body,
            ))  # fmt: skip
        counts.update(one.counts)
    made.extend(("HINCRBY", keys.told, name, count) for name, count in counts.items())
    return made


class SetAside(msgspec.Struct, frozen=True):
    """Junk with the time at which it came (Unix seconds)."""

    at: float
    junk: RejectedNotification


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
        for aside in (one.junk for one in deposits if one.junk is not None):
            log.warning("notification set aside", source=aside.source, reason=aside.reason, size=aside.size)

    def junk(self, limit: int = JUNK_KEPT) -> list[SetAside]:
        """What was set aside last, newest first."""
        with translated():
            entries = self._redis.xrevrange(self._keys.junk, count=limit)
        return [
            SetAside(
                int(text(entry).partition("-")[0]) / 1000,
                RejectedNotification(text(f[b"source"]), text(f[b"reason"]), int(f[b"size"]), f[b"body"]),
            )
            for entry, f in entries
        ]

    def counts(self) -> dict[str, int]:
        """How much each source was told, ever: ``SOURCE:events``, ``SOURCE:ignored:REASON``, ``SOURCE:junk``."""
        with translated():
            return {text(name): int(count) for name, count in sorted(self._redis.hgetall(self._keys.told).items())}
