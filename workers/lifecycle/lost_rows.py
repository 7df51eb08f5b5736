"""Finds what a damaged record does not say any more: its labels, and its number. Both are sought among all.

That takes up to some seconds in a large archive, and happens once a damaged record, when it is replaced or removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog

from workers.lifecycle.object_numbers import PAGE, member_of
from workers.lifecycle.record import DamagedRecord
from workers.lifecycle.stored_record import Head, head_of, packed, read_rows, unreadable_body
from workers.lifecycle.tag_entries import SEGMENT, Row, rank_of
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.layout import escaped

log = structlog.get_logger()

FORMS = 2000
PAGES = 1000


class LostRows:
    """Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys

    def rows(self, oid: str, stored: bytes) -> list[Row]:
        """The rows of a stored record, under which the index has it; none without a record.

        If the head cannot be read, the record gets one: whoever has read ``stored`` must read it again.
        """
        if not stored:
            return []
        try:
            return read_rows(stored)[1]
        except DamagedRecord as exc:
            log.warning("record damaged", object=oid, reason=str(exc), then="its labels are sought in the index")
        try:
            member = member_of(head_of(stored).number)
        except DamagedRecord:
            self._give_head(oid, stored)
            return []
        return list(self._found(member))

    def _found(self, member: bytes) -> Iterator[Row]:
        start = 0
        while forms := self._forms(start):
            with translated():
                pipe = self._redis.pipeline(transaction=False)
                for form in forms:
                    pipe.zscore(self._keys.tag(form), member)
                ranks = pipe.execute()
            for form, rank in zip(forms, ranks, strict=True):
                if rank is not None:
                    yield form if rank >= rank_of(SEGMENT, 0.0) else (form, "", form)
            start += FORMS

    def _forms(self, start: int) -> list[str]:
        with translated():
            return [text(form) for form in self._redis.zrange(self._keys.tags, start, start + FORMS - 1)]

    def _give_head(self, oid: str, stored: bytes) -> None:
        number = self._number(raw(oid))
        key = self._keys.record(oid)

        def work(pipe: Any) -> None:
            same = pipe.get(key) == stored
            pipe.multi()
            if same and number is None:
                pipe.delete(key)
            elif same and number is not None:
                pipe.set(key, packed(Head("", "", "", "dead", "", "", number, 0.0), unreadable_body(b"")))

        with translated():
            self._redis.transaction(work, key)

    def _number(self, oid: bytes) -> int | None:
        begin = self._keys.numbered_begin
        with translated():
            for key in self._redis.scan_iter(match=f"{escaped(begin)}*", count=PAGES):
                for field, its in self._redis.hgetall(key).items():
                    if its == oid:
                        return int(text(key).removeprefix(begin)) * PAGE + int(field)
        return None
