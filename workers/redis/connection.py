"""Redis connections: how they are made, and how their errors become wildtag's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.retry import Retry

from vectordb.errors import Transient
from workers.settings.dependencies import REDIS

Client = redis.Redis
AsyncClient = redis.asyncio.Redis


# how Redis begins the errors that pass by themselves: a full disk, replicas or a master that are away, a failover
PASSING = (
    "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED", "BUSY ", "LOADING", "READONLY",
)  # fmt: skip


class StoreUnavailable(Transient):
    """Redis cannot be reached, is loading, is full, or refuses writes for now."""

    def __init__(self, text: str, service: str = REDIS) -> None:
        super().__init__(text)
        self.service = service


def connect(url: str, *, patience_s: float = 30.0, tries: int = 3) -> Client:
    """A client for a ``redis://`` or ``unix://`` URL; opens no connection before its first command.

    A command that met a dropped connection is tried twice more within about half a second: all that wildtag
    sends is idempotent. ``patience_s``: seconds without an answer.
    """
    retry = Retry(ExponentialBackoff(cap=0.4, base=0.05), tries - 1)
    return redis.Redis.from_url(
        url, retry=retry, socket_timeout=patience_s, socket_connect_timeout=min(5.0, patience_s),
        health_check_interval=30,
    )  # fmt: skip


def connect_async(url: str) -> AsyncClient:
    """The same for an event loop, and more impatient: whoever waits for it is on the other end of a request."""
    retry = AsyncRetry(ExponentialBackoff(cap=0.2, base=0.05), 1)
    return redis.asyncio.Redis.from_url(
        url, retry=retry, socket_timeout=5, socket_connect_timeout=2, health_check_interval=30
    )


@contextmanager
def translated(service: str = REDIS) -> Iterator[None]:
    """Raise ``StoreUnavailable`` for what time can mend; other Redis errors are bugs and pass unchanged.

    ``service``: the name of a Redis that is not wildtag's own.
    """
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError) as exc:
        raise StoreUnavailable(f"Redis is out of reach: {exc}", service) from exc
    except ResponseError as exc:
        if not str(exc).startswith(PASSING):
            raise
        raise StoreUnavailable(f"Redis refuses for now: {exc}", service) from exc


def raw(value: str) -> bytes:
    """The bytes of a text: ``text`` backwards."""
    return value.encode("utf-8", "surrogateescape")


def text(value: Any) -> str:
    """A bytes answer as text; keys of any bytes survive the way there and back."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
