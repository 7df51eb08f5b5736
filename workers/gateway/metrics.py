"""The metrics of the system for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from workers.gateway.event_streams import Streams
from workers.gateway.services import Services
from workers.gateway.state_metrics import StateMetrics
from workers.monitoring.catalogue import EVENT_STREAMS
from workers.monitoring.exporter import ProcessMetrics
from workers.monitoring.families import one
from workers.monitoring.meter import METER


class Metrics:
    """What processes count, and metrics of the system that are read at each scrape."""

    def __init__(self, services: Services, streams: Streams) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(ProcessMetrics(METER.folder))
        self.registry.register(_OpenStreams(streams))
        self.registry.register(StateMetrics(services))


class _OpenStreams(Collector):
    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def collect(self) -> Iterable[Metric]:
        yield one(EVENT_STREAMS, self._streams.open)
