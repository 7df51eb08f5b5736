"""The shared level of the cache: values in Redis that expire when they are no longer used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from workers.redis.connection import Client, translated
from workers.redis.keys import Keys


class RedisCache:
    """A ``tasks.cache.Cache`` shared by all processes. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, lifetime_s: int) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._lifetime_s = lifetime_s

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See ``Cache``. One round trip."""
        if not keys:
            return []
        with translated():
            return cast("list[bytes | None]", self._redis.mget([self._keys.cache(key) for key in keys]))

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """See ``Cache``. One round trip."""
        if not items:
            return
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for key, value in items.items():
                pipe.set(self._keys.cache(key), value, ex=self._lifetime_s)
            pipe.execute()
