"""Measure how long each event source takes to report a probe, and explain delays above one second."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from workers.diagnostics.check import Check
from workers.events.sources import Condition, EventProbes, Sources
from workers.stores.s3_notification import Entry

SLOW_S = 1.0
TIMER_S = 3.0  # interval at which MinIO sends the events in the queue folder of a target
PATIENCE_S = 8.0  # for the slowest of them
STEP_S = 0.1
LISTEN = "To use the listen API, set WILDTAG_LISTEN=true, or run `wildtag listen bucket`"
AT_ONCE = "`wildtag s3 setup --at-once` adds a target without a queue folder, to which MinIO sends events immediately"
QUEUED = (
    f"MinIO sends the events of a target with a queue folder every {TIMER_S:g} s, so that none is lost. "
    f"The listen API is faster; if it does not work, {AT_ONCE}"
)


class SourceDelays:
    """The event sources of one bucket. ``entries``: those of its notifications that cover all changes."""

    def __init__(
        self, sources: Sources, event_probes: EventProbes, entries: Sequence[Entry], *, patience_s: float
    ) -> None:
        self._sources = sources
        self._event_probes = event_probes
        self._notified = bool(entries)
        self._kinds = {entry.arn.rpartition(":")[2] for entry in entries if entry.arn.startswith("arn:minio:sqs:")}
        self._patience_s = patience_s

    def now(self) -> float:
        """The current time of the clock that delays are measured with, in Unix seconds."""
        return self._event_probes.now()

    def measure(self, oid: str, put_at: float) -> Iterator[Check]:
        """A check for each source, once all have reported the object or timed out. Raises ``StoreUnavailable``."""
        conditions = self._sources.conditions()
        expected = {*self._kinds & {"webhook", "redis"}} | ({"listen"} if _works(conditions.get("listen")) else set())
        deadline = time.monotonic() + self._patience_s
        while expected - set(seen := self._event_probes.of(oid)) and time.monotonic() < deadline:
            time.sleep(STEP_S)
        for source in sorted({*expected, *seen}):
            yield _delay(source, seen[source] - put_at) if source in seen else _no_event(source, self._patience_s)

    def conditions(self) -> Iterator[Check]:
        """Checks of sources that do not work, and of the sweep. Raises ``StoreUnavailable``."""
        conditions = self._sources.conditions()
        listen, sweep = conditions.get("listen"), conditions.get("sweep")
        if listen is not None and not _works(listen):
            yield _broken(listen)
        elif listen is None and sweep is not None and self._notified:
            detail = "no process uses the listen API: events arrive as fast as the server sends notifications"
            yield Check.note("listen", detail, LISTEN)
        if sweep is not None and not _works(listen) and not self._notified:
            detail = "there are no notifications and no listen API: changes are seen only by the periodic sweep"
            yield Check.note("sources", detail, f"to enable notifications, run: wildtag s3 setup. {LISTEN}")
        if sweep is not None:
            yield Check.passed("sweep", f"the last sweep ended {max(0.0, self.now() - sweep.at):.0f} s ago")


def _works(condition: Condition | None) -> bool:
    return condition is not None and condition.state == "working"


def _delay(source: str, seconds: float) -> Check:
    detail = f"its event arrived after {max(0.0, seconds):.2f} s"
    if seconds <= SLOW_S:
        return Check.passed(source, detail)
    if source == "listen":
        remedy = "the server, a proxy or this machine delays events; check whether one of them is overloaded"
    elif seconds <= TIMER_S + SLOW_S:
        remedy = QUEUED
    else:
        remedy = (
            f"other events were waiting, or it was sent again: check that the receiver is always available. {QUEUED}"
        )
    return Check.note(source, detail, remedy)


def _no_event(source: str, patience_s: float) -> Check:
    detail = f"no event within {patience_s:g} s"
    if source == "listen":
        return Check.note(source, detail, f"the connection is open but carries no events; {AT_ONCE}")
    where = "WILDTAG_REDIS_TARGET_URL" if source == "redis" else "the gateway"
    return Check.note(
        source, f"the bucket has a target of this kind, but {detail}",
        f"check that its address is {where}, that its password or token is right, and the log of the server",
    )  # fmt: skip


def _broken(listen: Condition) -> Check:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(listen.since))
    if listen.state == "refused":
        return Check.note(
            "listen",
            f"not supported by this server: {listen.reason}",
            "use notifications: `wildtag s3 setup` enables them",
        )
    detail = f"{listen.state} since {since}: {listen.reason}"
    if listen.state == "deaf":
        remedy = (
            "MinIO versions built after 2025-10-23 do not flush events to listeners, and some proxies buffer them; "
            f"{AT_ONCE}"
        )
        return Check.note("listen", detail, remedy)
    return Check.note("listen", detail, "the connection is retried every second")
