"""The version of each object that is tagged, read without its record: what derived indexes are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.message_parts import place_of
from workers.lifecycle.stored_heads import StoredHeads
from workers.lifecycle.stored_record import readable, state_range
from workers.lifecycle.tag_entries import forms
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys


@dataclass(frozen=True)
class RecordVersion:
    """The version of one object that has tags in this space, or may have none: the state of its record is ``done``.

    ``tags``: the forms by which it is found.
    """

    oid: str
    etag: str
    captions_version: str
    tags: tuple[str, ...]

    @property
    def name(self) -> tuple[str, str]:
        """Bucket and key."""
        bucket, key = place_of(self.oid)
        return bucket, key


class RecordVersions:
    """Reads the versions of one vector space. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, space_id: str) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._space = space_id + "/"
        self._heads = StoredHeads(client, keys)

    def count(self) -> int:
        """Number of records in the state ``done``, of all spaces."""
        with translated():
            return int(self._redis.zcount(self._keys.records, *state_range("done")))

    def busy(self) -> bool:
        """Whether objects wait or are in progress, also at low priority."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for stream in (self._keys.inbox, self._keys.low_priority_inbox):
                pipe.xlen(stream)
            pipe.zcard(self._keys.ledger)
            pipe.llen(self._keys.backlog)
            return any(pipe.execute())

    def pages(self, size: int) -> Iterator[list[str]]:
        """The ids of all objects with a record, in byte order, ``size`` at a time."""
        after: bytes | None = None
        while page := self.page(after, size):
            yield list(map(text, page))
            after = page[-1]
            if len(page) < size:
                return

    def page(self, after: bytes | None, size: int) -> list[bytes]:
        """The first ``size`` of these ids, or those after one of them."""
        start = b"-" if after is None else b"(" + after
        with translated():
            return list(self._redis.zrangebylex(self._keys.objects, start, b"+", start=0, num=size))

    def of(self, oids: Sequence[str]) -> list[RecordVersion | None]:
        """The version of each object; ``None`` for one without a record in this space, or whose record has failed."""
        if not oids:
            return []
        with translated():
            stored = self._redis.mget([self._keys.record(oid) for oid in oids])
        return [self._version(oid, one) for oid, one in zip(oids, stored, strict=True)]

    def moving(self, oids: Sequence[str], since: float) -> list[bool]:
        """Whether each object is in the ledger, or its record was written after ``since`` (Unix seconds)."""
        pairs = zip(self.in_progress(oids), self._heads.of(oids), strict=True)
        return [busy or (head is not None and head.at > since) for busy, head in pairs]

    def in_progress(self, oids: Sequence[str]) -> list[bool]:
        """Whether the ledger has a version of each object."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.exists(self._keys.entry(oid))
            return list(map(bool, pipe.execute()))

    def _version(self, oid: str, stored: bytes | None) -> RecordVersion | None:
        if stored is None:
            return None
        head, rows = readable(stored)
        if head is None or head.state != "done" or not head.revision.startswith(self._space):
            return None
        return RecordVersion(oid, head.etag, head.revision.removeprefix(self._space), tuple(forms(rows)))
