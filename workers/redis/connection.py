"""Connections to Redis, and the translation of Redis errors to wildtag's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.retry import Retry

from vectordb.errors import Permanent, Transient
from workers.redis.slot_client import AsyncSlotClient, Slot, SlotClient
from workers.redis.slot_connection import (
    AsyncSlotConnection,
    AsyncSlotTlsConnection,
    SlotConnection,
    SlotTlsConnection,
)
from workers.redis.slot_owner import SlotOwner, cluster_url
from workers.settings.cluster_urls import SUGGESTED, has_hash_tag, names_cluster
from workers.settings.dependencies import REDIS

Client = redis.Redis
AsyncClient = redis.asyncio.Redis


# prefixes of transient Redis errors: a full disk, an unavailable replica, a moved key that was waited for
_IN_PIPELINE = " of pipeline caused error: "
TRANSIENT_PREFIXES = ("MISCONF", "NOREPLICAS", "UNBLOCKED", "BUSY ")
# and those for which redis-py has classes: a server that loads or is full, a failover, a slot that is moved
TRANSIENT_ERRORS = (
    redis.ConnectionError, redis.TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError, ClusterDownError,
    AskError, TryAgainError,
)  # fmt: skip


class StoreUnavailable(Transient):
    """Redis cannot be reached, is loading, is full, or temporarily refuses writes."""

    def __init__(self, text: str, service: str = REDIS) -> None:
        super().__init__(text)
        self.service = service


class IsACluster(Permanent):
    """The server is a node of a cluster, although its URL does not say so. The text says what to do."""


class NoHashTag(Permanent):
    """The keys would be in many slots. The text says what to do."""


def connect(url: str, prefix: str = "", *, patience_s: float = 30.0, tries: int = 3) -> Client:
    """A client for a ``redis://``, ``unix://`` or ``redis+cluster://`` URL.

    It opens no connection before its first command. A command that meets a dropped connection is retried within about
    half a second, since all commands of wildtag are idempotent. ``prefix``: what all keys begin with; a cluster needs
    it, and the client then reaches no other keys. ``patience_s``: read timeout in seconds. ``tries``: attempts per
    command, one more on a cluster. Raises ``NoHashTag``.
    """
    if names_cluster(url):
        slot, options = _slot(url, prefix, patience_s)
        retry = Retry(ExponentialBackoff(cap=0.4, base=0.05), tries)
        pool = redis.ConnectionPool(
            connection_class=SlotTlsConnection if options.pop("connection_class", None) else SlotConnection,
            owner=slot.owner, retry=retry, socket_timeout=patience_s,
            socket_connect_timeout=min(5.0, patience_s), health_check_interval=30, **options,
        )  # fmt: skip
        client = SlotClient(connection_pool=pool)
        client.slot = slot
        return client
    retry = Retry(ExponentialBackoff(cap=0.4, base=0.05), tries - 1)
    return redis.Redis.from_url(
        url, retry=retry, socket_timeout=patience_s, socket_connect_timeout=min(5.0, patience_s),
        health_check_interval=30,
    )  # fmt: skip


def connect_async(url: str, prefix: str = "") -> AsyncClient:
    """A client for an event loop, with shorter timeouts, because an HTTP client waits for the result."""
    retry = AsyncRetry(ExponentialBackoff(cap=0.2, base=0.05), 1)
    if names_cluster(url):
        slot, options = _slot(url, prefix, 5)
        pool = redis.asyncio.ConnectionPool(
            connection_class=AsyncSlotTlsConnection if options.pop("connection_class", None) else AsyncSlotConnection,
            owner=slot.owner, retry=retry, socket_timeout=5, socket_connect_timeout=2, health_check_interval=30,
            **options,
        )  # fmt: skip
        client = AsyncSlotClient(connection_pool=pool)
        client.slot = slot
        return client
    return redis.asyncio.Redis.from_url(
        url, retry=retry, socket_timeout=5, socket_connect_timeout=2, health_check_interval=30
    )


def _slot(url: str, prefix: str, patience_s: float) -> tuple[Slot, dict[str, Any]]:
    if not has_hash_tag(prefix):
        raise NoHashTag(
            f"on a Redis Cluster all keys must be in one slot, and the prefix {prefix!r} has no hash tag: set"
            f" WILDTAG_KEY_PREFIX={SUGGESTED}"
        )
    read = cluster_url(url)
    owner = SlotOwner(read, prefix)
    return Slot(owner, f"{prefix}absent", patience_s), dict(read.options)


@contextmanager
def translated(service: str = REDIS) -> Iterator[None]:
    """Raise ``StoreUnavailable`` for transient Redis errors. Other Redis errors are bugs and pass unchanged.

    ``service``: the name of a Redis that is not wildtag's own.
    """
    try:
        yield
    except (
        MovedError,
        ClusterCrossSlotError,
    ) as exc:  # the clients of clusters follow the one and never meet the other
        raise IsACluster(
            "this Redis is a cluster: write redis+cluster:// instead of redis:// in its URL, and set"
            f" WILDTAG_KEY_PREFIX={SUGGESTED}"
        ) from exc
    except (AskError, TryAgainError) as exc:
        raise StoreUnavailable("Redis moves keys to another node of the cluster", service) from exc
    except TRANSIENT_ERRORS as exc:
        raise StoreUnavailable(f"Redis is unavailable: {said(exc)}", service) from exc
    except ResponseError as exc:
        if not said(exc).startswith(TRANSIENT_PREFIXES):
            raise
        raise StoreUnavailable(f"Redis temporarily refuses commands: {said(exc)}", service) from exc


def said(exc: Exception) -> str:
    """What Redis said, in one line. Before it, redis-py puts the command of a pipeline, with its values."""
    return " ".join(str(exc).rpartition(_IN_PIPELINE)[2].split())


def raw(value: str) -> bytes:
    """The bytes of a text; the inverse of ``text``."""
    return value.encode("utf-8", "surrogateescape")


def text(value: Any) -> str:
    """A bytes answer as text. Any bytes survive the round trip through ``raw``."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
