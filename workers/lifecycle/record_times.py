"""The records of one partition by their times, so that those of all partitions can be merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workers.lifecycle.stored_record import STATE_SPAN
from workers.redis import scripts
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

TICKS = 2**17
"""Times count in ticks of 2^-17 s, which the scores of all states have exactly."""
LATEST = int(STATE_SPAN) * TICKS - 1


@dataclass(frozen=True)
class Timed:
    """A record in the lists. ``at``: the time of the record, Unix seconds. ``member``: see ``ObjectNumbers``."""

    at: float
    member: bytes


class RecordTimes:
    """Reads the list of records. ``places``: the ranges of some states. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.records
        self._count = self._redis.register_script(scripts.source("count_ranges"))

    def ticks(self, places: Sequence[int]) -> list[int]:
        """The ticks of the oldest and of the newest record of each state that has some."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for place in places:
                least, most = _score(place, 0), f"({_score(place + 1, 0)}"
                pipe.zrangebyscore(self._key, least, most, start=0, num=1, withscores=True)
                pipe.zrevrangebyscore(self._key, most, least, start=0, num=1, withscores=True)
            answers = pipe.execute()
        return [
            int((score - place * STATE_SPAN) * TICKS)
            for place, rows in zip((place for place in places for _ in range(2)), answers, strict=True)
            for _, score in rows
        ]

    def newer(self, places: Sequence[int], ticks: Sequence[int]) -> list[int]:
        """The number of records that are newer than each tick."""
        ranges = [
            bound
            for tick in ticks
            for place in places
            for bound in (_score(place, tick + 1), f"({_score(place + 1, 0)}")
        ]
        with translated():
            return list(map(int, self._count(keys=[self._key], args=[len(places), *ranges])))

    def page(self, places: Sequence[int], tick: int, limit: int) -> list[Timed]:
        """At most ``limit`` records, newest first, none of which is newer than a tick."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for place in places:
                most, least = f"({_score(place, tick + 1)}", _score(place, 0)
                pipe.zrevrangebyscore(self._key, most, least, start=0, num=limit, withscores=True)
            answers = pipe.execute()
        found = [
            Timed(score - place * STATE_SPAN, bytes(member))
            for place, rows in zip(places, answers, strict=True)
            for member, score in rows
        ]
        return sorted(found, key=lambda one: (one.at, one.member), reverse=True)[:limit]


def _score(place: int, tick: int) -> str:
    return f"{place * STATE_SPAN + tick / TICKS:.17g}"
