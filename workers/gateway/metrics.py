"""The metrics of the gateway and of the system for Prometheus, and the middleware that counts requests."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vectordb.errors import Transient
from workers.gateway.event_streams import Streams
from workers.gateway.services import Services
from workers.gateway.webhook_metrics import of_receivers

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Metrics:
    """The gateway's own counters, and metrics of the system that are read at each scrape."""

    def __init__(self, services: Services, streams: Streams) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "wildtag_http_requests", "HTTP requests", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "wildtag_http_request_seconds", "seconds until the response headers were sent", ["route"],
            registry=self.registry, buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
        )  # fmt: skip
        self.registry.register(_Rest(services, streams))


class _Rest(Collector):
    def __init__(self, services: Services, streams: Streams) -> None:
        self._services = services
        self._streams = streams

    def describe(self) -> Iterable[Metric]:
        return ()  # called at registration, when Redis may be unavailable

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("wildtag_event_streams", "open event streams", value=self._streams.open)
        yield from self._queues()
        yield from self._outages()
        try:
            counts, ages = self._services.records.counts(), self._services.health.ages()
            models_in_use = self._services.models_in_use.read()
            sources, received = self._services.sources.conditions(), self._services.event_sink.counts()
            draining = self._services.drain.read()
            holds, receivers = self._services.holds.active(), self._services.receivers.standing()
        except Transient:
            yield GaugeMetricFamily("wildtag_redis_up", "whether Redis answers", value=0)
            return
        yield GaugeMetricFamily("wildtag_redis_up", "whether Redis answers", value=1)
        objects = GaugeMetricFamily("wildtag_objects", "objects by state", labels=["state"])
        for state, count in counts.items():
            objects.add_metric([state], count)
        yield objects
        ago = GaugeMetricFamily(
            "wildtag_seconds_since_progress", "seconds since the last progress of a stage or process", labels=["name"]
        )
        now = self._services.clock()
        for name, age in ages.items():
            ago.add_metric([name], age)
        yield ago
        batch = GaugeMetricFamily(
            "wildtag_model_batch", "images, texts or points that a loaded model takes at once",
            labels=["queue", "model", "process", "device", "runtime", "dtype"],
        )  # fmt: skip
        for one in models_in_use:
            batch.add_metric([one.queue, one.model, one.process, one.device, one.runtime, one.dtype], one.batch)
        yield batch
        lasted = max(0.0, now - draining.since) if draining else 0.0
        yield GaugeMetricFamily("wildtag_drain_seconds", "seconds since a drain began; 0 without one", value=lasted)
        works = GaugeMetricFamily("wildtag_event_source_works", "whether a source of events works", labels=["source"])
        for name, condition in sources.items():
            works.add_metric([name], float(condition.state == "working"))
        yield works
        held = GaugeMetricFamily("wildtag_held_removals", "missing objects whose removal is held", labels=["bucket"])
        for hold in holds:
            held.add_metric([hold.bucket], hold.missing)
        yield held
        events = CounterMetricFamily(
            "wildtag_events_received", "events by source and outcome", labels=["source", "what"]
        )
        for name, count in received.items():
            events.add_metric(list(name.partition(":")[::2]), count)
        yield events
        yield from of_receivers(receivers, now)

    def _queues(self) -> Iterable[Metric]:
        depths = self._services.depths.read()
        yield GaugeMetricFamily(
            "wildtag_broker_up", "whether the message broker answers", value=float(depths is not None)
        )
        ready = GaugeMetricFamily("wildtag_queue_messages", "messages that no worker has received", labels=["queue"])
        workers = GaugeMetricFamily("wildtag_queue_consumers", "workers on a queue; RabbitMQ only", labels=["queue"])
        held = GaugeMetricFamily("wildtag_unacknowledged_messages", "messages that workers hold; Redis only")
        for name, one in depths.queues.items() if depths else ():
            ready.add_metric([name], one.ready)
            if one.consumers is not None:
                workers.add_metric([name], one.consumers)
        if depths and depths.unacknowledged is not None:
            held.add_metric([], depths.unacknowledged)
        yield from (ready, workers, held)

    def _outages(self) -> Iterable[Metric]:
        lasting = GaugeMetricFamily("wildtag_outage_seconds", "duration of a service's outage", labels=["name"])
        waiting = GaugeMetricFamily("wildtag_outage_waiting", "objects waiting for a service", labels=["name"])
        now = self._services.clock()
        for one in self._services.outages.active():
            lasting.add_metric([one.name], max(0.0, now - (one.since or now)))
            if one.waiting is not None:
                waiting.add_metric([one.name], one.waiting)
        yield lasting
        yield waiting


class Measuring:
    """Middleware that counts requests by route, not by path, so that no keys get into metrics."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.requests.labels(scope["method"][:10], route, message["status"]).inc()
                self._metrics.seconds.labels(route).observe(time.perf_counter() - begin)
            await send(message)

        await self._app(scope, receive, sending)
