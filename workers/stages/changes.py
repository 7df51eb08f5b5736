"""What became of an object since it was sent: it has another version, it is gone, or it is as it was."""

from __future__ import annotations

import structlog

from tasks.message_parts import ObjectRef
from workers.lifecycle.event import ObjectEvent
from workers.stores.store import ObjectInfo
from workers.telemetry.origin import of_request

log = structlog.get_logger()


def change_since(ref: ObjectRef, seen: ObjectInfo | None) -> ObjectEvent | None:
    """The event of its change, which is logged; ``None`` if it has none. ``seen``: the object as HEAD returns it."""
    if seen is None:
        log.info("gone", object=ref.id, etag=ref.etag, **of_request(ref))
        return ObjectEvent("removed", ref.bucket, ref.key, verified=True)
    if seen.ref.etag != ref.etag:
        log.info("overwritten", object=ref.id, etag=ref.etag, by=seen.ref.etag, **of_request(ref))
        return ObjectEvent.seen(seen)
    return None
