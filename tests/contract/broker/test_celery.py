"""The configuration of Celery with a real Redis."""

from __future__ import annotations

from typing import Any, cast

import pytest
from kombu.exceptions import ContentDisallowed, EncodeError

from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from workers.broker.publisher import BrokerUnavailable, Publisher
from workers.redis.connection import Client
from workers.settings.settings import STAGES, Settings
from workers.wiring.wiring import Wiring


@pytest.fixture
def settings(redis_url: str, client: Client) -> Settings:  # noqa: ARG001 -- client empties Redis
    return Settings(
        redis_url=redis_url, broker_url=redis_url.replace("unix://", "redis+socket://"), key_prefix="test:"
    )


def test_every_key_carries_the_prefix(settings: Settings, client: Client) -> None:
    publisher = Publisher(Wiring(settings).app)
    batch = Submitted(objects=(ObjectRef("inbox", "a.jpg", "e"),), revision=Revision("s", "c"))
    for stage in STAGES:
        publisher.send(stage, batch)
        publisher.probe(stage, 10)
    found = [key.decode() for key in client.scan_iter()]
    assert all(key.startswith("test:") for key in found)
    assert client.llen("test:embedding") == 2


def test_flower_is_shown_which_objects(settings: Settings) -> None:
    app = Wiring(settings).app
    objects = tuple(ObjectRef("photos", f"{i}.jpg", "e") for i in range(3))
    Publisher(app).send("embedding", Submitted(objects=objects, revision=Revision("s", "c")))
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("embedding", accept=["msgpack"]).get(timeout=5)
        assert message.headers["argsrepr"] == "3 objects: photos/0.jpg, photos/1.jpg …"
        assert message.content_type == "application/x-msgpack"
        message.ack()


@pytest.mark.parametrize("serializer", ["pickle", "yaml", "json"])
def test_other_serialisations_are_refused(settings: Settings, serializer: str) -> None:
    app = Wiring(settings).app
    try:
        app.send_task("wildtag.embedding", args=("x",), queue="embedding", serializer=serializer)
    except EncodeError:
        return  # yaml is not even installed
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("embedding", accept=app.conf.accept_content)
        with pytest.raises(ContentDisallowed):
            queue.get(timeout=5).decode()


def test_a_message_that_a_worker_holds_goes_back_before_those_that_came_later(settings: Settings) -> None:
    app = Wiring(settings).app
    publisher = Publisher(app)
    for key in ("first.jpg", "second.jpg"):
        batch = Submitted(objects=(ObjectRef("b", key, "e"),), revision=Revision("s", "c"))
        publisher.send("embedding", batch)
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("embedding", accept=["msgpack"])
        held = queue.get(timeout=5)
        assert "first.jpg" in held.headers["argsrepr"]
        assert publisher.put_back("embedding", str(held.delivery_tag))
        held.ack()  # as a worker does in the end, whatever became of it
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("embedding", accept=["msgpack"])
        again, later = queue.get(timeout=5), queue.get(timeout=5)
        assert "first.jpg" in again.headers["argsrepr"]
        assert again.delivery_info["redelivered"]
        assert "second.jpg" in later.headers["argsrepr"]


def test_a_message_that_was_put_back_stays_with_who_has_taken_it_when_its_first_holder_is_done(
    settings: Settings, client: Client
) -> None:
    app = Wiring(settings).app
    publisher = Publisher(app)
    publisher.send("embedding", Submitted(objects=(ObjectRef("b", "a.jpg", "e"),), revision=Revision("s", "c")))
    with app.connection_for_read() as one, app.connection_for_read() as other:
        first, idle = (at.SimpleQueue("embedding", accept=["msgpack"]) for at in (one, other))
        held = first.get(timeout=5)
        for holder, taker in ((first, idle), (idle, first)):
            assert publisher.put_back("embedding", str(held.delivery_tag))
            taken = taker.get(timeout=5)
            held.ack()  # the stage is at its end, whatever became of it
            assert taken.delivery_info["redelivered"]
            assert client.hlen("test:unacked") == client.zcard("test:unacked_index") == 1, holder
            held = taken
        held.ack()
    assert [client.llen("test:embedding"), client.hlen("test:unacked")] == [0, 0]


def test_the_messages_on_a_queue_are_counted(settings: Settings) -> None:
    app = Wiring(settings).app
    publisher = Publisher(app)
    assert publisher.queued("embedding") == 0
    for key in ("a.jpg", "b.jpg"):
        publisher.send("embedding", Submitted(objects=(ObjectRef("b", key, "e"),), revision=Revision("s", "c")))
    with app.connection_for_read() as connection:
        connection.SimpleQueue("embedding", accept=["msgpack"]).get(timeout=5)
        assert (publisher.queued("embedding"), publisher.queued("retrieval")) == (1, 0)
    with pytest.raises(BrokerUnavailable):
        Publisher(Wiring(Settings(broker_url="redis+socket:///nowhere/redis.sock")).app).queued("embedding")


def test_a_message_that_nobody_holds_is_not_put_back(settings: Settings, client: Client) -> None:
    app = Wiring(settings).app
    publisher = Publisher(app)
    publisher.send("embedding", Submitted(objects=(ObjectRef("b", "a.jpg", "e"),), revision=Revision("s", "c")))
    with app.connection_for_read() as connection:
        held = connection.SimpleQueue("embedding", accept=["msgpack"]).get(timeout=5)
        held.ack()
    assert not publisher.put_back("embedding", str(held.delivery_tag))
    assert client.llen("test:embedding") == 0


def test_a_message_is_sent_without_another_one_for_monitors(settings: Settings, client: Client) -> None:
    with cast("Any", client).pubsub() as published:
        published.psubscribe("*")
        assert published.get_message(timeout=5)["type"] == "psubscribe"
        Publisher(Wiring(settings).app).probe("embedding", 10)
        assert client.llen("test:embedding") == 1
        client.publish("last", b"")
        assert published.get_message(timeout=5)["channel"] == b"last"


def test_a_broker_that_is_away_is_tried_once_a_second_for_as_long_as_it_takes() -> None:
    settings = Settings(broker_url="redis+socket:///nowhere/redis.sock")
    app = Wiring(settings).app
    assert app.conf.broker_connection_max_retries is None
    pauses: list[float] = []

    class Enough(Exception):
        pass

    def note(_: Exception, pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 3:
            raise Enough

    with pytest.raises(Enough):
        app.connection_for_read().ensure_connection(note)
    assert pauses == [1.0, 1.0, 1.0]


def test_a_broker_that_is_away_is_seen_by_its_probe(settings: Settings) -> None:
    Publisher(Wiring(settings).app).reach()
    away = Publisher(Wiring(Settings(broker_url="redis+socket:///nowhere/redis.sock")).app)
    with pytest.raises(BrokerUnavailable):
        away.reach()
