"""The ledger and the records of an empty Redis: of one server, and of a cluster of three."""

from __future__ import annotations

import pytest

from tests.contract.own_cluster import PREFIX, OwnCluster
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client, connect
from workers.redis.keys import Keys


@pytest.fixture(params=["server", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of each Redis."""
    if request.param == "server":
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
def keys() -> Keys:
    return Keys(PREFIX)


@pytest.fixture
def ledger(client: Client, keys: Keys) -> Ledger:
    return Ledger(client, keys, feed_length=100)


@pytest.fixture
def records(client: Client, keys: Keys) -> Records:
    return Records(client, keys)
