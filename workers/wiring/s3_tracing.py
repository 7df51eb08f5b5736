"""Traces an object through an S3 server and the stack, for ``wildtag s3 doctor``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workers.diagnostics.s3_delays import PATIENCE_S, SourceDelays
from workers.diagnostics.s3_existing import ExistingObject
from workers.diagnostics.s3_probe import Probe, ProbeForm
from workers.diagnostics.s3_trail import Stack
from workers.stores.s3 import S3Store
from workers.stores.s3_notification import Entry
from workers.wiring.wiring import Wiring


@dataclass(frozen=True)
class Tracing:
    """Traces an object from a bucket to its record in a running stack."""

    existing: ExistingObject
    probe: Callable[[ProbeForm], Probe]


def tracing(
    there: Wiring, store: S3Store, bucket: str, entries: Sequence[Entry], wait: float, key: str | None
) -> Tracing:
    """``there``: the running stack. ``wait``: seconds for the event, and again for the record."""
    stack = Stack(there.records, there.inbox, there.health, wait, there.clock)
    delays = SourceDelays(there.sources, there.event_probes, entries, patience_s=min(wait, PATIENCE_S))
    existing = ExistingObject(store, stack, delays, bucket, there.object_filter, key)
    return Tracing(existing, lambda form: Probe(store, stack, delays, bucket, form))
