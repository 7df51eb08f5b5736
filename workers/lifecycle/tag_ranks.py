"""The records of one partition that are found by a label, by their ranks, so that those of all can be merged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workers.lifecycle.tag_entries import IMPLIED, SEGMENT, TAG, rank_of
from workers.redis import scripts
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

Bounds = Sequence[tuple[int, int]]
"""The highest and the lowest rank of tags, of segments, and of what is implied."""
HIGHEST = rank_of(TAG, 1.0)


def bounds_of(min_score: float) -> Bounds:
    """Those of labels with at least this confidence, or score."""
    return [(rank_of(kind, 1.0), rank_of(kind, min_score)) for kind in (TAG, SEGMENT, IMPLIED)]


class TagRanks:
    """Reads the lists of labels. ``form``: ``tasks.labels.index_form``. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._count = self._redis.register_script(scripts.source("count_ranges"))

    def above(self, form: str, bounds: Bounds, ranks: Sequence[int]) -> list[int]:
        """The number of records that are above each of these ranks."""
        ranges = [bound for rank in ranks for most, least in bounds for bound in (max(least, rank + 1), most)]
        with translated():
            return list(map(int, self._count(keys=[self._keys.tag(form)], args=[len(bounds), *ranges])))

    def page(self, form: str, bounds: Bounds, rank: int, limit: int) -> list[tuple[int, bytes]]:
        """At most ``limit`` members with their ranks, best first, none of which is above this rank."""
        key = self._keys.tag(form)
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for most, least in bounds:
                pipe.zrevrangebyscore(key, min(most, rank), least, start=0, num=limit, withscores=True)
            answers = pipe.execute()
        return [(int(score), bytes(member)) for rows in answers for member, score in rows][:limit]
