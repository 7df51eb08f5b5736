"""Filters out events that report nothing new, so that they cause no requests and no work.

Several sources may report the same bucket, so each event may arrive once per source. What identifies an event does
not depend on the source: the change, the object and its version, and the server's sequencer. Events without a
sequencer cannot be recognised and are always processed.

One case is wrongly treated as repeated: an object that is removed and written again with the same bytes *and* the
same modification time, as a replica may do, while this filter still holds the first event. The sweep finds such an
object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from workers.events.notification import FOLDER_MARKER
from workers.events.sink import Command, EventSink, ReceivedEvents
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys
from workers.stores.store import folder_marker

KEPT = 30_000  # events kept: about 4 MB
LIFETIME_S = 86_400
DIGEST = 12  # bytes: the probability of a collision among 30,000 events is about 10^-20

REPEATED = "dispatcher:repeated"  # a field of the event counters
IGNORED = f"dispatcher:ignored:{FOLDER_MARKER}"

NONE: Mapping[str, int] = MappingProxyType({})

Read = Sequence[tuple[str, ObjectEvent]]
"""Events with their stream ids."""


class NewEvents(NamedTuple):
    """The new ones of some events, and ``counts`` of the others by name."""

    events: Read
    counts: Mapping[str, int]


class EventFilter:
    """Recognises events that were already processed. Raises ``StoreUnavailable``.

    ``etags_of``: the ETags of each object's record and of its version in progress, if there are several partitions.
    """

    def __init__(
        self,
        client: Client,
        keys: Keys,
        event_sink: EventSink,
        clock: Callable[[], float],
        etags_of: Callable[[Sequence[str]], Sequence[tuple[str, str]]] | None = None,
    ) -> None:
        self._etags_of = etags_of
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._event_sink = event_sink
        self._clock = clock

    def new(self, events: Read) -> NewEvents:
        """Return the new events, in order, and the number of the others."""
        digests = [_digest(event) for _, event in events]
        known = self._known(digests)
        markers = self._markers(events)
        fresh, repeated = [], 0
        for (entry, event), digest in zip(events, digests, strict=True):
            if digest is not None and digest in known:
                repeated += 1
            elif entry not in markers:
                fresh.append((entry, event))
            if digest is not None:
                known.add(digest)  # of two equal events read together, the second is repeated
        return NewEvents(fresh, {REPEATED: repeated, IGNORED: len(markers)})

    def mark_processed(self, events: Read, counts: Mapping[str, int] = NONE, also: Iterable[Command] = ()) -> None:
        """Mark events as processed. Call this only after their objects were entered in the ledger.

        ``counts``: from ``NewEvents``. ``also``: the commands that acknowledge the events, in the same transaction.
        Events that are read again after a crash are therefore neither treated as repeated nor counted twice.
        """
        digests = {digest for _, event in events if (digest := _digest(event)) is not None}
        heard, now = self._keys.recent_events, repr(self._clock())
        scored: list[str | bytes] = []
        for digest in digests:
            scored += [now, digest]
        noting: list[Command] = []
        if digests:
            noting = [
                ("ZADD", heard, *scored),
                ("ZREMRANGEBYRANK", heard, 0, -KEPT - 1),
                ("EXPIRE", heard, LIFETIME_S),
            ]
        counted = ReceivedEvents(counts={name: count for name, count in counts.items() if count})
        self._event_sink.store([counted], [*noting, *also])

    def _known(self, digests: Sequence[bytes | None]) -> set[bytes]:
        asked = list({digest for digest in digests if digest is not None})
        if not asked:
            return set()
        with translated():
            scores = self._redis.zmscore(self._keys.recent_events, asked)
        return {digest for digest, score in zip(asked, scores, strict=True) if score is not None}

    def _markers(self, events: Read) -> set[str]:
        """Removals of folder markers. If an object with such a key is known, its removal is a normal one."""
        removed = [(e, event.id) for e, event in events if event.kind == "removed" and folder_marker(event.key, None)]
        if not removed:
            return set()
        if self._etags_of is not None:
            there = list(map(any, self._etags_of([oid for _, oid in removed])))
            return {entry for (entry, _), known in zip(removed, there, strict=True) if not known}
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for _, oid in removed:
                pipe.exists(self._keys.record(oid), self._keys.entry(oid))
            known = pipe.execute()
        return {entry for (entry, _), there in zip(removed, known, strict=True) if not there}


def _digest(event: ObjectEvent) -> bytes | None:
    """The digest that identifies an event; ``None`` without a sequencer, or if processing is forced."""
    if not event.sequence or event.verified or event.force:
        return None
    identity = (event.kind, event.bucket, event.key, event.etag, event.version_id, event.sequence)
    return hashlib.blake2b(msgspec.msgpack.encode(identity), digest_size=DIGEST).digest()
