"""Objects that are to be segmented wait for their turn beside the inbox: each takes as long as hundreds that are not.

Which those are is said by wishes and by the settings. Once a few of them are on their way the others wait in a stream
of their own, where no deadline passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from workers.events.event import ObjectEvent
from workers.inbox import Inbox, told_at
from workers.ledger import Ledger
from workers.wishes import NONE, Wishes

Entries = list[tuple[str, ObjectEvent]]


class SegmentQueue:
    """Raises ``StoreUnavailable``. ``by_key``: how objects of a key are segmented whoever sends them, or empty."""

    def __init__(
        self, inbox: Inbox, ledger: Ledger, wishes: Wishes, by_key: Callable[[str], str], at_once: int
    ) -> None:
        """``at_once``: objects that may be on their way."""
        self.inbox = inbox
        self._ledger = ledger
        self._wishes = wishes
        self._by_key = by_key
        self._at_once = at_once

    def read(self, consumer: str) -> Entries | None:
        """Events whose turn it is; ``None`` where none waits."""
        if not self.inbox.length():
            return None
        room = self._at_once - self._ledger.segmenting()
        return self.inbox.read(consumer, room, None) if room > 0 else []

    def sort_out(self, events: Sequence[tuple[str, ObjectEvent]]) -> tuple[Entries, list[str]]:
        """Take over events of objects that are to be segmented; gives the others, and the entries that were taken."""
        created = [event for _, event in events if event.kind == "created"]
        wished = dict(zip((e.id for e in created), self._wishes.of([e.id for e in created]), strict=True))
        kept: Entries = []
        taken: dict[str, ObjectEvent] = {}
        for entry, event in events:
            way = wished.get(event.id) or (self._by_key(event.key) if event.kind == "created" else "")
            if way == NONE:
                kept.append((entry, msgspec.structs.replace(event, segment=NONE)))
            elif way:
                taken[entry] = to_segment(event, way, told_at(entry))
            else:
                kept.append((entry, event))
        self.put(taken.values())
        return kept, list(taken)

    def put(self, events: Iterable[ObjectEvent]) -> None:
        """Let these wait here."""
        if waiting := list(events):
            self.inbox.append(waiting)


def to_segment(event: ObjectEvent, way: str, told: float) -> ObjectEvent:
    """The event as it waits: without an etag, since until its turn the object may be another one, or gone.

    ``told``: when it was told, in Unix seconds.
    """
    return ObjectEvent(
        "created", event.bucket, event.key, force=event.force, segment=way, told=round(told * 1000)
    )
