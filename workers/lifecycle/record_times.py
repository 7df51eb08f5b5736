"""The list of records: by when their objects came, so that an object keeps its place for as long as it has a record.

Records that are written again, because an object is tagged again or overwritten, stay where they are. So pages from a
place on have no repeats and no gaps, whatever happens between two of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from workers.lifecycle.object_numbers import member_of
from workers.lifecycle.stored_record import STATE_SPAN
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

TICKS = 2**17
"""Times count in ticks of 2^-17 s, which the scores of all states have exactly."""


class RecordPlace(NamedTuple):
    """The place of an object in the list: its first record's time in ticks, its partition, and its number."""

    tick: int
    partition: int
    number: int

    @property
    def member(self) -> bytes:
        """See ``ObjectNumbers``."""
        return member_of(self.number)


class RecordTimes:
    """Reads the list of one partition. ``states``: the ranges of some states. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, partition: int = 0) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.records
        self._partition = partition

    def page(self, states: Sequence[int], after: RecordPlace | None, limit: int) -> list[RecordPlace]:
        """At most ``limit`` places, newest first, all behind ``after`` if that is given."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for state in states:
                most = f"({_score(state + 1, 0)}" if after is None else f"({_score(state, after.tick)}"
                least = _score(state, 0)
                pipe.zrevrangebyscore(self._key, most, least, start=0, num=limit, withscores=True)
                if after is not None:  # objects whose records were first written together have one time
                    beside = _score(state, after.tick), f"({_score(state, after.tick + 1)}"
                    pipe.zrangebyscore(self._key, *beside, withscores=True)
            answers = pipe.execute()
        each = 1 if after is None else 2
        rows = ((states[n // each], row) for n, page in enumerate(answers) for row in page)
        places = {self._place(state, *row) for state, row in rows}
        behind = places if after is None else {place for place in places if place < after}
        return heapq.nlargest(limit, behind)

    def times(self, numbers: Sequence[int]) -> list[float]:
        """When the objects with these numbers came (Unix seconds), 0 for those that are no longer there."""
        if not numbers:
            return []
        with translated():
            scores = self._redis.zmscore(self._key, list(map(member_of, numbers)))
        return [0.0 if score is None else float(score) % STATE_SPAN for score in scores]

    def ranges(self, numbers: Sequence[int]) -> list[int | None]:
        """In which range of the list the objects with these numbers are; ``None`` for those that are not there."""
        if not numbers:
            return []
        with translated():
            scores = self._redis.zmscore(self._key, list(map(member_of, numbers)))
        return [None if score is None else int(float(score) // STATE_SPAN) for score in scores]

    def _place(self, state: int, member: bytes, score: float) -> RecordPlace:
        tick = int((score - state * STATE_SPAN) * TICKS)
        return RecordPlace(tick, self._partition, int.from_bytes(member, "big"))


def merged(pages: Iterable[Sequence[RecordPlace]], limit: int) -> list[RecordPlace]:
    """The newest places of the pages of several partitions."""
    return list(islice(heapq.merge(*pages, reverse=True), limit))


def _score(state: int, tick: int) -> str:
    return f"{state * STATE_SPAN + tick / TICKS:.17g}"
