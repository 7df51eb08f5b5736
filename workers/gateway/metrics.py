"""The metrics of the gateway and of the system for Prometheus, and the middleware that counts requests."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from workers.gateway.event_streams import Streams
from workers.gateway.services import Services
from workers.gateway.state_metrics import StateMetrics
from workers.monitoring import catalogue

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

disable_created_metrics()  # type: ignore[no-untyped-call]  # which would double the number of series


class Metrics:
    """The gateway's own counters, and metrics of the system that are read at each scrape."""

    def __init__(self, services: Services, streams: Streams) -> None:
        self.registry = CollectorRegistry()
        requests, seconds, open_ = catalogue.HTTP_REQUESTS, catalogue.HTTP_DURATION, catalogue.EVENT_STREAMS
        self.requests = Counter(requests.name, requests.help, requests.labels, registry=self.registry)
        self.seconds = Histogram(
            seconds.name, seconds.help, seconds.labels, registry=self.registry, buckets=seconds.buckets
        )
        Gauge(open_.name, open_.help, registry=self.registry).set_function(lambda: streams.open)
        self.registry.register(StateMetrics(services))


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
