"""How long each event source takes to tell of a probe, and what is wrong where that is above a second."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from workers.diagnostics.doctor import Check
from workers.events.sources import Condition, EventProbes, Sources
from workers.stores.s3_notification import Entry

SLOW_S = 1.0
TIMER_S = 3.0  # MinIO looks so often into the folder in which it keeps events for a target
PATIENCE_S = 8.0  # for the slowest of them
STEP_S = 0.1
AT_ONCE = "wildtag s3 setup --at-once adds a target without a queue folder, which MinIO tells at once"
QUEUED = (
    f"events that MinIO keeps in a queue folder are sent every {TIMER_S:g} s: that way loses none and is slow. "
    f"Beside it listening is the fast way; where that does not work, {AT_ONCE}"
)


class Ways:
    """The event sources of one bucket. ``told``: whom the bucket tells of all changes."""

    def __init__(
        self, sources: Sources, event_probes: EventProbes, told: Sequence[Entry], *, patience_s: float
    ) -> None:
        self._sources = sources
        self._event_probes = event_probes
        self._kinds = {entry.arn.rpartition(":")[2] for entry in told if entry.arn.startswith("arn:minio:sqs:")}
        self._patience_s = patience_s

    def now(self) -> float:
        """The time by which delays are measured."""
        return self._event_probes.now()

    def delays(self, oid: str, put_at: float) -> Iterator[Check]:
        """A check for each way, when all have told of the object or had the time to. Raises ``StoreUnavailable``."""
        conditions = self._sources.conditions()
        expected = {*self._kinds & {"webhook", "redis"}} | ({"listen"} if _works(conditions.get("listen")) else set())
        deadline = time.monotonic() + self._patience_s
        while expected - set(seen := self._event_probes.of(oid)) and time.monotonic() < deadline:
            time.sleep(STEP_S)
        for source in sorted({*expected, *seen}):
            yield _delay(source, seen[source] - put_at) if source in seen else _silent(source, self._patience_s)

    def conditions(self) -> Iterator[Check]:
        """What is known of ways that do not work, and of the sweep. Raises ``StoreUnavailable``."""
        conditions = self._sources.conditions()
        listen, sweep = conditions.get("listen"), conditions.get("sweep")
        if listen is not None and not _works(listen):
            yield _broken(listen)
        elif listen is None and sweep is not None:
            said = "no process listens to the bucket: events arrive as fast as the server sends them"
            yield Check.remark("listen", said, "see WILDTAG_LISTEN; wildtag reconcile also listens")
        if sweep is not None:
            yield Check.fine("sweep", f"the last one ended {max(0.0, time.time() - sweep.at):.0f} s ago")


def _works(condition: Condition | None) -> bool:
    return condition is not None and condition.state == "working"


def _delay(source: str, seconds: float) -> Check:
    said = f"its event came after {max(0.0, seconds):.2f} s"
    if seconds <= SLOW_S:
        return Check.fine(source, said)
    if source == "listen":
        remedy = "the server, a proxy on the way or this machine holds events back; is one of them busy?"
    elif seconds <= TIMER_S + SLOW_S:
        remedy = QUEUED
    else:
        remedy = f"other events wait before it, or it was sent again: is the receiver always there? And {QUEUED}"
    return Check.remark(source, said, remedy)


def _silent(source: str, patience_s: float) -> Check:
    said = f"no event within {patience_s:g} s"
    if source == "listen":
        return Check.remark(source, said, f"the connection lives and carries no events; {AT_ONCE}")
    where = "WILDTAG_REDIS_TARGET_URL" if source == "redis" else "the gateway"
    return Check.remark(
        source, f"the bucket has a target of this kind: {said}",
        f"check that its address is {where}, that its password or token is right, and the server's log",
    )  # fmt: skip


def _broken(listen: Condition) -> Check:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(listen.since))
    if listen.state == "refused":
        return Check.remark("listen", f"not possible: {listen.reason}", "other sources tell of the bucket")
    said = f"{listen.state} since {since}: {listen.reason}"
    if listen.state == "deaf":
        remedy = (
            "MinIO built from sources after 2025-10-23 flushes nothing to listeners, and some proxies hold back; "
            f"{AT_ONCE}"
        )
        return Check.remark("listen", said, remedy)
    return Check.remark("listen", said, "it is tried again every second")
