"""Which events tell of nothing new, so that nothing has to be asked or sent because of them.

Several sources may tell of one bucket at the same time, and each event then comes once from each. All that identifies
an event is the same whoever tells it: what happened to which version of which object, and the server's sequencer. An
event without a sequencer cannot be recognised and goes the usual way.

Taken for repeated, too: that an object was removed and written again with the same bytes *and* the server's old time
of change, as a replica may be, within the memory of this filter. The sweep finds such an object.
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

KEPT = 30_000  # events that are remembered: about 4 MB
LIFETIME_S = 86_400
DIGEST = 12  # bytes: two of 30,000 events are taken for one once in 10^20

REPEATED = "dispatcher:repeated"  # among the counts of what was told
IGNORED = f"dispatcher:ignored:{FOLDER_MARKER}"

NONE: Mapping[str, int] = MappingProxyType({})

Read = Sequence[tuple[str, ObjectEvent]]
"""Events with the ids under which a stream has them."""


class News(NamedTuple):
    """What of some events is new, and ``counts`` of the others, by name."""

    events: Read
    counts: Mapping[str, int]


class EventFilter:
    """Recognises what was dealt with already. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, event_sink: EventSink, clock: Callable[[], float]) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._event_sink = event_sink
        self._clock = clock

    def news(self, events: Read) -> News:
        """The events that tell something new, in order, and how many do not."""
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
                known.add(digest)  # of two that were read together the second is repeated
        return News(fresh, {REPEATED: repeated, IGNORED: len(markers)})

    def dealt_with(self, events: Read, counts: Mapping[str, int] = NONE, also: Iterable[Command] = ()) -> None:
        """These need not be dealt with again. Not to be called before they are entered.

        ``counts``: of the ``News``. ``also``: what acknowledges all that was read. It is one transaction: what is
        read again because a process ended before it is neither taken for repeated nor counted twice.
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
        told = ReceivedEvents(counts={name: count for name, count in counts.items() if count})
        self._event_sink.store([told], [*noting, *also])

    def _known(self, digests: Sequence[bytes | None]) -> set[bytes]:
        asked = list({digest for digest in digests if digest is not None})
        if not asked:
            return set()
        with translated():
            scores = self._redis.zmscore(self._keys.recent_events, asked)
        return {digest for digest, score in zip(asked, scores, strict=True) if score is not None}

    def _markers(self, events: Read) -> set[str]:
        """Removals of folder markers. An object of such a key is known; its removal counts like any other."""
        removed = [(e, event.id) for e, event in events if event.kind == "removed" and folder_marker(event.key, None)]
        if not removed:
            return set()
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for _, oid in removed:
                pipe.exists(self._keys.record(oid), self._keys.entry(oid))
            known = pipe.execute()
        return {entry for (entry, _), there in zip(removed, known, strict=True) if not there}


def _digest(event: ObjectEvent) -> bytes | None:
    """What identifies an event; ``None`` where that is not known, or where it is meant to be dealt with again."""
    if not event.sequence or event.verified or event.force:
        return None
    told = (event.kind, event.bucket, event.key, event.etag, event.version_id, event.sequence)
    return hashlib.blake2b(msgspec.msgpack.encode(told), digest_size=DIGEST).digest()
