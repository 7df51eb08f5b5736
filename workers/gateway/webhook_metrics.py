"""The metrics of webhooks, by receiver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from workers.lifecycle.times import unix_seconds
from workers.notifying.receivers import Standing


def of_receivers(standing: Sequence[Standing], now: float) -> Iterable[Metric]:
    """How receivers stand ``now``, in Unix seconds."""
    waiting = GaugeMetricFamily("wildtag_webhook_waiting", "webhook deliveries that wait", labels=["receiver"])
    dead = GaugeMetricFamily("wildtag_webhook_dead_letters", "stored dead letters", labels=["receiver"])
    failing = GaugeMetricFamily(
        "wildtag_webhook_failing_seconds", "seconds since which every attempt has failed, or 0", labels=["receiver"]
    )
    served = GaugeMetricFamily("wildtag_webhook_served", "whether a notifier runs for it", labels=["receiver"])
    paused = GaugeMetricFamily("wildtag_webhook_paused", "whether an operator paused it", labels=["receiver"])
    attempts = CounterMetricFamily(
        "wildtag_webhook_attempts", "attempts by their outcome", labels=["receiver", "outcome"]
    )
    lost = CounterMetricFamily(
        "wildtag_webhook_lost", "events that were trimmed from the feed before they were read", labels=["receiver"]
    )
    for one in standing:
        name = [one.name]
        waiting.add_metric(name, one.waiting)
        dead.add_metric(name, one.dead_letters)
        since = now if one.failing_since is None else unix_seconds(one.failing_since)
        failing.add_metric(name, max(0.0, now - since))
        served.add_metric(name, float(one.served))
        paused.add_metric(name, float(one.paused_since is not None))
        for outcome in ("delivered", "retried", "dead"):
            attempts.add_metric([one.name, outcome], getattr(one, outcome))
        lost.add_metric(name, one.lost)
    return waiting, dead, failing, served, paused, attempts, lost
