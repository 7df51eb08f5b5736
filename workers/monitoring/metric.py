"""What a metric is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Source = Literal["redis", "state", "process"]
"""``redis``: counted in Redis, in the transaction that it counts. ``state``: read when metrics are requested.
``process``: counted by each process, and lost at its end."""


@dataclass(frozen=True)
class Metric:
    """One metric. ``name``: without the ``_total`` of counters. ``buckets``: upper bounds of a histogram, ascending.

    ``source``: where its value lives. ``occasional``: it has no series while all is well, or without some setting.
    """

    name: str
    kind: Kind
    source: Source
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    occasional: bool = False

    @property
    def exposed(self) -> str:
        """The name that Prometheus shows."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def counter(source: Source, name: str, help_: str, *labels: str, occasional: bool = False) -> Metric:
    """A number that only grows. A loss of Redis or the end of a process sets it to 0."""
    return Metric(name, "counter", source, help_, labels, occasional=occasional)


def gauge(source: Source, name: str, help_: str, *labels: str, occasional: bool = False) -> Metric:
    """A number that rises and falls."""
    return Metric(name, "gauge", source, help_, labels, occasional=occasional)


def histogram(
    source: Source, name: str, help_: str, *labels: str, buckets: tuple[float, ...], occasional: bool = False
) -> Metric:
    """How values are distributed over ``buckets``."""
    return Metric(name, "histogram", source, help_, labels, buckets, occasional)
