"""Makes what Prometheus reads of metrics of the catalogue whose values are not counted by this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from workers.monitoring.metric import Metric

Samples = Iterable[tuple[Sequence[str], float]]
"""The values of the labels, and the value."""


def family(metric: Metric, samples: Samples) -> Family:
    """A counter or a gauge."""
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    made = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        made.add_metric(list(labels), value)
    return made


def one(metric: Metric, value: float) -> Family:
    """A counter or a gauge without labels."""
    return family(metric, [((), value)])


def histogram_family(metric: Metric, samples: Iterable[tuple[Sequence[str], Mapping[float, int], float]]) -> Family:
    """A histogram. ``samples``: the values of the labels, the numbers by upper bound, and the sum.

    The numbers are not cumulative. Those of a bound that the metric does not have count for the next higher one.
    """
    made = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, numbers, total in samples:
        bounds = (*metric.buckets, float("inf"))
        cumulative = [(_shown(bound), float(sum(n for at, n in numbers.items() if at <= bound))) for bound in bounds]
        made.add_metric(list(labels), cumulative, total)
    return made


def _shown(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(float(bound))
