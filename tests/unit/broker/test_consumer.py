"""A worker publishes the events of its tasks together."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from workers.broker.celery_app import create_app
from workers.broker.consumer import EVENTS_S, Consumer, RabbitConsumer


class Hub:
    """Celery's event loop."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], object]]] = []

    def call_later(self, seconds: float, call: Callable[[], object]) -> None:
        self.later.append((seconds, call))


@pytest.mark.parametrize("kind", [Consumer, RabbitConsumer])
def test_events_are_gathered_and_none_is_forgotten(kind: type[Consumer], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    consumer = kind.__new__(kind)  # without the connections of a worker
    hub = consumer.hub = Hub()
    flushed: list[float] = []
    consumer.event_dispatcher = type("Dispatcher", (), {"flush": lambda _: flushed.append(now)})()
    for _ in range(3):
        consumer.on_send_event_buffered()
    assert [seconds for seconds, _ in hub.later] == [EVENTS_S]
    assert not flushed
    hub.later.pop()[1]()
    assert flushed == [now]
    now += EVENTS_S
    consumer.on_send_event_buffered()
    hub.later.clear()  # a lost connection ends the timers
    now += EVENTS_S
    consumer.on_send_event_buffered()
    assert len(hub.later) == 1


@pytest.mark.parametrize(
    "broker", ["redis://localhost:1/0", "redis+socket:///nowhere/redis.sock", "amqp://localhost:1//"]
)
def test_workers_use_it_with_every_broker(broker: str) -> None:
    app = create_app(broker, "test:", 10)
    module, _, name = app.conf.worker_consumer.partition(":")
    assert module == Consumer.__module__
    assert issubclass({"Consumer": Consumer, "RabbitConsumer": RabbitConsumer}[name], Consumer)
