"""What an event says of an object, with the store's answer where it was asked."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from tasks.message_parts import ObjectRef
from vectordb.errors import Permanent, Transient
from workers.events.sink import EventSink, ReceivedEvents
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival
from workers.stores.lookup import Place, Seen

log = structlog.get_logger()

UNVERIFIED = "dispatcher:removals-unverified"  # a field of the event counters


def arrival_of(event: ObjectEvent, seen: Mapping[Place, Seen]) -> Arrival | None:
    """``None`` if the object is gone. Raises the store's error for an object that had to be looked up."""
    if not asks(event):
        ref = ObjectRef(event.bucket, event.key, event.etag, event.size, event.version_id)
        return Arrival(ref, event.sequence, event.verified, event.force)
    found = seen[event.bucket, event.key]
    if isinstance(found, Permanent | Transient):
        raise found
    return None if found is None else Arrival(found.ref, found.sequence, verified=True, force=event.force)


def asks(event: ObjectEvent) -> bool:
    """Whether the store must be asked to interpret an event."""
    return event.kind != "created" or not event.etag


def report_unverified(event_sink: EventSink, unverified: Mapping[str, str]) -> None:
    """Count and log removals that the store cannot confirm: such objects keep their records.

    ``unverified``: object id → reason.
    """
    if unverified:
        oid, reason = next(iter(unverified.items()))
        log.warning("removals not verified, records kept", removals=len(unverified), example=oid, reason=reason)
        event_sink.store([ReceivedEvents(counts={UNVERIFIED: len(unverified)})])
