"""The metrics that the gateway shows to Prometheus: those of the system, and those of the processes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics

from workers.gateway.event_streams import Streams
from workers.gateway.services import Services
from workers.gateway.state_metrics import StateMetrics
from workers.monitoring import catalogue
from workers.monitoring.exporter import ProcessMetrics
from workers.monitoring.meter import METER

disable_created_metrics()  # type: ignore[no-untyped-call]  # which would double the number of series


class Metrics:
    """Everything that ``/metrics`` of the gateway shows."""

    def __init__(self, services: Services, streams: Streams) -> None:
        self.registry = CollectorRegistry()
        open_ = catalogue.EVENT_STREAMS
        Gauge(open_.name, open_.help, registry=self.registry).set_function(lambda: streams.open)
        self.registry.register(ProcessMetrics(METER.folder))
        self.registry.register(StateMetrics(services))
