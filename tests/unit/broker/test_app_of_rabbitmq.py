"""What Celery is told for RabbitMQ, and for TLS. Nothing is connected."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from workers.broker.celery_app import create_app
from workers.broker.consumer import RabbitConsumer
from workers.broker.rabbitmq import REDELIVERIES
from workers.settings.settings import QUEUES

URL = "amqp://me:p%40ss%2Fw@h:5672/a%2Fb"


@pytest.fixture
def app() -> Celery:
    return create_app(URL, "mine:", 300)


def test_every_stage_has_a_quorum_queue_with_a_limit_of_deliveries(app: Celery) -> None:
    queues: Any = app.amqp.queues
    for name in QUEUES:
        queue = queues[name]
        assert queue.name == queue.routing_key == f"mine:{name}"
        assert queue.queue_arguments == {"x-queue-type": "quorum", "x-delivery-limit": REDELIVERIES}
        assert queue.durable
    assert all(name.startswith("mine:") for name in queues)


def test_names_of_others_are_not_used(app: Celery) -> None:
    for name in ("control_exchange", "event_exchange", "event_queue_prefix", "task_default_exchange"):
        assert app.conf[name].startswith("mine:"), name
    assert app.conf.control_queue_exclusive
    assert app.conf.event_queue_exclusive


def test_a_worker_declares_no_queues_for_long_delays() -> None:
    steps = RabbitConsumer.Blueprint.default_steps
    assert not [step for step in steps if "DelayedDelivery" in step]
    assert len(steps) > 5


def test_the_parts_of_a_url_are_unquoted_and_monitors_see_no_password(app: Celery) -> None:
    connection: Any = app.connection_for_write()
    assert (connection.userid, connection.password, connection.virtual_host) == ("me", "p@ss/w", "a/b")
    assert connection.as_uri() == "amqp://me:**@h:5672/a/b"
    assert connection.info()["transport"] == "amqp"


@pytest.mark.parametrize(
    ("url", "prefix"), [("amqps://u:p@h/v", ""), ("rediss://:p@h:6379/0", "ssl_")]
)  # fmt: skip
def test_certificates_are_checked(url: str, prefix: str) -> None:
    for file in (None, Path("/ca.pem")):
        tls: Any = create_app(url, "p:", 300, file).connection_for_write().ssl
        assert tls[f"{prefix}cert_reqs"] == ssl.CERT_REQUIRED
        assert tls[f"{prefix}ca_certs"] == (None if file is None else "/ca.pem")


def test_redis_keeps_its_own_names_and_queues() -> None:
    app = create_app("redis://h:6379/0", "mine:", 300)
    queues: Any = app.amqp.queues
    assert set(queues) == set(QUEUES)
    assert not queues["embedding"].queue_arguments
    assert not app.connection_for_write().ssl
