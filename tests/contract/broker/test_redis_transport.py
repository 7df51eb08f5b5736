"""A channel keeps its client of Redis, and finds a new connection when the old ones are gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import _transport_cache as classes  # type: ignore[attr-defined]  # it has no other name

from workers.broker.celery_app import create_app
from workers.broker.redis_transport import Transport
from workers.redis.connection import Client


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
