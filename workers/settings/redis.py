"""The Redis that holds the records and the ledger, and the broker, which is the same Redis or another server."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from workers.settings.access_urls import require_encoded, require_parameters
from workers.settings.cluster_urls import SUGGESTED, has_hash_tag, names_cluster, node_urls
from workers.settings.topic import Topic, UserPath

BROKERS = ("amqp", "amqps", "redis", "rediss", "redis+socket", "unix")
"""The schemes of supported brokers."""
SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
"""The schemes of supported Redis servers."""


class RedisSettings(Topic):
    """Addresses and keys of Redis."""

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="URL of the Redis that stores the records, the ledger and the inbox; of a Redis Cluster"
        " redis+cluster://HOST:PORT,HOST:PORT with some of its nodes (rediss+cluster:// with TLS).",
    )
    broker_url: str | None = Field(
        None,
        validate_default=True,
        description="URL of Celery's broker, which carries the queues: a Redis, or RabbitMQ (amqp://, or amqps://"
        " with TLS). Default: the Redis of redis_url, if it is no cluster.",
    )
    broker_ca_file: UserPath | None = Field(
        None,
        description="File of certificate authorities for a broker with TLS, in PEM format."
        " Default: those of the system.",
    )
    key_prefix: str = Field(
        "wildtag:",
        validate_default=True,
        description="Prefix of every Redis key, and of RabbitMQ's queues and exchanges. On a Redis Cluster it needs a"
        " hash tag, as {wildtag}: has one.",
    )
    partitions: Annotated[int, Field(ge=1, le=256)] = Field(
        1,
        description="Number of partitions over which the keys of objects are spread on a Redis Cluster. It cannot be"
        " changed for existing keys, and above 1 the prefix needs a hash tag.",
    )
    feed_length: PositiveInt = Field(
        10_000, description="Number of finished objects that the feed keeps for clients, the notifier and the writer."
    )

    @field_validator("redis_url")
    @classmethod
    def _is_readable(cls, value: str) -> str:
        if value.partition("://")[0] not in SCHEMES or "://" not in value:
            raise ValueError(f"the URL begins with none of: {', '.join(f'{name}://' for name in SCHEMES)}")
        require_encoded(value)
        if names_cluster(value):
            node_urls(value)
        else:
            require_parameters(value, broker=False)
        return value

    @field_validator("key_prefix")
    @classmethod
    def _is_in_one_slot(cls, value: str, info: ValidationInfo) -> str:
        if names_cluster(info.data.get("redis_url", "")) and not has_hash_tag(value):
            raise ValueError(f"on a Redis Cluster the prefix needs a hash tag, such as {SUGGESTED}")
        return value

    @field_validator("partitions")
    @classmethod
    def _has_prefix(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and not has_hash_tag(info.data.get("key_prefix", SUGGESTED)):
            raise ValueError(f"more than one partition needs a prefix with a hash tag, such as {SUGGESTED}")
        return value

    @field_validator("broker_url")
    @classmethod
    def _is_no_cluster(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and names_cluster(info.data.get("redis_url", "")):
            raise ValueError(
                "a Redis Cluster does not carry Celery's queues: name RabbitMQ, or a Redis that is no cluster"
            )
        return value

    @field_validator("broker_url")
    @classmethod
    def _is_supported(cls, value: str | None, info: ValidationInfo) -> str | None:
        redis = info.data.get("redis_url", "")
        if value is None and redis and not names_cluster(redis):  # then Celery's client reads that URL, too
            try:
                require_parameters(redis, broker=True)
            except ValueError as exc:
                raise ValueError(f"then it is WILDTAG_REDIS_URL, but {exc}") from None
        for one in (value or "").split(";") if value else ():
            scheme = one.partition("://")[0]
            if "://" not in one or scheme not in BROKERS:
                raise ValueError(f"the URL begins with none of: {', '.join(f'{name}://' for name in BROKERS)}")
            require_encoded(one)
            if not scheme.startswith("amqp"):
                require_parameters(one, broker=True)
        return value

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
