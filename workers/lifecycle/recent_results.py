"""What has finished lately, from the feed: the rate, how long objects took, and why they failed.

The feed has a bounded length and is read backwards up to a bound, so that it costs the same whatever is in Redis.
What the numbers cover is said with them.

Entries have the time of Redis, which stands still if that clock was set back, until it has caught up. Then an entry
counts as finished when it was first seen here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from workers.lifecycle.damaged_records import read_copy
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.streams import entry_order

KEPT_S = 3600.0  # how far back it looks
MOST = 5000  # entries of the feed
PAGE = 500
TIMED = 300  # newest objects whose duration is read
AHEAD_S = 5.0  # by which an entry may be ahead of a clock that was read before
LATE_S = 300.0  # … unless they finished before


FAILED = frozenset({"failed", "dead"})
"""The states of objects that have no tags and should have some."""


class FeedEntry(NamedTuple):
    """An entry of the feed as it is stored. ``at``: Unix seconds. ``state``: ``removed``, or of the record."""

    id: str
    at: float
    oid: str
    state: str
    body: bytes


class Finished(NamedTuple):
    """An object that finished. ``at``: Unix seconds. ``seconds``: from acceptance; ``None`` if it was not read."""

    at: float
    state: str
    code: str
    seconds: float | None


class Rate(msgspec.Struct, frozen=True):
    """``objects`` finished in ``seconds``."""

    objects: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Objects a second; 0 without a time."""
        return self.objects / self.seconds if self.seconds > 0 else 0.0


class Latency(msgspec.Struct, frozen=True):
    """Seconds from acceptance to the record of ``objects``: those that finished in the last minutes."""

    p50: float
    p95: float
    objects: int


class Failures(msgspec.Struct, frozen=True):
    """Objects that failed or were given up in the last ``seconds``, of ``finished``. ``reasons``: by error code."""

    seconds: float
    finished: int
    reasons: dict[str, int]

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.reasons.values())

    @property
    def share(self) -> float:
        """Of those that finished."""
        return self.count / self.finished if self.finished else 0.0


class RecentResults:
    """Reads what is new at each ``update``. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, feed_length: int, most: int = MOST) -> None:
        """``feed_length``: of the settings, to know whether the feed was trimmed."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._feed = keys.feed
        self._feed_length = feed_length
        self._most = most
        self._seen = "0-0"
        self._since = float("-inf")  # everything since then is known
        self._found: deque[Finished] = deque()  # oldest first
        self._now = 0.0

    def update(self, now: float) -> None:
        """Read what finished since the last call. ``now``: Unix seconds, by the clock of Redis."""
        if now < self._now:  # the clock was set back: what finished then is as long ago as before
            passed = now - self._now
            self._found = deque(one._replace(at=one.at + passed) for one in self._found)
            self._since += passed
        self._now, begin = now, now - KEPT_S
        new: list[FeedEntry] = []
        complete = False
        while not complete and len(new) < self._most:
            page = self._before(new[-1].id if new else None, self._seen, PAGE)
            new += page
            complete = len(page) < PAGE or page[-1].at < begin
        if not complete or len(new) >= self._feed_length:  # there were too many, or the feed was trimmed
            self._found.clear()
            self._since = min(now, new[-1].at)
        if self._seen == "0-0" and new and new[0].at > now + AHEAD_S:  # when these finished is not known
            self._since, self._seen, new = now, new[0].id, []
        if new:
            self._seen = new[0].id
        read = [_finished(entry, timed=place < TIMED and entry.at >= now - LATE_S) for place, entry in enumerate(new)]
        self._found.extend(one._replace(at=min(one.at, now)) for one in reversed(read) if one.state != "removed")
        while self._found and (self._found[0].at < begin or len(self._found) > self._most):
            self._since = max(self._since, self._found.popleft().at)

    def _before(self, before: str | None, after: str, count: int) -> list[FeedEntry]:
        """Entries between two ids, newest first; the newest of all without ``before``."""
        with translated():
            found = self._redis.xrevrange(self._feed, f"({before}" if before else "+", f"({after}", count=count)
        return [
            FeedEntry(text(entry), entry_order(entry)[0] / 1000, text(of[b"oid"]), text(of[b"state"]), of[b"body"])
            for entry, of in found
        ]

    def rate(self, seconds: float) -> Rate:
        """What finished in the last seconds, or in those that are known."""
        begin = max(self._since, self._now - seconds)
        return Rate(sum(one.at > begin for one in self._found), round(self._now - begin, 3))

    def latency(self) -> Latency | None:
        """How long the newest objects took; ``None`` if none has finished in the last minutes."""
        took = sorted(one.seconds for one in self._found if one.seconds is not None and one.at >= self._now - LATE_S)
        if not took:
            return None
        return Latency(round(_quantile(took, 0.5), 3), round(_quantile(took, 0.95), 3), len(took))

    def failures(self) -> Failures:
        """What failed in the last hour, or since what is known."""
        begin = max(self._since, self._now - KEPT_S)
        codes = Counter(one.code for one in self._found if one.state in FAILED)
        return Failures(round(self._now - begin, 1), len(self._found), dict(codes.most_common()))


def _finished(entry: FeedEntry, *, timed: bool) -> Finished:
    """Only what is wanted is unpacked: that takes longer than all the rest."""
    record = read_copy(entry.oid, entry.body) if timed or entry.state in FAILED else None
    if record is None:
        return Finished(entry.at, entry.state, "", None)
    total = record.timings_ms.get("total")
    code = record.error.code if record.error else ""
    return Finished(entry.at, entry.state, code, None if total is None else total / 1000)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
