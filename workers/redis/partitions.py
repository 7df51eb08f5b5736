"""Partitions: the keys of objects spread over several slots of a Redis Cluster.

Each partition has a prefix of its own, ``{wildtag:2}:`` beside ``{wildtag}:``, so the keys of a partition are in one
slot. Every object belongs to one partition for good. What concerns no object stays under the prefix itself. With one
partition all keys are under the prefix.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property

from workers.redis.connection import NoHashTag, raw
from workers.redis.keys import Keys
from workers.settings.cluster_urls import SUGGESTED, has_hash_tag

MOST_THREADS = 64  # so many that calls that wait for one partition leave room for those of others


class Partitions:
    """The partitions under one prefix. Raises ``NoHashTag`` if there are several and the prefix has no hash tag."""

    def __init__(self, keys: Keys, count: int) -> None:
        if count > 1 and not has_hash_tag(keys.prefix):
            raise NoHashTag(
                f"{count} partitions need a prefix with a hash tag, and {keys.prefix!r} has none: set"
                f" WILDTAG_KEY_PREFIX={SUGGESTED}, or WILDTAG_PARTITIONS=1"
            )
        self.base = keys
        self.count = count
        self._keys = [keys] if count == 1 else [replace(keys, prefix=_prefix(keys.prefix, p)) for p in range(count)]

    def of(self, oid: str) -> int:
        """The partition of an object: the CRC32 of its id modulo their number."""
        return crc32(raw(oid)) % self.count

    def keys(self, partition: int) -> Keys:
        """The keys of the objects of one partition."""
        return self._keys[partition]

    def divide(self, oids: Iterable[str]) -> dict[int, list[int]]:
        """The positions of these objects by their partition, each in order."""
        divided: dict[int, list[int]] = {}
        for position, oid in enumerate(oids):
            divided.setdefault(self.of(oid), []).append(position)
        return divided

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """The threads of this process that wait for answers of partitions."""
        return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="partition")

    @property
    def all(self) -> tuple[Keys, ...]:
        """The keys of each partition."""
        return tuple(self._keys)


def _prefix(prefix: str, partition: int) -> str:
    """``:2`` before the brace that ends the hash tag."""
    begin, brace, tag = prefix.partition("{")
    name, end, rest = tag.partition("}")
    return f"{begin}{brace}{name}:{partition}{end}{rest}"
