"""The state and the metrics show what is on the queues; without the broker the gateway still accepts images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from tests.contract.gateway.running import Running, running, wired
from tests.eventually import eventually


def test_messages_are_counted_by_queue(gateway: Running) -> None:
    for key in ("a.png", "b.png"):
        batch = Submitted(objects=(ObjectRef("b", key, "e"),), revision=Revision("s", "c"))
        gateway.wiring.publisher.send("extraction", batch)
    eventually(lambda: gateway.http.get("/v1/status").json()["queues"]["queues"]["extraction"]["ready"] == 2, 5)
    queues = gateway.http.get("/v1/status").json()["queues"]
    assert queues["queues"]["embedding"] == {"ready": 0, "consumers": None}
    assert queues["unacknowledged"] == 0
    metrics = gateway.http.get("/metrics").text
    assert 'wildtag_queue_messages{queue="extraction"} 2.0' in metrics
    assert "wildtag_queue_unacknowledged_messages 0.0" in metrics
    assert "wildtag_broker_up 1.0" in metrics


@pytest.fixture
def without_broker(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    """A gateway whose broker is another server than its Redis, and away."""
    with running(wired(tmp_path, redis_url, broker_url="amqp://me:secret@127.0.0.1:1/v")) as gateway:
        yield gateway


def test_a_broker_that_is_away_is_named_and_images_are_accepted(without_broker: Running) -> None:
    ready = without_broker.http.get("/readyz")
    assert (ready.status_code, ready.json()["missing"]) == (200, {})
    assert [one["name"] for one in ready.json()["outages"]] == ["broker"]
    status = without_broker.http.get("/v1/status").json()
    assert status["queues"] is None
    assert "secret" not in str(status)
    metrics = without_broker.http.get("/metrics").text
    assert "wildtag_broker_up 0.0" in metrics
    assert 'wildtag_outage_seconds{name="broker"}' in metrics
    without_broker.upload()
