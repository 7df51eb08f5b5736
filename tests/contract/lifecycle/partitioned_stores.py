"""The same objects in one partition, and in several, on one server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tasks.message_parts import ObjectRef, Revision, Tag
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.partitioned_ledger import PartitionedLedger
from workers.lifecycle.partitioned_records import PartitionedRecords
from workers.lifecycle.record import Record, State
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client, connect
from workers.redis.keys import Keys
from workers.redis.partitions import Partitions

REVISION = Revision("space", "captions@1")


@dataclass
class Stores:
    """The same objects in one partition, and in several."""

    client: Client
    plain: Ledger
    spread: PartitionedLedger
    plain_records: Records
    spread_records: PartitionedRecords
    partitions: Partitions

    def both(self, call: Callable[[Ledger], Any]) -> None:
        """Change both alike."""
        assert call(self.plain) == call(self.spread)

    def same(self, ask: Callable[[Records], Any]) -> Any:
        """What both say."""
        one, other = ask(self.plain_records), ask(self.spread_records)
        assert one == other
        return one

    def finish(self, record: Record, at: float) -> None:
        ref = ObjectRef(record.bucket, record.key, record.etag)
        arrival = Arrival(ref, verified=True, force=True)
        self.both(lambda ledger: ledger.enter([arrival], REVISION, at, at + 60))
        self.both(lambda ledger: ledger.finish([record], at))


@pytest.fixture(params=[2, 8])
def stores(request: pytest.FixtureRequest, redis_url: str) -> Stores:
    client = connect(redis_url)
    client.flushall()
    plain, partitions = Keys("{plain}:"), Partitions(Keys("{spread}:"), request.param)
    clients = (client,) * request.param
    return Stores(
        client, Ledger(client, plain, 1000), PartitionedLedger(partitions, client, clients, 1000),
        Records(client, plain), PartitionedRecords(partitions, client, clients), partitions,
    )  # fmt: skip


def record(key: str, etag: str, state: State, labels: Sequence[str], confidence: float) -> Record:
    return Record(
        bucket="inbox", key=key, etag=etag, state=state, space_id="space", captions_version="captions@1",
        tags=tuple(Tag(label, 0.3, 0.5, 0.5, (), confidence - n / 10) for n, label in enumerate(labels))
        if state == "done" else (),
    )  # fmt: skip
