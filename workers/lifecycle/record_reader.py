"""Reads records, their indexes and the feed. Only the ledger writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from workers.lifecycle.damaged_records import DamagedRecords, read_copy
from workers.lifecycle.object_numbers import ObjectNumbers
from workers.lifecycle.record import STATES, Record, State
from workers.lifecycle.record_times import RecordPlace, RecordTimes
from workers.lifecycle.removed import NOTHING, Removed, read_removed, removal
from workers.lifecycle.stored_heads import HeadReader, StoredHeads
from workers.lifecycle.stored_record import ACKNOWLEDGED, PLACES, readable, state_range
from workers.lifecycle.tag_entries import forms
from workers.lifecycle.tag_hints import TagHints
from workers.lifecycle.tag_index import TagIndex
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.streams import Entries, entries

T = TypeVar("T")
PAGE = 500


@dataclass(frozen=True)
class FeedItem:
    """An entry of the feed. ``record`` is ``None`` when the object was removed."""

    id: str
    oid: str
    record: Record | None
    about: Removed = NOTHING

    @property
    def removed(self) -> dict[str, object]:
        """What is told of an object that was removed."""
        return removal(self.oid, self.about)


@dataclass(frozen=True)
class Pending:
    """An object in progress."""

    oid: str
    stage: str
    attempts: int
    accepted_at: float
    fault: str | None


class Records:
    """Reads records, their indexes and the feed. Raises ``StoreUnavailable``.

    A damaged record counts as unknown, see ``workers.lifecycle.damaged_records``.
    """

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self.damaged = DamagedRecords(client, keys)
        self.numbers = ObjectNumbers(client, keys)
        self._heads = StoredHeads(client, keys)
        self.heads: HeadReader = self._heads
        self.tag_index = TagIndex(client, keys, self.damaged, self.numbers)
        self.tag_hints = TagHints(self.tag_index)
        self.record_times = RecordTimes(client, keys)

    def get(self, oids: Sequence[str]) -> list[Record | None]:
        """The record of each object, ``None`` if there is none."""
        return [
            None if body is None else self.damaged.read(oid, body)
            for oid, body in zip(oids, self.stored(oids), strict=True)
        ]

    def stored(self, oids: Sequence[str]) -> list[bytes | None]:
        """Each object's record as it is stored (``workers.lifecycle.stored_record``), ``None`` if there is none."""
        if not oids:
            return []
        with translated():
            return list(self._redis.mget([self._keys.record(oid) for oid in oids]))

    def keys(self, bucket: str, prefix: str = "", after: str = "", upto: str | None = None) -> Iterator[str]:
        """Yield the keys of a bucket that have records, in byte order, in pages.

        Only keys that begin with ``prefix``, after ``after`` and up to ``upto`` (inclusive) if given.
        """
        start = b"(" + raw(f"{bucket}/{after}") if after >= prefix and after else b"[" + raw(f"{bucket}/{prefix}")
        end = b"(" + raw(f"{bucket}/{prefix}") + b"\xff" if upto is None else b"[" + raw(f"{bucket}/{upto}")
        for oid in map(text, self._between(start, end)):
            if oid.startswith(f"{bucket}/{prefix}"):
                yield oid.removeprefix(f"{bucket}/")

    def page_between(self, start: bytes, end: bytes, size: int) -> list[bytes]:
        """At most ``size`` ids of objects with a record, in byte order; the bounds are those of ``ZRANGEBYLEX``."""
        with translated():
            return list(self._redis.zrangebylex(self._keys.objects, start, end, start=0, num=size))

    def _between(self, start: bytes, end: bytes) -> Iterator[bytes]:
        while True:
            page = self.page_between(start, end, PAGE)
            yield from page
            if len(page) < PAGE:
                return
            start = b"(" + page[-1]

    def count_in(self, bucket: str, prefix: str = "") -> int:
        """Number of objects of a bucket that have a record, of those whose keys begin with ``prefix``."""
        start = raw(f"{bucket}/{prefix}")
        with translated():
            return int(self._redis.zlexcount(self._keys.objects, b"[" + start, b"(" + start + b"\xff"))

    def known(self, oids: Sequence[str]) -> list[tuple[str, str]]:
        """The ETag of each object's record and of its version in progress; empty if there is none."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.hget(self._keys.entry(oid), "etag")
            self._heads.ask(pipe, oids)
            answers = pipe.execute()
        heads = self._heads.answered(oids, answers[len(oids) :])
        return [
            ("" if head is None else head.etag, text(etag or b""))
            for head, etag in zip(heads, answers[: len(oids)], strict=True)
        ]

    def labelled(self, oids: Sequence[str]) -> list[tuple[str, str, list[str]]]:
        """The state and captions version of each record, and the forms of the labels by which it is found.

        Empty if there is none. Forms: ``tasks.labels.index_form``.
        """
        return [_labelled(stored) for stored in self.stored(oids)]

    def places(self, after: RecordPlace | None, limit: int, state: State | None = None) -> list[RecordPlace]:
        """The places of ``limit`` objects, newest object first, all behind ``after`` if that is given."""
        return self.places_in(ranges(state), after, limit)

    def places_in(self, listed: Sequence[int], after: RecordPlace | None, limit: int) -> list[RecordPlace]:
        """``places``, of those in some ranges of the list (``PLACES``)."""
        return self.record_times.page(listed, after, limit)

    def named(self, places: Sequence[RecordPlace]) -> list[str | None]:
        """The ids of the objects at these places; ``None`` for one that was removed meanwhile."""
        return self.numbers.oids([place.member for place in places])

    def times(self, oids: Sequence[str], numbers: Sequence[int]) -> list[float]:  # noqa: ARG002 -- for partitions
        """When these objects came (Unix seconds): the time of their first record. ``numbers``: theirs."""
        return self.record_times.times(numbers)

    def ranges_of(self, oids: Sequence[str]) -> list[int | None]:
        """In which range of the list of records each object is (``PLACES``); ``None`` for one without a record."""
        heads = self._heads.of(oids)
        there = {oid: head.number for oid, head in zip(oids, heads, strict=True) if head is not None}
        found = dict(zip(there, self.record_times.ranges(list(there.values())), strict=True))
        return [found.get(oid) for oid in oids]

    def page(
        self, after: RecordPlace | None, limit: int, state: State | None = None
    ) -> tuple[list[Record], RecordPlace | None]:
        """At most ``limit`` records behind a place, newest object first, and the place of the last one.

        The place is ``None`` if there are no more. Only the last page has fewer than ``limit`` records.
        """
        found: list[Record] = []
        while len(found) < limit:
            wanted = limit - len(found)
            places = self.places(after, wanted, state)
            known = [oid for oid in self.named(places) if oid is not None]
            found += (one for one in self.get(known) if one is not None and state in {None, one.state})
            if len(places) < wanted:
                return found, None
            after = places[-1]
        return found, after

    def oids(self, state: State | None = None) -> Iterator[str]:
        """Yield the ids of objects with a record, newest object first."""
        after: RecordPlace | None = None
        while places := self.places(after, PAGE, state):
            yield from (oid for oid in self.named(places) if oid is not None)
            after = places[-1]

    def latest(self, limit: int | None = None, state: State | None = None) -> Iterator[Record]:
        """Yield records, newest object first."""
        after: RecordPlace | None = None
        left = limit if limit is not None else 2**62
        while left > 0:
            found, after = self.page(after, min(left, PAGE), state)
            yield from found
            left -= len(found)
            if after is None:
                return

    def pending(self, limit: int = 100) -> list[Pending]:
        """Objects in the ledger, earliest deadline first."""
        return [one for _, one in self.pending_until(limit)]

    def pending_until(self, limit: int) -> list[tuple[float, Pending]]:
        """``pending``, each with its deadline (Unix seconds)."""
        with translated():
            rows = self._redis.zrange(self._keys.ledger, 0, limit - 1, withscores=True)
            oids = [text(o) for o, _ in rows]
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.hmget(self._keys.entry(oid), "stage", "attempts", "accepted_at", "fault")
            answers = pipe.execute()
        return [
            (deadline, Pending(oid, text(a[0]), int(a[1]), float(a[2]), text(a[3]) if a[3] else None))
            for oid, (_, deadline), a in zip(oids, rows, answers, strict=True)
            if a[0] is not None
        ]

    def on_its_way(self, oid: str) -> Pending | None:
        """The ledger entry of an object; ``None`` if the ledger has none."""
        with translated():
            a = self._redis.hmget(self._keys.entry(oid), "stage", "attempts", "accepted_at", "fault")
        if a[0] is None:
            return None
        return Pending(oid, text(a[0]), int(a[1]), float(a[2]), text(a[3]) if a[3] else None)

    def counts(self) -> dict[str, int]:
        """Number of objects in the inbox, in the segmentation queue, in progress, and per state of their record.

        Those that are dead and were acknowledged are counted as ``acknowledged`` instead.
        """
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            pipe.xlen(self._keys.inbox)
            pipe.zcard(self._keys.segmentation_queue)
            pipe.zcard(self._keys.ledger)
            for state in (*STATES, ACKNOWLEDGED):
                pipe.zcount(self._keys.records, *state_range(state))
            return dict(zip(("inbox", "segments", "in_flight", *STATES, ACKNOWLEDGED), pipe.execute(), strict=True))

    def feed_end(self) -> str:
        """The id of the newest feed entry: read from here to see only new entries."""
        with translated():
            newest = self._redis.xrevrange(self._keys.feed, count=1)
        return text(newest[0][0]) if newest else "0-0"

    def feed_begin(self) -> str | None:
        """The id of the oldest entry in the feed."""
        with translated():
            oldest = self._redis.xrange(self._keys.feed, count=1)
        return text(oldest[0][0]) if oldest else None

    def feed_page(self, after: str, count: int) -> list[FeedItem]:
        """Feed entries after an id; does not wait. Empty only if there are no others than damaged ones."""
        while True:
            with translated():
                found = self._redis.xrange(self._keys.feed, f"({after}", count=count)
            if not found or (items := _items(found)):
                return items if found else []
            after = text(found[-1][0])

    def feed(self, after: str, block_ms: int, count: int = 100) -> list[FeedItem]:
        """Feed entries after an id; waits up to ``block_ms`` if there are none. Damaged ones are passed over."""
        while True:
            with translated():
                found = entries(self._redis.xread({self._keys.feed: after}, count=count, block=block_ms))
            if not found or (items := _items(found)):
                return items if found else []
            after = text(found[-1][0])


def ranges(state: State | None) -> list[int]:
    """The ranges of the list of records that have those in a state, or all."""
    if state is None:
        return list(PLACES.values())
    return [PLACES[state], PLACES[ACKNOWLEDGED]] if state == "dead" else [PLACES[state]]


def _labelled(stored: bytes | None) -> tuple[str, str, list[str]]:
    head, rows = readable(stored) if stored is not None else (None, [])
    return ("", "", []) if head is None else (head.state, head.captions_version, list(forms(rows)))


def _items(found: Entries) -> list[FeedItem]:
    items = []
    for entry, fields in found:
        oid, body = text(fields[b"oid"]), fields[b"body"]
        record = read_copy(oid, body) if body else None
        if record is not None or not body:
            items.append(FeedItem(text(entry), oid, record, read_removed(fields.get(b"removed"))))
    return items


def in_pages(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Split items into lists of ``size``; the last one may be shorter."""
    while page := list(islice(items, size)):
        yield page
