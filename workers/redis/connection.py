"""Connections to Redis, and the translation of Redis errors to wildtag's errors."""

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


# prefixes of transient Redis errors: a full disk, an unavailable master or replica, a failover
TRANSIENT_PREFIXES = (
    "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED", "BUSY ", "LOADING", "READONLY",
)  # fmt: skip


class StoreUnavailable(Transient):
    """Redis cannot be reached, is loading, is full, or temporarily refuses writes."""

    def __init__(self, text: str, service: str = REDIS) -> None:
        super().__init__(text)
        self.service = service


def connect(url: str, *, patience_s: float = 30.0, tries: int = 3) -> Client:
    """A client for a ``redis://`` or ``unix://`` URL; opens no connection before its first command.

    A command that meets a dropped connection is retried within about half a second, since all commands of wildtag are
    idempotent. ``patience_s``: read timeout in seconds. ``tries``: attempts per command.
    """
    retry = Retry(ExponentialBackoff(cap=0.4, base=0.05), tries - 1)
    return redis.Redis.from_url(
        url, retry=retry, socket_timeout=patience_s, socket_connect_timeout=min(5.0, patience_s),
        health_check_interval=30,
    )  # fmt: skip


def connect_async(url: str) -> AsyncClient:
    """A client for an event loop, with shorter timeouts, because an HTTP client waits for the result."""
    retry = AsyncRetry(ExponentialBackoff(cap=0.2, base=0.05), 1)
    return redis.asyncio.Redis.from_url(
        url, retry=retry, socket_timeout=5, socket_connect_timeout=2, health_check_interval=30
    )


@contextmanager
def translated(service: str = REDIS) -> Iterator[None]:
    """Raise ``StoreUnavailable`` for transient Redis errors. Other Redis errors are bugs and pass unchanged.

    ``service``: the name of a Redis that is not wildtag's own.
    """
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError) as exc:
        raise StoreUnavailable(f"Redis is unavailable: {exc}", service) from exc
    except ResponseError as exc:
        if not str(exc).startswith(TRANSIENT_PREFIXES):
            raise
        raise StoreUnavailable(f"Redis temporarily refuses commands: {exc}", service) from exc


def raw(value: str) -> bytes:
    """The bytes of a text; the inverse of ``text``."""
    return value.encode("utf-8", "surrogateescape")


def text(value: Any) -> str:
    """A bytes answer as text. Any bytes survive the round trip through ``raw``."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
