"""Reads the keys of a stack as rows, while its processes run.

There is no moment at which all of them are read. They are read in the order in which objects pass through them:
batches, events that wait, the ledger, records, the feed, deliveries. What moves on meanwhile is found at its next
place, perhaps at both, so no object that wildtag knew when the backup began is missing. Whatever must agree is read
at once: a record with its place in the list, an entry of the ledger with its deadline, a batch with its counts, the
feed of all partitions with how far they were relayed. Lists that follow from records are not read at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vectordb.errors import Transient
from workers.backup.contents import BY_PATTERN, SAVED, celerys, prepared, rule_of
from workers.backup.key_rows import PART, KeyRows, Part, Row, paged
from workers.redis import scripts
from workers.redis.connection import raw, translated
from workers.redis.migration_steps import pages

OBJECTS, ENTRIES = 200, 200  # of one call
FIRST = ("encoder", "batches", "batches:unfinished", "batches:finished", "holds", "follows", "loss")
EVENTS = ("inbox:low-priority", "inbox", "retag-marks")
QUEUED = ("segmentation-queue", "segmentation-queue:forced", "segmentation-queue:origins")
FEED = ("catching-up", "images:position")
LAST = (
    "notify:receivers", "notify:paused", "events:rejected", "artifacts", "statements-revision", "statements-time",
    "statements-unwritten", "statements-taken-back", "statements-unfollowed", "object-number", "feed:replay",
    "skipped-captions",
)  # fmt: skip
_DELIVERIES = ("notify:waiting", "notify:due", "notify:dead", "notify:counts")
_WITH_OTHERS = {"ledger", "entry:OID", "segmenting", "record:OID", "records", "feed", "feed:positions"}


class RedisRows(KeyRows):
    """Reads the rows. ``retry`` is called with a fault that may pass; it returns to try again, or raises it.

    Raises ``StoreUnavailable``.
    """

    def __init__(
        self, parts: Sequence[Part], retry: Callable[[Transient], None], on_objects: Callable[[int], None]
    ) -> None:
        """``parts``: that of the prefix first. ``on_objects`` receives the number of records that were read."""
        super().__init__(retry)
        self._parts = parts
        self._on_objects = on_objects
        self._families: dict[int, dict[str, list[bytes]]] = {}

    def rows(self) -> Iterator[Row]:
        """All rows, in the order in which they are restored."""
        for part in self._parts:
            self._families[part.number] = self._named(part)
        for part in self._parts:
            yield from self._first(part)
        for part in self._parts:
            yield from self.plain(part, EVENTS)
        for part in self._parts:
            yield from self.plain(part, QUEUED)
            yield from self._entries(part)
            yield from self.plain(part, QUEUED)  # what went back to the queue meanwhile
            yield from self._family(part, "interrupted:BUCKET")
        for part in self._parts:
            yield from self._objects(part)
        for part in self._parts:
            yield from self._feed(part)
        for part in self._parts:
            for name in _DELIVERIES:
                yield from self.plain(part, [name, *self._of(part, name)])
            yield from self.plain(part, LAST)

    # what there is

    def _named(self, part: Part) -> dict[str, list[bytes]]:
        """The names of the keys of each pattern with a variable part, but for records and what is made again."""
        families: dict[str, set[bytes]] = {}
        begin = raw(part.keys.prefix)
        for page in self.tried(lambda: list(_scanned(part))):
            for key in page:
                name = bytes(key).removeprefix(begin)
                rule = rule_of(name)
                if prepared(name):
                    self.seen.left_out["keys that an encoder prepares"] += 1
                elif rule is None:
                    if celerys(name):
                        self.seen.left_out["keys of Celery"] += 1
                    elif len(self.seen.unknown) < 10:
                        self.seen.unknown.append(name.decode("utf-8", "replace"))
                        self.seen.left_out["keys that are not of the layout"] += 1
                    else:
                        self.seen.left_out["keys that are not of the layout"] += 1
                elif rule.treatment is SAVED and rule.pattern not in _WITH_OTHERS and raw(rule.pattern) != name:
                    families.setdefault(rule.pattern, set()).add(name)
        return {pattern: sorted(names) for pattern, names in families.items()}

    def _of(self, part: Part, pattern: str) -> list[bytes]:
        return self._families[part.number].get(pattern, [])

    def _first(self, part: Part) -> Iterator[Row]:
        for pattern in self._families[part.number]:
            if pattern.partition(":")[0] not in ("batch", "notify", "interrupted"):
                yield from self._family(part, pattern)
        batches = sorted({name for pattern in self._families[part.number] if pattern.startswith("batch:")
                          for name in self._of(part, pattern)})  # fmt: skip
        for _, group in _grouped(batches):
            yield from self.together(part, group)
        yield from self.together(part, [b"api-keys"])
        yield from self.plain(part, FIRST)
        yield from self.together(part, [b"backlog", b"backlog:objects"])
        yield from self._family(part, "interrupted:BUCKET")

    def _family(self, part: Part, pattern: str) -> Iterator[Row]:
        names = self._of(part, pattern)
        if BY_PATTERN[pattern].kind != "string":
            yield from self.plain(part, names)
            return
        for row in self.strings(part, names):
            self.seen.counts[pattern] += 1
            yield row

    # what passes through

    def _entries(self, part: Part) -> Iterator[Row]:
        redis: Any = part.client
        script = redis.register_script(scripts.source("backup_entries"))
        k = part.keys

        def oids() -> list[bytes]:
            with translated():
                return [oid for oid, _ in redis.zscan_iter(k.ledger, count=PART)]

        for page in paged(dict.fromkeys(self.tried(oids)), ENTRIES):

            def read(page: list[bytes] = page) -> list[Any]:
                with translated():
                    return list(script(keys=[k.ledger, k.segmenting], args=[k.entry(""), *page]))

            for oid, found in zip(page, self.tried(read), strict=True):
                if found:
                    self.seen.counts["ledger"] += 1
                    yield ("entry", part.number, oid, found[0], found[2], int(found[1]))

    def _objects(self, part: Part) -> Iterator[Row]:
        redis: Any = part.client
        script = redis.register_script(scripts.source("records", "backup_objects"))
        k = part.keys
        after: bytes = b"-"
        while True:

            def read(after: bytes = after) -> tuple[list[bytes], list[Any]]:
                with translated():
                    page = redis.zrange(k.objects, after, b"+", bylex=True, offset=0, num=OBJECTS)
                    keys = [k.records, *(raw(k.record("")) + oid for oid in page)]
                    return page, list(script(keys=keys)) if page else []

            page, answers = self.tried(read)
            if not page:
                return
            for oid, found in zip(page, answers, strict=True):
                if found:
                    self.seen.counts["records"] += 1
                    yield ("object", part.number, oid, *found)
            self._on_objects(self.seen.counts["records"])
            after = b"(" + page[-1]

    def _feed(self, part: Part) -> Iterator[Row]:
        """The feed, with the positions of those who read it; how far partitions were relayed agrees with its end."""
        redis: Any = part.client
        k = part.keys

        def read() -> tuple[dict[bytes, bytes], list[Any]]:
            with translated():
                pipe = redis.pipeline(transaction=True)
                pipe.hgetall(k.feed_positions)
                pipe.xrevrange(k.feed, count=1)
                positions, last = pipe.execute()
                return positions, last

        yield from self.plain(part, FEED)  # first: what is behind these positions is told again
        positions, last = self.tried(read)
        if last:
            yield from self.stream(part, b"feed", grouped=True, end=last[0][0])
        if positions:
            yield ("hash", part.number, b"feed:positions", 0, [one for pair in positions.items() for one in pair])


def _scanned(part: Part) -> Iterator[list[bytes]]:
    with translated():
        yield from pages(part.client, part.keys.prefix)


def _grouped(names: Sequence[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """The keys of each batch: ``batch:ID`` and its parts."""
    found: dict[bytes, list[bytes]] = {}
    for name in names:
        found.setdefault(name.split(b":")[1], []).append(name)
    yield from found.items()
