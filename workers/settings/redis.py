"""The Redis that holds the records, the ledger and the queues."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from workers.settings.topic import Topic


class RedisSettings(Topic):
    """Addresses and keys of Redis."""

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0", description="URL of the Redis that stores the records, the ledger and the inbox."
    )
    broker_url: str | None = Field(None, description="URL of Celery's broker. Default: the Redis of redis_url.")
    key_prefix: str = Field("wildtag:", description="Prefix of every Redis key.")
    feed_length: PositiveInt = Field(
        10_000, description="Number of finished objects that the feed keeps for clients, the notifier and the writer."
    )

    @property
    def broker(self) -> str:
        """Celery's broker URL."""
        return self.broker_url or self.redis_url
