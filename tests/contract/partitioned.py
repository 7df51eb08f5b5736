"""Partitions on one server: their prefixes differ as on a cluster, and a test can look into all of them."""

from __future__ import annotations

import pytest

from workers.lifecycle.partitioned_ledger import PartitionedLedger
from workers.lifecycle.partitioned_records import PartitionedRecords
from workers.lifecycle.partitioned_statements import PartitionedStatements
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.partitions import Partitions

COUNT = 3
UNPARTITIONED = pytest.mark.parametrize("url", ["server", "cluster"], indirect=True)
"""A test that makes its adapters itself, or is about one object alone, so that partitions show nothing more."""


class RoutedKeys(Keys):
    """Names the keys of one object in its partition, and all others under the prefix."""

    @property
    def partitions_(self) -> Partitions:
        return Partitions(Keys(self.prefix), COUNT)

    def of(self, oid: str) -> Keys:
        """The keys of the partition of an object."""
        return self.partitions_.keys(self.partitions_.of(oid))

    def record(self, oid: str) -> str:
        return self.of(oid).record(oid)

    def entry(self, oid: str) -> str:
        return self.of(oid).entry(oid)

    def statements(self, oid: str) -> str:
        return self.of(oid).statements(oid)

    def segmentation_request(self, oid: str) -> str:
        return self.of(oid).segmentation_request(oid)


def keys_of(keys: Keys, oid: str) -> Keys:
    """The keys among which those of an object are."""
    return keys.of(oid) if isinstance(keys, RoutedKeys) else keys


def ledger_of(client: Client, keys: Keys, feed_length: int = 100) -> PartitionedLedger:
    """A ledger over ``COUNT`` partitions of one server."""
    partitions = Partitions(Keys(keys.prefix), COUNT)
    return PartitionedLedger(partitions, client, (client,) * COUNT, feed_length)


def statements_of(client: Client, keys: Keys) -> PartitionedStatements:
    """What people say of their images."""
    return PartitionedStatements(Partitions(Keys(keys.prefix), COUNT), client, (client,) * COUNT)


def records_of(client: Client, keys: Keys) -> PartitionedRecords:
    """Its records."""
    partitions = Partitions(Keys(keys.prefix), COUNT)
    return PartitionedRecords(partitions, client, (client,) * COUNT)
