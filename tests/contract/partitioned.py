"""Partitions on one server: their prefixes differ as on a cluster, and a test can look into all of them."""

from __future__ import annotations

from workers.lifecycle.partitioned_ledger import PartitionedLedger
from workers.lifecycle.partitioned_records import PartitionedRecords
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.partitions import Partitions

COUNT = 3


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


def ledger_of(client: Client, keys: Keys, feed_length: int = 100) -> PartitionedLedger:
    """A ledger over ``COUNT`` partitions of one server."""
    partitions = Partitions(Keys(keys.prefix), COUNT)
    return PartitionedLedger(partitions, client, (client,) * COUNT, feed_length)


def records_of(client: Client, keys: Keys) -> PartitionedRecords:
    """Its records."""
    partitions = Partitions(Keys(keys.prefix), COUNT)
    return PartitionedRecords(partitions, client, (client,) * COUNT)
