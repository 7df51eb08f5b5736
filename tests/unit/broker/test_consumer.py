"""When a worker tells monitors what happened. Nothing is connected."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.utils.imports import symbol_by_name

from workers.broker.celery_app import create_app
from workers.broker.consumer import EVENTS_EVERY_S, Consumer


class Loop:
    """An event loop whose time passes on request."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.later.append((delay, callback))

    def run(self) -> None:
        due, self.later = self.later, []
        for _, callback in due:
            callback()


@pytest.fixture
def consumer() -> Any:
    made: Any = Consumer.__new__(Consumer)
    made.hub, made.sent = Loop(), 0

    def flush() -> None:
        made.sent += 1

    made.event_dispatcher = SimpleNamespace(flush=flush)
    return made


def test_events_of_a_moment_are_sent_together_and_not_before_the_work(consumer: Any) -> None:
    for _ in range(3):  # received, started, succeeded
        consumer.on_send_event_buffered()
    assert consumer.sent == 0
    assert [delay for delay, _ in consumer.hub.later] == [EVENTS_EVERY_S]
    consumer.hub.run()
    assert consumer.sent == 1


def test_events_after_that_are_sent_too(consumer: Any) -> None:
    for sent in (1, 2):
        consumer.on_send_event_buffered()
        consumer.hub.run()
        assert consumer.sent == sent


def test_a_connection_that_is_lost_meanwhile_holds_back_no_later_events(consumer: Any) -> None:
    def refuse() -> None:
        raise ConnectionError

    tells, consumer.event_dispatcher = consumer.event_dispatcher, SimpleNamespace(flush=refuse)
    consumer.on_send_event_buffered()
    with pytest.raises(ConnectionError):
        consumer.hub.run()
    consumer.event_dispatcher = tells
    consumer.on_send_event_buffered()
    consumer.hub.run()
    assert consumer.sent == 1


@pytest.mark.parametrize("url", ["redis://h:6379/0", "amqp://h"])
def test_every_broker_has_such_a_consumer(url: str) -> None:
    assert issubclass(symbol_by_name(create_app(url, "mine:", 300).conf.worker_consumer), Consumer)
