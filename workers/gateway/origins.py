"""Notes in events which request they are of, and begins the traces of their objects."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from msgspec.structs import replace

from tasks.message_parts import Origin
from workers.lifecycle.event import ObjectEvent
from workers.telemetry.origin import current
from workers.telemetry.tracing import enabled, spans

log = structlog.get_logger()


def of_this_request(events: Sequence[ObjectEvent], began: float, *, said: str = "") -> list[ObjectEvent]:
    """Events that came with the request that is handled. ``began``: when it was received, Unix seconds.

    ``said``: log the object of each with this event.
    """
    request = current.get()
    if not request.id:
        return list(events)
    made = []
    for event in events:
        trace = ""
        if enabled():
            trace, end = spans().accept(began, request.traceparent, {"wildtag.object": event.id})
            end()
        if said:
            log.info(said, object=event.id)
        made.append(replace(event, origin=Origin(request.id, trace)))
    return made
