"""Writes the rows of a backup into an empty Redis. Rows may be written again after an interruption.

What follows from records is made again here: their lists, the index by labels, what is damaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from redis.exceptions import ResponseError

from workers.backup.key_rows import Part, Row, paged
from workers.lifecycle.record import DamagedRecord
from workers.lifecycle.stored_record import head_of, read_record
from workers.lifecycle.tag_entries import added, tag_entries
from workers.redis import scripts
from workers.redis.connection import raw, text, translated
from workers.redis.script_calls import call_together
from workers.redis.streams import entry_order

OBJECTS = 50  # of one call of the script, which others would wait for if there were any
PART = 500  # commands of one pipeline
NONE = added(())
_STATEMENTS = b"statements:"


class RedisLoader:
    """Writes rows. Raises ``StoreUnavailable``.

    ``now``: Unix seconds, the deadline of objects that were on their way: they are sent again. ``indexed``: whether
    records are found by their labels at once; those of an older layout are not, before they were migrated.
    """

    def __init__(self, parts: Sequence[Part], now: float, *, indexed: bool) -> None:
        self._parts = {part.number: part for part in parts}
        self._now = now
        self._indexed = indexed
        self._scripts = {
            part.number: part.client.register_script(scripts.source("records", "tag_index", "restore_objects"))
            for part in parts
        }

    def write(self, rows: Iterable[Row]) -> Iterator[int]:
        """Write the rows of a file; yields the number of rows after each step."""
        for (kind, place), group in groupby(rows, key=lambda row: (row[0], row[1])):
            part = self._parts[place]
            size = OBJECTS * 4 if kind == "object" else PART
            for page in paged(group, size):
                with translated():
                    if kind == "object":
                        self._objects(part, page)
                    elif kind == "stream":
                        self._streams(part, page)
                    elif kind == "groups":
                        self._groups(part, page)
                    else:
                        self._keys(part, page)
                yield len(page)

    def _keys(self, part: Part, rows: Sequence[Row]) -> None:
        redis: Any = part.client
        pipe = redis.pipeline(transaction=False)
        for row in rows:
            if row[0] == "entry":
                self._entry(pipe, part, row)
            else:
                _write(pipe, raw(part.keys.prefix) + row[2], row)
                if row[2].startswith(_STATEMENTS):
                    pipe.sadd(part.keys.stated, row[2].removeprefix(_STATEMENTS))
        pipe.execute()

    def _entry(self, pipe: Any, part: Part, row: Row) -> None:
        _, _, oid, _, fields, segmented = row
        k = part.keys
        pipe.hset(raw(k.entry("")) + oid, items=fields)
        pipe.zadd(k.ledger, {oid: self._now})
        if segmented:
            pipe.sadd(k.segmenting, oid)

    def _objects(self, part: Part, rows: Sequence[Row]) -> None:
        redis: Any = part.client
        k = part.keys
        calls, damaged = [], []
        for group in paged(rows, OBJECTS):
            keys: list[Any] = [k.records, k.objects, k.tags, k.last_number]
            args: list[Any] = [k.prefix]
            for _, _, oid, value, score in group:
                known, found = self._read(oid, value)
                if found is None:
                    damaged.append(oid)
                if not known or score == b"":  # it is found as damaged, and tagged again by the next sweep
                    redis.set(raw(k.record("")) + oid, value)
                    redis.zadd(k.objects, {oid: 0})
                    continue
                keys.append(raw(k.record("")) + oid)
                args += [oid, value, score, found or NONE]
            if len(args) > 1:
                calls.append((keys, args))
        call_together(redis, self._scripts[part.number], calls)
        if damaged:
            redis.sadd(k.damaged, *damaged)

    def _read(self, oid: bytes, value: bytes) -> tuple[bool, bytes | None]:
        """Whether the head can be read, and the rows of the index; ``None`` if the record cannot be read."""
        if not self._indexed:
            return True, NONE
        try:
            head_of(value)
        except DamagedRecord:
            return False, None
        try:
            return True, added(tag_entries(read_record(text(oid), value)))
        except DamagedRecord:
            return True, None

    def _streams(self, part: Part, rows: Sequence[Row]) -> None:
        redis: Any = part.client
        for _, _, name, _, entries in rows:
            key = raw(part.keys.prefix) + name
            last = redis.xrevrange(key, count=1)
            done = entry_order(last[0][0]) if last else (0, 0)
            pipe = redis.pipeline(transaction=False)
            for entry, fields in entries:
                if entry_order(entry) > done:
                    pipe.execute_command("XADD", key, entry, *fields)
            pipe.execute()

    def _groups(self, part: Part, rows: Sequence[Row]) -> None:
        redis: Any = part.client
        for _, _, name, groups in rows:
            key = raw(part.keys.prefix) + name
            for group, position in groups:
                read = {"entries_read": len(redis.xrange(key, "-", position))} if _counts(redis) else {}
                try:
                    redis.xgroup_create(key, group, id=position, mkstream=True, **read)
                except ResponseError as exc:
                    if "BUSYGROUP" not in str(exc):
                        raise


def _write(pipe: Any, key: bytes, row: Row) -> None:
    kind, _, _, lifetime, value, *rest = row
    if kind == "string":
        pipe.set(key, value, px=lifetime or None)
        return
    if kind == "hash":
        pipe.hset(key, items=value)
    elif kind == "zset":
        pipe.zadd(key, dict(zip(value[::2], value[1::2], strict=True)))
    elif kind == "set":
        pipe.sadd(key, *value)
    elif kind == "list":
        if rest[0]:
            pipe.ltrim(key, 0, rest[0] - 1)  # what an interrupted restore has written of it is written again
        else:
            pipe.delete(key)
        pipe.rpush(key, *value)
    if lifetime:
        pipe.pexpire(key, lifetime)


def _counts(redis: Any) -> bool:
    """Whether this Redis counts what groups have read: from version 7.0 on."""
    return int(str(redis.info("server")["redis_version"]).partition(".")[0]) >= 7
