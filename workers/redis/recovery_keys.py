"""The names of the keys by which wildtag finds what was missed or lost.

They are part of the layout in ``workers.redis.keys``, which documents them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecoveryKeys:
    """The names under one prefix."""

    prefix: str

    @property
    def partitions(self) -> str:
        return f"{self.prefix}partitions"

    @property
    def data_id(self) -> str:
        return f"{self.prefix}data-id"

    @property
    def partition_data_ids(self) -> str:
        return f"{self.prefix}partition-data-ids"

    @property
    def sweep_requests(self) -> str:
        return f"{self.prefix}sweep-requests"

    @property
    def refill(self) -> str:
        return f"{self.prefix}refill"

    @property
    def loss(self) -> str:
        return f"{self.prefix}loss"

    @property
    def feed_positions(self) -> str:
        return f"{self.prefix}feed:positions"

    @property
    def holds(self) -> str:
        return f"{self.prefix}holds"

    @property
    def catching_up(self) -> str:
        return f"{self.prefix}catching-up"

    @property
    def damaged(self) -> str:
        return f"{self.prefix}damaged"

    def reconcile(self, bucket: str) -> str:
        return f"{self.prefix}reconcile:{bucket}"

    def missing(self, name: str) -> str:
        return f"{self.prefix}missing:{name}"

    def hold(self, bucket: str) -> str:
        return f"{self.prefix}hold:{bucket}"

    def interrupted(self, bucket: str) -> str:
        return f"{self.prefix}interrupted:{bucket}"

    def mount(self, bucket: str) -> str:
        return f"{self.prefix}mount:{bucket}"

    def recent_removals(self, bucket: str) -> str:
        return f"{self.prefix}removals:{bucket}"
