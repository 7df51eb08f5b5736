"""What Flower shows differently: the queues of wildtag, and no workers that are gone.

Flower's own page lists the queues of workers that answer, does not know the user of a Unix socket nor its database,
and asks RabbitMQ's management plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from flower.api.tasks import GetQueueLengths  # type: ignore[import-untyped]  # it has no types
from flower.views.broker import BrokerView  # type: ignore[import-untyped]  # as above

from vectordb.errors import Transient
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

GONE_S = 60  # without a sign, after which a worker is no longer shown
Lengths = Callable[[], Sequence[tuple[str, int]]]


class Queues:
    """In place of Flower's brokers: the queues of wildtag, whatever carries them, and what waits before them."""

    def __init__(self, lengths: Lengths, executor: Callable[[Callable[[], Any]], Any]) -> None:
        self._lengths = lengths
        self._executor = executor

    async def queues(self, _: Sequence[str]) -> list[dict[str, Any]]:
        """See Flower: names and numbers of messages."""
        found = await self._executor(self._lengths)
        return [{"name": name, "messages": count} for name, count in found]


class _OurQueues:
    """Mixed into Flower's handlers."""

    application: Any

    def get_broker(self) -> Queues:
        """See Flower."""
        queues: Queues = self.application.queues
        return queues


class QueuesView(_OurQueues, BrokerView):  # type: ignore[misc]  # Flower has no types
    """The page of the queues."""


class QueueLengths(_OurQueues, GetQueueLengths):  # type: ignore[misc]  # as above
    """The queues as JSON."""


VIEWS: Mapping[str, type] = {"/broker": QueuesView, "/api/queues/length": QueueLengths}
"""Handlers in place of Flower's, by path."""


def lengths_of(wiring: Wiring) -> Sequence[tuple[str, int]]:
    """What waits: events and objects in Redis, by partition if there are several, and messages on the queues."""
    found: list[tuple[str, int]] = []
    try:
        depths = wiring.publisher.depths()
        counts = wiring.records.counts()
        found += [
            ("inbox: events", wiring.inbox.length()),
            ("inbox: to tag again", wiring.low_priority_inbox.length()),
        ]
        if wiring.partitioned:
            for number, part in enumerate(wiring.inbox.parts):
                found.append((f"inbox: events, partition {number}", part.length()))
        found.append(("waiting for segmentation", counts["segments"]))
        found += [(name, depth.ready) for name, depth in depths.queues.items()]
        if depths.unacknowledged is not None:
            found.append(("with workers", depths.unacknowledged))
    except Transient as exc:
        log.warning("queues not shown", reason=str(exc))
    return found


def forget_workers(application: Any, now: float) -> list[str]:
    """Remove the workers that have stopped, or have given no sign for ``GONE_S`` seconds. Returns their names.

    ``now``: Unix seconds, by the clock of this host, as the times at which signs arrived.
    """
    state = application.events.state
    gone = [
        name
        for name, worker in list(state.workers.items())
        if not worker.alive and now - max(worker.heartbeats, default=0.0) >= GONE_S
    ]
    for name in gone:
        state.workers.pop(name, None)
        state.counter.pop(name, None)
        application.inspector.workers.pop(name, None)
    if gone:
        state.metrics.remove_workers(set(gone))
        log.info("workers gone", workers=", ".join(gone))
    return gone
