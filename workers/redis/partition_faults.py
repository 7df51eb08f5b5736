"""The names of partitions as services: the outage of one must not stop the work on the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from workers.redis.connection import StoreUnavailable
from workers.settings.dependencies import REDIS


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
