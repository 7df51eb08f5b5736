"""Following one object from its event to its record, so that what stops it is found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from workers.diagnostics.doctor import Check
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Pending, Records
from workers.redis.heartbeats import Health
from workers.stores.store import ObjectInfo

STEP_S = 0.1
SILENT_S = 15.0  # a dispatcher says every second that it is there
T = TypeVar("T")


@dataclass(frozen=True)
class Stack:
    """What is asked where an object is. ``wait_s``: for its event, and again for its record."""

    records: Records
    inbox: Inbox
    health: Health
    wait_s: float = 30.0
    clock: Callable[[], float] = time.time


class Trail:
    """One object of a bucket, which was there at ``since`` (Unix seconds) and had no record since then."""

    def __init__(self, stack: Stack, info: ObjectInfo, since: float = 0.0) -> None:
        self._stack = stack
        self._info = info
        self._since = since

    def follow(self) -> Iterator[Check]:
        """Each step as it is reached; the last one says where it stopped, or that it did not."""
        clock = self._stack.clock
        began = clock()
        if not self._until(lambda: self._pending() or self._record()):
            yield self._no_event()
            return
        yield Check.fine("event", f"after {clock() - began:.1f} s")
        record = self._until(self._record)
        if record is None:
            yield self._stuck(self._pending())
        elif record.error:
            yield Check.missing("record", f"{record.state}: {record.error.reason}", "see the logs of the stages")
        else:
            tags = ", ".join(tag.label for tag in record.tags) or "unknown, as a made-up picture may be"
            yield Check.fine("record", f"after {clock() - began:.1f} s: {tags}")

    def _no_event(self) -> Check:
        waiting, silent = self._stack.records.counts()["inbox"], self._silent("dispatcher")
        said = f"nothing took it up within {self._stack.wait_s:g} s"
        if silent is None or silent > SILENT_S:
            what = "is not running" if silent is None else f"made no progress for {silent:.0f} s"
            return Check.missing("event", f"{said}: the dispatcher {what}", "start it: wildtag up, or its container")
        if waiting:
            return Check.missing("event", f"{said}: {waiting:,} events wait before it", "wait, or add workers")
        return Check.missing(
            "event",
            f"{said}: no event of it arrived",
            "does the bucket tell of this key (wildtag s3 setup), is what it tells running, can the server reach it "
            "(see its MINIO_NOTIFY_… variables and its log)? Until then only a sweep finds images",
        )

    def _stuck(self, pending: Pending | None) -> Check:
        if pending is None:
            return Check.missing("record", "it left the ledger without a record", "was the probe removed by others?")
        fault = f": {pending.fault}" if pending.fault else ""
        said = f"it stopped at {pending.stage}, begun {pending.attempts} times{fault}"
        silent = self._silent("embedding" if pending.stage == "queued" else pending.stage)
        beat = "never made progress" if silent is None else f"made progress {silent:.0f} s ago"
        return Check.missing("record", said, f"look at the worker of that queue, which {beat}, and at its log")

    def _silent(self, name: str) -> float | None:
        at = self._stack.health.beats().get(name)
        return None if at is None else self._stack.clock() - at

    def _pending(self) -> Pending | None:
        return self._stack.records.on_its_way(self._info.ref.id)

    def _record(self) -> Record | None:
        (record,) = self._stack.records.get([self._info.ref.id])
        if record is None or record.etag != self._info.ref.etag or record.finished_at < self._since:
            return None
        return record

    def _until(self, look: Callable[[], T | None]) -> T | None:
        deadline = time.monotonic() + self._stack.wait_s
        while (seen := look()) is None and time.monotonic() < deadline:
            time.sleep(STEP_S)
        return seen
