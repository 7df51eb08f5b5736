"""The metrics of objects: what the ledger has counted, and what is in it and before it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric as Family

from workers.lifecycle.inbox_state import InboxReader
from workers.lifecycle.ledger_counts import LEDGER_QUEUES, LedgerCounts, LedgerReader
from workers.lifecycle.reasons import GIVEN_UP, OTHER, REASONS
from workers.monitoring import catalogue
from workers.monitoring.families import family, histogram_family, one

NONE_FINISHED = dict.fromkeys((
    ("done", ""), *(("dead", reason) for reason in GIVEN_UP),
    *(("failed", reason) for reason in sorted({*REASONS, OTHER}.difference(GIVEN_UP))),
), 0)  # fmt: skip


def of_counts(counts: LedgerCounts) -> Iterable[Family]:
    """What was counted. What never happened is shown as 0.

    Prometheus takes the first value of a series for old: without the 0, it would not see what happened before that.
    """
    yield one(catalogue.OBJECTS_ACCEPTED, counts.accepted)
    yield family(catalogue.OBJECTS_FINISHED, (NONE_FINISHED | counts.finished).items())
    yield family(catalogue.OBJECTS_WITHDRAWN, (((reason,), n) for reason, n in counts.withdrawn.items()))
    yield histogram_family(catalogue.OBJECT_DURATION, [((), counts.duration.buckets, counts.duration.total)])
    yield histogram_family(
        catalogue.STAGE_DURATION, (((stage,), of.buckets, of.total) for stage, of in counts.stages.items())
    )
    for metric, by_stage in (
        (catalogue.STAGE_ATTEMPTS, counts.attempts),
        (catalogue.RETRIES, counts.retries),
        (catalogue.POSTPONEMENTS, counts.postponed),
    ):
        yield family(
            metric, (((stage,), n) for stage, n in (dict.fromkeys(LEDGER_QUEUES[:-1], 0) | by_stage).items())
        )


def of_ledger(reader: LedgerReader, now: float) -> Iterable[Family]:
    """What is in the ledger ``now`` (Unix seconds). Raises ``StoreUnavailable``."""
    state = reader.state()
    yield one(catalogue.LEDGER_OBJECTS, state.objects)
    yield one(catalogue.LEDGER_OLDEST, age(state.since, now))
    yield family(catalogue.QUEUE_OBJECTS, (((name,), queue.objects) for name, queue in state.queues.items()))
    yield family(catalogue.QUEUE_OLDEST, (((name,), age(queue.since, now)) for name, queue in state.queues.items()))


def of_inboxes(normal: InboxReader, low: InboxReader, now: float) -> Iterable[Family]:
    """What waits in the inboxes ``now`` (Unix seconds). Raises ``StoreUnavailable``."""
    found = {"normal": normal.read(), "low": low.read()}
    yield family(catalogue.INBOX_EVENTS, (((name,), state.events) for name, state in found.items()))
    yield family(catalogue.INBOX_OLDEST, (((name,), age(state.since, now)) for name, state in found.items()))


def age(since: float | None, now: float) -> float:
    """Seconds from ``since`` to ``now``; 0 without a time. Clocks differ a little: it is never below zero."""
    return 0.0 if since is None else max(0.0, now - since)
