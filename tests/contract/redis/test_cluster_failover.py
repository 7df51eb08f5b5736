"""A Redis Cluster whose nodes are killed: a replica takes over, and nodes without the slot are not needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.own_cluster import PREFIX, OwnCluster, own_cluster
from tests.contract.redis.cluster_objects import tagged
from tests.eventually import eventually
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record_reader import Records
from workers.redis.connection import StoreUnavailable, connect
from workers.redis.data_loss import DataLoss
from workers.redis.keys import Keys
from workers.redis.layout import Layout

pytestmark = pytest.mark.long


@pytest.fixture
def keys() -> Keys:
    return Keys(PREFIX)


@pytest.fixture
def own() -> Iterator[OwnCluster]:
    """A cluster with replicas, whose nodes a test may kill."""
    with own_cluster(replicas=True) as made:
        yield made


def test_a_replica_takes_over(own: OwnCluster, keys: Keys) -> None:
    client = connect(own.url, PREFIX)
    layout = Layout(client, keys)
    layout.require()
    loss, losses = DataLoss(client, keys, layout), []
    loss.on_loss(lambda: losses.append(1))
    loss.step()
    ledger = Ledger(client, keys, feed_length=100)
    assert all(tagged(ledger, n) for n in range(50))
    run = ledger.server_run()
    assert client.wait(1, 5000) == 1
    owner = own.owner()
    owner.kill()
    with pytest.raises(StoreUnavailable):
        tagged(ledger, 50)
    eventually(lambda: [tagged(ledger, 50)], 60, every_s=0.1, despite=(StoreUnavailable,))
    assert own.owner() is not owner
    assert ledger.server_run() != run
    loss.step()
    assert losses == []
    assert Records(client, keys).counts()["done"] == 51
    owner.start()
    own.settled()
    assert Records(client, keys).counts()["done"] == 51


def test_nodes_without_the_slot_are_not_needed(own: OwnCluster, keys: Keys) -> None:
    ledger = Ledger(connect(own.url, PREFIX), keys, feed_length=100)
    assert tagged(ledger, 1)
    own.another().kill()
    eventually(lambda: [tagged(ledger, 2)], 60, every_s=0.1, despite=(StoreUnavailable,))
    assert Records(connect(own.url, PREFIX), keys).counts()["done"] == 2
