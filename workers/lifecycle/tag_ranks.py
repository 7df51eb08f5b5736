"""The records of one partition that are found by a label, by their ranks, so that those of all can be merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from workers.lifecycle.tag_entries import IMPLIED, SEGMENT, TAG, rank_of
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

Bounds = Sequence[tuple[int, int]]
"""The highest and the lowest rank of tags, of segments, and of what is implied."""
Ranked = tuple[int, bytes]
"""A rank and a place: two bytes with the partition, and the member of its list (``ObjectNumbers``)."""
PAGE = 1000


def bounds_of(min_score: float) -> Bounds:
    """Those of labels with at least this confidence, or score."""
    return [(rank_of(kind, 1.0), rank_of(kind, min_score)) for kind in (TAG, SEGMENT, IMPLIED)]


def split(place: bytes) -> tuple[int, bytes]:
    """The partition and the member of a place."""
    return int.from_bytes(place[:2], "big"), place[2:]


def in_order(pages: Iterable[Iterable[Ranked]]) -> list[bytes]:
    """The places of all partitions, best first; of equal ranks first those of the later partition and number."""
    return [place for _, place in sorted(set(chain.from_iterable(pages)), reverse=True)]


class TagRanks:
    """Reads the lists of labels. ``form``: ``tasks.labels.index_form``. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, partition: int = 0) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._partition = partition.to_bytes(2, "big")

    def page(self, form: str, bounds: Bounds, limit: int) -> list[Ranked]:
        """At most ``limit`` members, best first."""
        key = self._keys.tag(form)
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for most, least in bounds:
                pipe.zrevrangebyscore(key, most, least, start=0, num=limit, withscores=True)
            answers = pipe.execute()
        return [self._ranked(member, score) for rows in answers for member, score in rows][:limit]

    def all(self, form: str, bounds: Bounds) -> list[Ranked]:
        """All members, unordered. Each that is there all the time is there, whatever changes meanwhile."""
        found: dict[bytes, int] = {}
        with translated():
            for member, score in self._redis.zscan_iter(self._keys.tag(form), count=PAGE):
                found[bytes(member)] = int(score)
        return [
            self._ranked(member, rank)
            for member, rank in found.items()
            if any(least <= rank <= most for most, least in bounds)
        ]

    def _ranked(self, member: bytes, score: float) -> Ranked:
        return int(score), self._partition + bytes(member)
