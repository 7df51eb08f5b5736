"""The objects of batches, in Redis: which are open, how many have ended in each state, and which have failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import fields
from workers.lifecycle.retag_marks import LOW_PRIORITY, USUAL
from workers.redis import scripts
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.streams import added_at

LIFETIME_S = 7 * 86_400
PAGE = 500
GONE = "gone"
FAILED = ("failed", "dead", GONE)

Page = list[tuple[bytes, float]]
"""Open objects, and when they joined the batch (Unix ms)."""

# Of two concurrent callers one removes it, and only that one counts it. The lists of those without tags, and of those
# that are gone among them, only grow at their end, so a position in them stays.
MOVE = (
    "if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then redis.call('HINCRBY', KEYS[2], ARGV[2], 1) "
    "if ARGV[3] == '1' then redis.call('ZADD', KEYS[3], 'NX', redis.call('ZCARD', KEYS[3]), ARGV[1]) end "
    "if ARGV[4] == '1' then redis.call('ZADD', KEYS[4], 'NX', redis.call('ZCARD', KEYS[4]), ARGV[1]) end end"
)


def nothing(pipe: Any) -> None:
    """Add no command."""


class BatchObjects:
    """Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._enter_batch = self._redis.register_script(scripts.source("enter_batch"))

    def enter(
        self,
        batch: str,
        events: Sequence[ObjectEvent],
        *,
        announce: bool,
        low_priority: bool = False,
        also: Callable[[Any], None] = nothing,
    ) -> None:
        """Add the objects of events to a batch. ``announce``: add their events to an inbox, too, atomically.

        ``also``: adds commands to the same transaction.
        """
        stream = self._keys.low_priority_inbox if low_priority else self._keys.inbox
        args: list[Any] = [LIFETIME_S, LOW_PRIORITY if low_priority else USUAL]
        for event in events:
            args += [raw(event.id), fields(event)["event"]] if announce else [raw(event.id)]
        of = self._keys.batch(batch, "open")
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            if events:
                marked = [self._keys.retag_marks] if any(event.force for event in events) else []
                self._enter_batch(keys=[of, stream, *marked] if announce else [of], args=args, client=pipe)
            also(pipe)
            pipe.execute()

    def number_open(self, batches: Sequence[str]) -> list[int]:
        """The number of open objects of each batch."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for batch in batches:
                pipe.zcard(self._keys.batch(batch, "open"))
            return list(map(int, pipe.execute()))

    def open(self, batch: str) -> Iterator[tuple[Page, float]]:
        """The open objects in pages, each with a time: all events added before it have been dispatched (Unix ms)."""
        told_until = self._told_until()
        with translated():
            members = self._redis.zrange(self._keys.batch(batch, "open"), 0, -1, withscores=True)
        for start in range(0, len(members), PAGE):
            yield members[start : start + PAGE], told_until

    def newest(self, batch: str, count: int) -> list[tuple[Page, float]]:
        """The open objects that joined a batch last, at most ``count``, as a page of ``open``."""
        told_until = self._told_until()
        with translated():
            members = self._redis.zrange(self._keys.batch(batch, "open"), -count, -1, withscores=True)
        return [(members, told_until)]

    def move(self, batch: str, ended: Sequence[tuple[bytes, str]]) -> None:
        """Count open objects that have ended in a state, once each."""
        name = self._keys.batch
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for member, state in ended:
                pipe.eval(
                    MOVE, 4, name(batch, "open"), name(batch, "counts"), name(batch, "failed"), name(batch, "gone"),
                    member, state, int(state in FAILED), int(state == GONE),
                )  # fmt: skip
            for part in ("counts", "failed", "gone"):
                pipe.expire(name(batch, part), LIFETIME_S)
            pipe.execute()

    def keep(self, batch: str) -> None:
        """Have the objects of an unfinished batch stay for another ``LIFETIME_S``."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for part in ("open", "counts", "failed", "gone"):
                pipe.expire(self._keys.batch(batch, part), LIFETIME_S)
            pipe.execute()

    def ended(
        self, batch: str, starts: Sequence[int] | None, limit: int
    ) -> tuple[Counter[str], list[bytes], list[int] | None]:
        """The number of objects that have ended in each state, and some of those without tags, as they ended.

        ``starts``: the positions of the first ones, as the call before has returned them; that of the last page
        returns ``None``.
        """
        start = starts[0] if starts else 0
        with translated():
            pipe = self._redis.pipeline()
            pipe.hgetall(self._keys.batch(batch, "counts"))
            pipe.zrange(self._keys.batch(batch, "failed"), start, start + limit)  # one more, to know of a next page
            counts, failed = pipe.execute()
        further = [start + limit] if len(failed) > limit else None
        return Counter({text(state): int(n) for state, n in counts.items()}), failed[:limit], further

    def gone(self, batch: str, limit: int) -> list[bytes]:
        """Some of the objects that are not in the bucket, in order."""
        with translated():
            return list(self._redis.zrange(self._keys.batch(batch, "gone"), 0, limit - 1))

    def _told_until(self) -> float:
        oldest = []
        with translated():
            for stream in (self._keys.inbox, self._keys.low_priority_inbox):
                oldest += self._redis.xrange(stream, count=1)
        return min((added_at(text(entry)) * 1000 for entry, _ in oldest), default=float("inf"))
