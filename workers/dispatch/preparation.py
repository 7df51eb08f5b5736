"""Prepares another encoder: submits what its pipeline lacks, page by page, by comparing the heads of the records.

The pipeline is a dispatcher and a worker of their own under ``P next:``. Nothing is remembered: what is missing
there, or older than the record in use, is submitted. So an interruption costs nothing, and new images are found like
old ones. Images with statements go first, because their vectors are the exemplars.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.message_parts import place_of
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record_reader import Records, in_pages
from workers.lifecycle.stored_record import PLACES, Head, read_record, readable
from workers.lifecycle.tag_entries import added, removed, tag_entries
from workers.redis import scripts
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys

PAGE = 500
AT_ONCE = 16
TRIES = 3  # of an image that leaves no record, before it counts as refused: it is not in the bucket
AHEAD = 64  # objects in progress at a time: few, so that a pause takes effect soon
BUSY_S = 5.0  # while other images are in progress, so long passes between two batches
REST_S = 0.1


@dataclass
class Compared:
    """What one comparison has found. ``images``: tagged now. ``refused``: why the new encoder has no tags for some.

    ``kept``: images with segments, which keep their record until they are tagged again.
    """

    images: int = 0
    prepared: int = 0
    kept: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    missing: int = 0


@dataclass
class _Page:
    wanted: list[tuple[str, Head]] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Side:
    """One of the two pipelines."""

    client: Client
    keys: Keys
    records: Records
    ledger: Ledger
    inbox: EventInbox

    def in_progress(self) -> int:
        """Number of its objects that are not finished."""
        return self.ledger.in_flight() + self.inbox.length()


class Preparation:
    """Compares and submits. Raises ``StoreUnavailable``."""

    def __init__(
        self, now: Side, next_: Side, space_id: str, rate: float | None = None,
        tick: Callable[[Compared], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """``now``, ``next_``: the pipeline in use and the other one. ``space_id``: of the latter.

        ``rate``: images submitted each second at most; it may be changed at any time. ``tick``: called again and
        again, also while this waits.
        """
        self._now, self._next = now, next_
        self._space = f"{space_id}/"
        self.rate = rate
        self._tick = tick
        self._redis: Any = now.client  # redis-py types every answer as "awaitable or value"
        self._said = ""
        self._began = False
        self._due = 0.0
        self._total = 0
        self._waited = time.monotonic()
        self._tried: Counter[tuple[str, float]] | None = None
        self._keep = self._redis.register_script(scripts.source("records", "tag_index", "keep_prepared"))

    def prepare(self) -> None:
        """Copy what people said, so that it is not restored from the journal. Call it before the pipeline runs."""
        self._copy_statements()
        with translated():
            self._redis.set(self._next.keys.statements_restored, b"1")

    def unfinished(self) -> int:
        """Number of objects that the other pipeline has in progress."""
        return self._next.in_progress()

    def complete(self, *, gently: bool = True, keep_refused: bool = False) -> Compared:
        """Compare and submit until nothing is missing and nothing in progress."""
        self._total = self.run(submit=False).images
        while True:
            found = self.run(gently=gently, keep_refused=keep_refused)
            if not found.missing and not self.unfinished():
                return found
            self.settle(lambda: not self.unfinished())
            # counted from here on, when few are left
            self._tried = Counter() if self._tried is None else self._tried

    def settle(self, ended: Callable[[], bool]) -> None:
        """Wait until this is true."""
        while not ended():
            self._rest()

    def run(self, *, submit: bool = True, gently: bool = True, keep_refused: bool = False) -> Compared:
        """Compare all records, and submit what is missing. Returns when it is submitted, not when it is finished.

        ``gently``: other images go first. ``keep_refused``: what the new encoder refuses keeps the record in use.
        """
        found = Compared()
        if submit:
            self._forget_removed()
            if self._copy_statements() or not self._began:
                self._began = True
                for oids in in_pages(iter(sorted(self._stated())), PAGE):
                    self._submit(self._look(oids, Compared()).wanted, gently=gently)
                self.settle(lambda: not self.unfinished())
        for oids in self._pages(self._now):
            page = self._look(oids, found, keep_refused=keep_refused)
            found.missing += len(page.wanted) + (0 if submit else len(page.keep))
            if submit:
                if page.forget:
                    self._next.ledger.remove(page.forget)
                for oid in page.keep:
                    self._keep_record(oid)
                self._submit(page.wanted, gently=gently)
                if self._tried is not None:
                    self._tried.update((oid, head.at) for oid, head in page.wanted)
        return found

    def _pages(self, side: Side) -> Iterator[list[str]]:
        start = b"-"
        while page := side.records.page_between(start, b"+", PAGE):
            yield list(map(text, page))
            start = b"(" + page[-1]

    def _look(self, oids: Sequence[str], found: Compared, *, keep_refused: bool = False) -> _Page:
        """What is to be done for these objects; counts them in ``found``."""
        page = _Page()
        both = zip(oids, self._now.records.heads.of(oids), self._next.records.heads.of(oids), strict=True)
        for oid, now, then in both:
            if now is None or now.state != "done":
                page.forget += [oid] if then is not None else []
                continue
            found.images += 1
            same = then is not None and then.etag == now.etag and then.number == now.number and then.at >= now.at
            if now.segment:
                found.kept += 1
                found.prepared += 1
                page.keep += [] if then is not None and same and then.at == now.at else [oid]
            elif not same and self._tried is not None and self._tried[oid, now.at] >= TRIES:
                found.refused[oid] = "missing"  # a held removal, for instance
                page.keep += [oid] if keep_refused else []
            elif then is None or not same:
                page.wanted.append((oid, now))
                page.forget += [oid] if then is not None and then.number != now.number else []
            elif then.state != "done":
                found.refused[oid] = then.state
                page.keep += [oid] if keep_refused else []
            elif then.revision.startswith(self._space):
                found.prepared += 1
            else:
                found.refused[oid] = "kept"  # the record in use, by an earlier --force
        return page

    def _submit(self, wanted: Sequence[tuple[str, Head]], *, gently: bool) -> None:
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            while self.unfinished() >= AHEAD or time.monotonic() < self._due or (gently and self._yields()):
                self._rest()
            with translated():
                numbers = {raw(oid): str(head.number) for oid, head in part}
                self._redis.hset(self._next.keys.reserved_numbers, mapping=numbers)
            # forced, because the record in use may have changed and its version may not
            self._next.inbox.append([ObjectEvent("created", *place_of(oid), force=True) for oid, _ in part])
            if self.rate:
                self._due = time.monotonic() + len(part) / self.rate

    def _rest(self) -> None:
        self._tick(Compared(images=self._total))
        time.sleep(REST_S)

    def _yields(self) -> bool:
        """Whether other images are in progress, and the last batch was a short time ago."""
        if not self._now.in_progress():
            return False
        now = time.monotonic()
        if now - self._waited < BUSY_S:
            return True
        self._waited = now
        return False

    def _keep_record(self, oid: str) -> None:
        """Put the record in use beside the prepared ones, so that it stays found by its tags."""
        k = self._next.keys
        with translated():
            value, before = self._redis.mget(self._now.keys.record(oid), k.record(oid))
        if value is None:
            return
        record = read_record(oid, value)
        args = [k.prefix, raw(oid), value, before or b"", removed(readable(before or b"")[1]),
                added(tag_entries(record)), PLACES[record.state]]  # fmt: skip
        with translated():
            self._keep(keys=[k.records, k.objects, k.tags, k.record(oid)], args=args)

    def _forget_removed(self) -> None:
        """Remove what was removed from the pipeline in use."""
        for oids in self._pages(self._next):
            heads = zip(oids, self._now.records.heads.of(oids), strict=True)
            if gone := [oid for oid, head in heads if head is None]:
                self._next.ledger.remove(gone)

    def _stated(self) -> set[str]:
        with translated():
            return set(map(text, self._redis.smembers(self._now.keys.stated)))

    def _copy_statements(self) -> bool:
        """Copy what people said, if it has changed. Returns whether it has."""
        now, then = self._now.keys, self._next.keys
        with translated():
            revision = text(self._redis.get(now.statements_revision) or b"")
            if revision == self._said or revision == text(self._redis.get(then.statements_revision) or b""):
                self._said = revision
                return False
            here, there = self._stated(), set(map(text, self._redis.smembers(then.stated)))
            pipe = self._redis.pipeline(transaction=True)
            for oid in sorted(here):
                pipe.copy(now.statements(oid), then.statements(oid), replace=True)
                pipe.sadd(then.stated, raw(oid))
            for oid in sorted(there - here):
                pipe.delete(then.statements(oid))
                pipe.srem(then.stated, raw(oid))
            pipe.set(then.statements_restored, b"1")
            pipe.set(then.statements_revision, revision or "0")
            pipe.execute()
        self._said = revision
        return True
