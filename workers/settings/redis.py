"""The Redis that holds the records, the ledger and the queues."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

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
        """Celery's broker URL; Kombu has another form for a Unix socket than redis-py."""
        given_url = self.broker_url or self.redis_url
        url = urlsplit(given_url)
        if url.scheme != "unix":
            return given_url
        options = parse_qs(url.query)
        options["virtual_host"] = options.pop("db", ["0"])
        query = urlencode(options, doseq=True)
        return f"redis+socket://{url.netloc}{url.path}?{query}"
