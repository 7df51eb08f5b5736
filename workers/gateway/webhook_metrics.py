"""The metrics of webhooks, by receiver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.metrics_core import Metric as Family

from workers.lifecycle.times import unix_seconds
from workers.monitoring import catalogue
from workers.monitoring.families import family
from workers.notifying.receivers import Standing

OUTCOMES = ("delivered", "retried", "dead")


def of_receivers(standing: Sequence[Standing], now: float) -> Iterable[Family]:
    """How receivers stand ``now``, in Unix seconds."""

    def failing(one: Standing) -> float:
        return 0.0 if one.failing_since is None else max(0.0, now - unix_seconds(one.failing_since))

    yield family(catalogue.WEBHOOK_WAITING, [((one.name,), one.waiting) for one in standing])
    yield family(catalogue.WEBHOOK_DEAD, [((one.name,), one.dead_letters) for one in standing])
    yield family(catalogue.WEBHOOK_FAILING, [((one.name,), failing(one)) for one in standing])
    yield family(catalogue.WEBHOOK_SERVED, [((one.name,), one.served) for one in standing])
    yield family(catalogue.WEBHOOK_PAUSED, [((one.name,), one.paused_since is not None) for one in standing])
    yield family(
        catalogue.WEBHOOK_DELIVERIES,
        [((one.name, outcome), getattr(one, outcome)) for one in standing for outcome in OUTCOMES],
    )
    yield family(catalogue.WEBHOOK_LOST, [((one.name,), one.lost) for one in standing])
