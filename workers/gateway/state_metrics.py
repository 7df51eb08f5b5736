"""The metrics of the system, read from where its state is when Prometheus asks for them.

Each part is read for itself. If one cannot be read, its metrics are missing, ``wildtag_metrics_readable`` says which,
and the others are served. Redis is asked first, and if it does not answer, nothing waits for it a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import structlog
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from vectordb.errors import Transient
from workers.broker.depths import Depths
from workers.gateway.background_value import BackgroundValue
from workers.gateway.ledger_metrics import age, of_counts, of_inboxes, of_ledger
from workers.gateway.services import Services
from workers.gateway.webhook_metrics import of_receivers
from workers.monitoring import catalogue
from workers.monitoring.families import family, one
from workers.settings.dependencies import REDIS

log = structlog.get_logger()

FRESH_S = 10.0  # for the numbers that workers or index servers must be asked for
WAIT_S = 1.5  # at the first request, for the same
Part = Callable[[], Iterable[Family]]


class StateMetrics(Collector):
    """Collects them. No part takes more than a few commands, whatever the number of objects."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._images = BackgroundValue(lambda: services.coverage.read().indexed, FRESH_S, WAIT_S)
        self._captions = BackgroundValue(services.captions_in_use, FRESH_S, WAIT_S)
        self._in_redis: dict[str, Part] = {
            "redis": self._memory,
            "objects": self._objects,
            "counts": lambda: of_counts(services.ledger_reader.counts()),
            "ledger": lambda: of_ledger(services.ledger_reader, services.clock()),
            "inbox": lambda: of_inboxes(*services.inbox_readers, services.clock()),
            "progress": self._progress,
            "models": self._models,
            "events": self._events,
            "drain": self._drain,
            "holds": self._holds,
            "webhooks": lambda: of_receivers(services.receivers.standing(), services.clock()),
            "images": self._indexed,
            "captions": self._known_captions,
        }

    def describe(self) -> Iterable[Family]:
        """Nothing: this is called at registration, when Redis may be away."""
        return ()

    def collect(self) -> Iterable[Family]:
        """See prometheus_client."""
        redis = self._redis_answers()
        yield one(catalogue.REDIS_UP, redis)
        depths = self._services.depths.read()
        yield one(catalogue.BROKER_UP, depths is not None)
        others: dict[str, Part] = {
            "broker": lambda: _queues(depths), "outages": self._outages, "disk": self._disk
        }  # fmt: skip
        readable = {}
        for name, part in (self._in_redis | others).items():
            # nothing waits for a Redis that is away a second time
            skipped = name in self._in_redis and (not redis or self._services.outages.own.is_active(REDIS))
            found = () if skipped else self._read(name, part)
            readable[name] = bool(found)
            yield from found
        yield family(catalogue.READABLE, (((name,), there) for name, there in readable.items()))

    def _redis_answers(self) -> bool:
        own = self._services.outages.own
        if own.is_active(REDIS):
            return False
        try:
            self._services.redis_servers.require()
        except Transient as exc:
            own.begin(REDIS, str(exc))
            return False
        return True

    def _read(self, name: str, part: Part) -> Sequence[Family]:
        """The metrics of a part: all or none."""
        try:
            return list(part())
        except Exception as exc:
            if isinstance(exc, Transient):
                self._services.outages.own.register(exc)
            log.warning("metrics not readable", part=name, reason=f"{type(exc).__name__}: {exc}")
            return ()

    def _memory(self) -> Iterable[Family]:
        servers = self._services.redis_servers.read()
        yield family(catalogue.REDIS_MEMORY, (((s.node,), s.used) for s in servers))
        yield family(catalogue.REDIS_LIMIT, (((s.node,), s.limit) for s in servers))
        yield family(catalogue.REDIS_EVICTED, (((s.node,), s.evicted) for s in servers))

    def _objects(self) -> Iterable[Family]:
        yield family(catalogue.OBJECTS, (((state,), n) for state, n in self._services.records.counts().items()))

    def _progress(self) -> Iterable[Family]:
        yield family(
            catalogue.LAST_PROGRESS, (((name,), age_) for name, age_ in self._services.health.ages().items())
        )

    def _models(self) -> Iterable[Family]:
        yield family(catalogue.MODEL_BATCH, (
            ((m.queue, m.model, m.process, m.device, m.runtime, m.dtype), m.batch)
            for m in self._services.models_in_use.read()
        ))  # fmt: skip

    def _events(self) -> Iterable[Family]:
        now = self._services.clock()
        sources = self._services.sources.conditions()
        works = {name: condition.state == "working" for name, condition in sources.items()}
        yield family(catalogue.EVENT_SOURCE_WORKS, (((name,), working) for name, working in works.items()))
        yield family(catalogue.EVENT_SOURCE_LAG, (
            ((name,), 0.0 if works[name] else age(condition.since, now)) for name, condition in sources.items()
        ))  # fmt: skip
        counted = self._services.event_sink.counts()
        yield family(catalogue.EVENTS_RECEIVED, ((name.partition(":")[::2], n) for name, n in counted.items()))

    def _drain(self) -> Iterable[Family]:
        draining = self._services.drain.read()
        yield one(catalogue.DRAIN, age(draining.since, self._services.clock()) if draining else 0.0)

    def _holds(self) -> Iterable[Family]:
        yield family(catalogue.HELD_REMOVALS, (((h.bucket,), h.missing) for h in self._services.holds.active()))

    def _outages(self) -> Iterable[Family]:
        now = self._services.clock()
        outages = self._services.outages.active()
        yield family(catalogue.OUTAGE_SECONDS, (((o.name,), age(o.since, now)) for o in outages))
        yield family(catalogue.OUTAGE_OBJECTS, (((o.name,), o.waiting) for o in outages if o.waiting is not None))

    def _disk(self) -> Iterable[Family]:
        disks = self._services.free_space.bytes()
        yield family(catalogue.DISK_FREE, (((name,), free) for name, (free, _) in disks.items()))
        yield family(catalogue.DISK_SIZE, (((name,), size) for name, (_, size) in disks.items()))

    def _indexed(self) -> Iterable[Family]:
        if (images := self._images.get()) is not None:
            yield one(catalogue.IMAGES_INDEXED, images)

    def _known_captions(self) -> Iterable[Family]:
        if (captions := self._captions.get()) is not None:
            version, count = captions
            database, _, number = version.partition("@")
            yield family(catalogue.CAPTIONS, [((database, number), count)])


def _queues(depths: Depths | None) -> Iterable[Family]:
    if depths is None:
        return
    queues = depths.queues.items()
    yield family(catalogue.QUEUE_MESSAGES, (((name,), queue.ready) for name, queue in queues))
    yield family(
        catalogue.QUEUE_CONSUMERS,
        (((name,), queue.consumers) for name, queue in queues if queue.consumers is not None),
    )
    if depths.unacknowledged is not None:
        yield one(catalogue.QUEUE_UNACKNOWLEDGED, depths.unacknowledged)
