"""What an event says of an object, with the store's answer where it was asked.

The encoding of a key is not always certain (``ObjectEvent.other_keys``). Then the store is asked for the certain
reading first. Another one counts if nothing has the first, or if it is the one with the ETag of the event. Without an
ETag an event concerns all objects that it may mean: what is known of them is not tagged again. So does a removal,
because the store confirms each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog
from msgspec.structs import replace

from tasks.message_parts import ObjectRef
from vectordb.errors import Permanent, Transient
from workers.events.sink import EventSink, ReceivedEvents
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival
from workers.stores.lookup import Place, Seen, look
from workers.stores.store import ObjectInfo, ObjectStore

log = structlog.get_logger()

Read = Sequence[tuple[str, ObjectEvent]]
"""Events with their stream ids."""

UNVERIFIED = "dispatcher:removals-unverified"  # a field of the event counters


def arrival_of(event: ObjectEvent, seen: Mapping[Place, Seen]) -> Arrival | None:
    """``None`` if the object is gone. Raises the store's error for an object that had to be looked up."""
    if not asks(event):
        ref = ObjectRef(event.bucket, event.key, event.etag, event.size, event.version_id, origin=event.origin)
        return Arrival(ref, event.sequence, event.verified, event.force)
    found = seen[event.bucket, event.key]
    if isinstance(found, Permanent | Transient):
        raise found
    if found is None:
        return None
    ref = found.ref if event.origin is None else replace(found.ref, origin=event.origin)
    return Arrival(ref, found.sequence, verified=True, force=event.force)


def asks(event: ObjectEvent) -> bool:
    """Whether the store must be asked to interpret an event."""
    return event.kind != "created" or not event.etag or bool(event.other_keys)


def resolved(store: ObjectStore, events: Read, followed: Callable[[str], bool]) -> Read:
    """The events with the keys that they mean. Those for which the store did not answer stay as they are."""
    doubtful = [
        event for _, event in events
        if event.other_keys and event.kind == "created" and any(map(followed, (event.key, *event.other_keys)))
    ]  # fmt: skip
    seen = look(store, ((event.bucket, event.key) for event in doubtful))
    others = [
        (e.bucket, key) for e in doubtful if not e.etag or not _is(seen[e.bucket, e.key], e) for key in e.other_keys
    ]
    seen |= look(store, (place for place in others if place not in seen))
    meant = {id(event): _meant(event, seen) for event in doubtful}
    found: list[tuple[str, ObjectEvent]] = []
    for entry, event in events:
        if event.other_keys and event.kind == "removed":
            keys = (event.key, *event.other_keys)
            found += [(entry, replace(event, key=key, other_keys=())) for key in keys]
        else:
            found += [(entry, one) for one in meant.get(id(event), [event])]
    return found


def _is(found: Seen, event: ObjectEvent) -> bool:
    return isinstance(found, ObjectInfo) and event.etag in {"", found.ref.etag}


def _meant(event: ObjectEvent, seen: Mapping[Place, Seen]) -> list[ObjectEvent]:
    """The events of the objects that may be meant, or without a certain one the event for the certain key.

    An order to tag again concerns one object only.
    """
    answers = [seen[place] for key in (event.key, *event.other_keys) if (place := (event.bucket, key)) in seen]
    there = [answer for answer in answers if isinstance(answer, ObjectInfo)]
    infos = [info for info in there if _is(info, event)] or there
    if infos and not isinstance(answers[0], Transient):
        if event.etag or event.force:
            infos = infos[:1]
        elif any(isinstance(answer, Transient) for answer in answers):
            return [event]
        return [
            replace(ObjectEvent.seen(one), force=event.force, requested=event.requested, origin=event.origin)
            for one in infos
        ]
    if any(isinstance(answer, Transient) for answer in answers):
        return [event]
    return [replace(event, etag="", other_keys=())]


def report_unverified(event_sink: EventSink, unverified: Mapping[str, str]) -> None:
    """Count and log removals that the store cannot confirm: such objects keep their records.

    ``unverified``: object id → reason.
    """
    if unverified:
        oid, reason = next(iter(unverified.items()))
        log.warning("removals not verified, records kept", removals=len(unverified), example=oid, reason=reason)
        event_sink.store([ReceivedEvents(counts={UNVERIFIED: len(unverified)})])
