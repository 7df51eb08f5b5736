"""Notices that a partition has lost all its keys, while the others have theirs.

Each partition has a ``data-id``, and ``P partition-data-ids`` says which one it had. So a loss is noticed although no
process ran meanwhile. The bucket is then compared from its beginning: objects that are in other partitions have their
records, and those of this one are found again.

A replica that takes over has the same id. What it had not received is found by a later comparison.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.partition_faults import PartitionFaults
from workers.redis.partitions import Partitions

log = structlog.get_logger()

AT_ONCE = 4  # partitions that a step looks at


class PartitionLoss:
    """Looks at the partitions in turn. Raises ``StoreUnavailable``.

    ``client``: of the keys under ``P``. ``clients``: of the partitions. ``bucket``: what is compared after a loss.
    """

    def __init__(
        self,
        client: Client,
        partitions: Partitions,
        clients: Sequence[Client],
        faults: PartitionFaults,
        bucket: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys: Keys = partitions.base
        self._partitions = partitions
        self._clients: Sequence[Any] = clients
        self._faults = faults
        self._bucket = bucket
        self._clock = clock
        self._note = self._redis.register_script(scripts.source("lost_partition"))
        self._known: dict[int, str] = {}
        self._first = 0
        self._calls: list[Callable[[], object]] = []

    def on_loss(self, call: Callable[[], object]) -> None:
        """Have this called after the loss of a partition; if it raises, it is called again."""
        self._calls.append(call)

    def step(self) -> None:
        """Look at some partitions, and call what is to be done after a loss."""
        for partition in self._faults.there(self._first)[:AT_ONCE]:
            with self._faults.tolerated(partition):
                self._look(partition)
        self._first = (self._first + AT_ONCE) % self._partitions.count

    def _look(self, partition: int) -> None:
        now = self._data_id(partition)
        if self._known.get(partition) == now:
            return
        k = self._keys
        with translated():
            noted = self._note(
                keys=[k.partition_data_ids, k.refill, k.reconcile(self._bucket), k.statements_restored],
                args=[partition, now, self._clock()],
            )
        if noted:
            self._known.setdefault(partition, "")  # if a call raises, all are made again
            log.error("a partition of Redis has lost its keys", partition=partition,
                      then="records are made again from the bucket")  # fmt: skip
        if partition in self._known:
            for call in self._calls:
                call()
        self._known[partition] = now

    def _data_id(self, partition: int) -> str:
        client, key = self._clients[partition], self._partitions.keys(partition).data_id
        with translated():
            found = client.get(key)
            if found is None:
                client.set(key, secrets.token_hex(8), nx=True)
                found = client.get(key)
        return text(found or b"")
