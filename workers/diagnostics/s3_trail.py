"""Trace one object from its event to its record, and explain where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from workers.diagnostics.check import Check
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Pending, Records
from workers.redis.heartbeats import Health
from workers.stores.store import ObjectInfo

STEP_S = 0.1
SILENT_S = 15.0  # a dispatcher sends a heartbeat every second
T = TypeVar("T")


@dataclass(frozen=True)
class Stack:
    """The parts of a stack that know where an object is. ``wait_s``: timeout for its event, and for its record."""

    records: Records
    inbox: EventInbox
    health: Health
    wait_s: float = 30.0
    clock: Callable[[], float] = time.time


class Trail:
    """Traces one object of a bucket. Records older than ``since`` (Unix seconds) do not count."""

    def __init__(self, stack: Stack, info: ObjectInfo, since: float = 0.0) -> None:
        self._stack = stack
        self._info = info
        self._since = since

    def follow(self) -> Iterator[Check]:
        """A check for each step, as it is reached. The last one says where the object stopped, if it did."""
        clock = self._stack.clock
        began = clock()
        if not self._until(lambda: self._pending() or self._record()):
            yield self._no_event()
            return
        yield Check.passed("event", f"after {clock() - began:.1f} s")
        record = self._until(self._record)
        if record is None:
            yield self._stuck(self._pending())
        elif record.error:
            yield Check.failed("record", f"{record.state}: {record.error.reason}", "see the logs of the workers")
        else:
            tags = ", ".join(tag.label for tag in record.tags) or "unknown, which is possible for an artificial image"
            yield Check.passed("record", f"after {clock() - began:.1f} s: {tags}")

    def _no_event(self) -> Check:
        waiting, silent = self._stack.records.counts()["inbox"], self._seconds_silent("dispatcher")
        detail = f"not accepted within {self._stack.wait_s:g} s"
        if silent is None or silent > SILENT_S:
            what = "is not running" if silent is None else f"made no progress for {silent:.0f} s"
            return Check.failed(
                "event", f"{detail}: the dispatcher {what}", "start it: run `wildtag up`, or start its container"
            )
        if waiting:
            return Check.failed(
                "event", f"{detail}: {waiting:,} events are waiting before it", "wait, or add workers"
            )
        return Check.failed(
            "event",
            f"{detail}: no event arrived",
            "check that the bucket sends notifications for this key (`wildtag s3 setup`), that the receiver is "
            "running, and that the server can reach it (see its MINIO_NOTIFY_… variables and its log). Until then, "
            "only the periodic sweep finds images",
        )

    def _stuck(self, pending: Pending | None) -> Check:
        if pending is None:
            return Check.failed(
                "record", "it left the ledger without a record", "check whether something else removed the object"
            )
        fault = f": {pending.fault}" if pending.fault else ""
        detail = f"stopped at {pending.stage} after {pending.attempts} attempts{fault}"
        silent = self._seconds_silent("embedding" if pending.stage == "queued" else pending.stage)
        beat = "never made progress" if silent is None else f"last made progress {silent:.0f} s ago"
        return Check.failed("record", detail, f"see the log of the worker of that queue, which {beat}")

    def _seconds_silent(self, name: str) -> float | None:
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
