"""What logs and traces say of the objects that the dispatcher enters in the ledger and sends."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import structlog
from msgspec import structs

from tasks.message_parts import Origin
from workers.lifecycle.ledger import Arrival
from workers.redis.streams import added_at
from workers.telemetry.tracing import enabled, spans

log = structlog.get_logger()

WAITING = "waiting"  # the answer of the ledger for an object on the segmentation queue

Accepting = Mapping[str, Callable[[], None]]
"""By object id, what ends the span in which it is accepted."""


def with_origin(arrival: Arrival | None, before: Arrival | None, entry: str | None) -> Arrival | None:
    """An object with the origin of an earlier event of the same version: several sources report one upload.

    An order to tag it again holds, too, whatever was reported after it. ``entry``: of its event in the inbox.
    """
    if arrival is None:
        return None
    received = None if entry is None else added_at(entry)
    if before is not None and before.force:
        arrival = replace(arrival, force=True)
    if before is None or before.ref.origin is None or before.ref.etag != arrival.ref.etag:
        return replace(arrival, received=received)
    return replace(arrival, received=received, ref=structs.replace(arrival.ref, origin=before.ref.origin))


def with_traces(arrivals: Sequence[Arrival]) -> tuple[Sequence[Arrival], Accepting]:
    """Begin a trace for each object that has none. Its event came when its first span begins."""
    if not enabled():
        return arrivals, {}
    made, accepting = [], {}
    for arrival in arrivals:
        origin = arrival.ref.origin or Origin()
        if not origin.trace:
            began = time.time() if arrival.received is None else arrival.received
            trace, end = spans().accept(began, "", {"wildtag.object": arrival.ref.id})
            accepting[arrival.ref.id] = end
            origin = Origin(origin.request, trace)
        made.append(replace(arrival, ref=structs.replace(arrival.ref, origin=origin)))
    return made, accepting


def report(
    arrivals: Sequence[Arrival], answers: Sequence[str], wanted: Collection[str], accepting: Accepting, began: float
) -> None:
    """Log the objects of requests, and end their spans. ``began``: Unix seconds, of this host.

    An object that waits for segmentation is accepted, and keeps its trace until it is sent.
    """
    ended = time.time()
    for arrival, answer in zip(arrivals, answers, strict=True):
        ref = arrival.ref
        sent = answer in wanted
        if ref.request:
            log.info("object dispatched" if sent else "object not dispatched", object=ref.id, request=ref.request,
                     because=answer)  # fmt: skip
        if sent or answer == WAITING:
            accepting.get(ref.id, _nothing)()
        if sent and ref.origin is not None:
            spans().span("dispatch", ref.origin.trace, began, ended, {"wildtag.object": ref.id})


def _nothing() -> None:
    """The span of an object that was accepted elsewhere has ended."""
