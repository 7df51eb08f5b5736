"""What logs and traces say of an object whose record was written."""

from __future__ import annotations

import time

import structlog

from tasks.message_parts import ObjectRef
from workers.lifecycle.record import State
from workers.telemetry.origin import of_request
from workers.telemetry.tracing import spans

log = structlog.get_logger()


def recorded(ref: ObjectRef, state: State, began: float, code: str = "") -> None:
    """Log the end of an object, and end its trace. ``began``: when its record was to be written, Unix seconds.

    Only objects of requests are logged at the level ``info``: a sweep may tag millions.
    """
    (log.info if ref.request else log.debug)(
        "record written", object=ref.id, state=state, **({"code": code} if code else {}), **of_request(ref)
    )
    if ref.origin is not None and ref.origin.trace:
        attributes = {"wildtag.object": ref.id, "wildtag.state": state, **({"wildtag.code": code} if code else {})}
        spans().span("record", ref.origin.trace, began, time.time(), attributes, error=code)
