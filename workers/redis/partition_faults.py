"""Partitions that are away: their outages have names of their own, so that the work on the others goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vectordb.errors import Transient
from workers.redis.connection import StoreUnavailable
from workers.settings.dependencies import REDIS

PATIENCE_S = 5.0  # how long a stage waits for a partition: a failover takes as long


def service_of(partition: int) -> str:
    """The name of a partition's outage: ``redis/2``."""
    return f"{REDIS}/{partition}"


def partition_of(service: str | None) -> int | None:
    """The partition with this name; ``None`` for another service."""
    name, _, number = (service or "").partition("/")
    return int(number) if name == REDIS and number.isdecimal() else None


@contextmanager
def of_partition(partition: int) -> Iterator[None]:
    """Give faults of Redis in the block the name of this partition."""
    try:
        yield
    except StoreUnavailable as exc:
        if exc.service != REDIS:
            raise
        raise StoreUnavailable(str(exc), service_of(partition)) from exc


class PartitionFaults:
    """Knows which partitions are away, and goes on without them.

    ``is_active``: whether a service has an outage whose end a probe reports. ``register``: returns the service of a
    fault if it has an outage now, ``None`` if only one call failed. ``wait``: waits up to so many seconds for the end
    of an outage, and returns whether it has ended. Without them no fault is tolerated.
    """

    def __init__(
        self,
        count: int,
        is_active: Callable[[str], bool] = lambda _: False,
        register: Callable[[Transient], str | None] = lambda _: None,
        wait: Callable[[str, float], bool] = lambda *_: False,
    ) -> None:
        self.count = count
        self._is_active = is_active
        self._register = register
        self._wait = wait
        self._patient_until: dict[int, float] = {}

    def away(self, partition: int) -> bool:
        """Whether this partition has an outage."""
        return self.count > 1 and self._is_active(service_of(partition))

    def there(self, first: int = 0) -> list[int]:
        """The partitions without an outage, in turn from ``first`` on."""
        turn = ((first + n) % self.count for n in range(self.count))
        return [partition for partition in turn if not self.away(partition)]

    def returns(self, partition: int) -> bool:
        """Whether a partition that is away comes back, if its outage has not lasted longer than ``PATIENCE_S``."""
        left = self._patient_until.get(partition, 0.0) - time.monotonic()
        return left > 0 and self._wait(service_of(partition), left)

    @contextmanager
    def tolerated(self, partition: int) -> Iterator[None]:
        """End the block at a fault of the partition, if that is an outage; a single fault is raised, by its name."""
        try:
            with of_partition(partition):
                yield
        except StoreUnavailable as exc:
            if not self.begun(exc):
                raise

    def begun(self, fault: Exception) -> bool:
        """Whether a fault shows the outage of a partition, which is known from now on."""
        partition = partition_of(fault.service) if isinstance(fault, StoreUnavailable) else None
        if partition is None or not isinstance(fault, StoreUnavailable):
            return False
        new = not self.away(partition)
        if self._register(fault) is None:
            return False
        if new:
            self._patient_until[partition] = time.monotonic() + PATIENCE_S
        return True
