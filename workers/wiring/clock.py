"""The clock of a Redis."""

from __future__ import annotations

from workers.redis.connection import connect, translated
from workers.redis.redis_clock import RedisClock, seconds

PATIENCE_S = 1.0  # callers wait meanwhile


def clock_of(url: str, prefix: str) -> RedisClock:
    """The clock of this Redis. Each reading has its own connection, which no fork shares."""

    def read() -> float:
        with translated(), connect(url, prefix, patience_s=PATIENCE_S, tries=1) as client:
            return seconds(client)

    return RedisClock(read)
