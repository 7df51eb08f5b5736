"""Creates the event sources other than the gateway."""

from __future__ import annotations

from vectordb.errors import Permanent
from workers.events.listen_api import HEADER_S, Connect, connecting
from workers.events.redis_target import AccessList, NamespaceHash
from workers.redis.connection import connect
from workers.settings.cluster_urls import names_cluster
from workers.wiring.wiring import Wiring


def redis_target(wiring: Wiring) -> AccessList | NamespaceHash:
    """The reader of MinIO's Redis target, for the format in the settings."""
    s = wiring.settings
    if names_cluster(s.redis_target_url or s.redis_url):
        raise Permanent(
            "MinIO's Redis target does not write to a Redis Cluster: set WILDTAG_REDIS_TARGET_URL to the Redis to"
            " which it writes"
        )
    target = connect(s.redis_target_url) if s.redis_target_url else wiring.redis
    if s.redis_target_format == "access":
        return AccessList(target, s.redis_target_key, s.bucket, wiring.event_sink)
    return NamespaceHash(target, s.redis_target_key, s.bucket, wiring.event_sink, wiring.redis, wiring.keys)


def listening(wiring: Wiring) -> Connect:
    """Connects to the notifications of the bucket. Raises ``Permanent`` if the bucket is a folder."""
    if wiring.settings.s3_endpoint is None:
        raise Permanent("the bucket is a folder, which has no listen API: `wildtag watcher` watches it")
    return connecting(wiring.s3.connection.once(HEADER_S), wiring.settings.bucket)
