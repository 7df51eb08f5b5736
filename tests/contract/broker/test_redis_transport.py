"""A channel keeps its client of Redis, and finds a new connection when the old ones are gone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import _transport_cache as classes  # type: ignore[attr-defined]  # it has no other name

from workers.broker.celery_app import create_app
from workers.broker.redis_transport import QoS, Transport
from workers.redis.connection import Client
from workers.redis.redis_clock import RedisClock, seconds


@pytest.fixture
def connection(redis_url: str, client: Client) -> Iterator[Any]:  # noqa: ARG001 -- empties Redis
    url = redis_url.replace("unix://", "redis+socket://")
    with create_app(url, "test:", 10).connection_for_write() as connection:
        yield connection


def used(channel: Any) -> Any:
    with channel.conn_or_acquire() as client:
        return client


def test_it_is_used_although_a_connection_was_made_before(redis_url: str, connection: Any) -> None:
    TRANSPORT_ALIASES["redis"] = "kombu.transport.redis:Transport"
    classes.pop("redis", None)
    url = redis_url.replace("unix://", "redis+socket://")
    assert not isinstance(Connection(url).transport, Transport)
    with create_app(url, "test:", 10).connection_for_write() as now:
        assert isinstance(now.transport, type(connection.transport))


def test_a_channel_makes_one_client(connection: Any) -> None:
    assert isinstance(connection.transport, Transport)
    channel = connection.default_channel
    first = used(channel)
    assert first.ping()
    assert used(channel) is first
    assert channel.client is not first  # it holds a connection for what blocks
    with connection.channel() as other:
        assert used(other) is not first


def test_messages_go_through_after_the_connections_were_lost(connection: Any) -> None:
    channel = connection.default_channel
    queue = connection.SimpleQueue("retrieval")
    queue.put({"number": 1})
    first = used(channel)
    first.connection_pool.disconnect()
    queue.put({"number": 2})
    channel._disconnect_pools()
    assert used(channel) is not first
    queue.put({"number": 3})
    found = []
    for _ in range(3):
        message = queue.get(timeout=5)
        found.append(message.payload["number"])
        message.ack()
    assert found == [1, 2, 3]
    queue.close()


def sum_of(client: Client, ahead: float) -> float:
    """What a clock says that is ahead of Redis."""
    return seconds(client) + ahead


@pytest.fixture
def refusing(client: Client) -> Iterator[Client]:
    """A Redis that refuses to write when ``min-replicas-to-write`` is set, as one with a full disk does."""
    yield client
    client.config_set("min-replicas-to-write", 0)


def test_a_redis_that_refuses_commands_does_not_end_a_worker(connection: Any, refusing: Client) -> None:
    channel = connection.channel()
    connection.SimpleQueue("retrieval").put({"number": 1})
    message = channel.basic_get("retrieval")
    assert message is not None
    refusing.config_set("min-replicas-to-write", 1)
    message.ack()  # raises nothing
    refusing.config_set("min-replicas-to-write", 0)
    assert refusing.zcard("test:unacked_index") == 1
    channel.qos.restore_visible()
    assert refusing.zcard("test:unacked_index") == refusing.hlen("test:unacked") == 0
    assert refusing.llen("test:retrieval") == 0


def test_messages_count_as_lost_by_the_time_of_redis(connection: Any, client: Client) -> None:
    channel = connection.channel()
    connection.SimpleQueue("retrieval").put({"number": 1})
    assert channel.basic_get("retrieval") is not None
    now = float(client.time()[0])
    taken: Any = client.zrange("test:unacked_index", 0, -1, withscores=True)
    assert abs(taken[0][1] - now) < 5
    hour = 3600.0
    for ahead in (hour, -hour):
        qos = QoS(channel)
        qos._now = RedisClock(partial(seconds, client), partial(sum_of, client, ahead))
        assert abs(qos.visibility_timeout - channel.visibility_timeout - ahead) < 5  # kombu subtracts it from its own
