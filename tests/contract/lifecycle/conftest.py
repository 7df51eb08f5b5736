"""The ledger and the records of an empty Redis: of one server, of a cluster of three, and in three partitions."""

from __future__ import annotations

import pytest

from tests.contract.own_cluster import PREFIX, OwnCluster
from tests.contract.partitioned import RoutedKeys, ledger_of, records_of
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client, connect
from workers.redis.keys import Keys


@pytest.fixture(params=["server", "cluster", "partitions"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of each Redis."""
    if request.param != "cluster":
        return str(request.getfixturevalue("redis_url"))
    cluster: OwnCluster = request.getfixturevalue("cluster")
    return cluster.url


@pytest.fixture
def client(url: str) -> Client:
    """A client to an empty Redis."""
    made = connect(url, PREFIX)
    made.flushall()
    return made


@pytest.fixture
def partitioned(request: pytest.FixtureRequest) -> bool:
    """Whether the objects are in several partitions."""
    return bool(request.node.callspec.params.get("url") == "partitions")


@pytest.fixture
def keys(*, partitioned: bool) -> Keys:
    return RoutedKeys(PREFIX) if partitioned else Keys(PREFIX)


@pytest.fixture
def ledger(client: Client, keys: Keys, *, partitioned: bool) -> Ledger:
    return ledger_of(client, keys) if partitioned else Ledger(client, keys, feed_length=100)


@pytest.fixture
def records(client: Client, keys: Keys, *, partitioned: bool) -> Records:
    return records_of(client, keys) if partitioned else Records(client, keys)
