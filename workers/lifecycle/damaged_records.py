"""Records that cannot be read: logged, listed for ``wildtag status``, and tagged again by the next sweep.

Whoever reads such a record treats it as unknown and goes on. It stays listed until the ledger writes or removes it.
"""

from __future__ import annotations

from typing import Any

import structlog

from workers.lifecycle.record import DamagedRecord, Record, decode
from workers.lifecycle.stored_record import read_record
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

log = structlog.get_logger()


class DamagedRecords:
    """The list, in Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.damaged
        self._logged: set[str] = set()

    def read(self, oid: str, stored: bytes) -> Record | None:
        """Decode the stored record of an object. A damaged one is listed, and ``None`` returned."""
        try:
            return read_record(oid, stored)
        except DamagedRecord as exc:
            if oid not in self._logged:
                self._logged.add(oid)
                log.warning("record damaged", object=oid, reason=str(exc), then="the next sweep tags it again")
            with translated():
                self._redis.sadd(self._key, oid)
            return None

    def json(self, oid: str, stored: bytes) -> bytes | None:
        """The JSON of a stored record; ``None`` for a damaged one, which is listed."""
        record = self.read(oid, stored)
        return None if record is None else record.json()

    def list(self) -> list[str]:
        """The ids of the objects, sorted."""
        with translated():
            return sorted(text(oid) for oid in self._redis.smembers(self._key))


def record_in_feed(oid: str, body: bytes) -> Record:
    """The record in an entry of the feed. Raises ``DamagedRecord``.

    Entries that were written before version 3 of the layout hold JSON.
    """
    return decode(body) if body.startswith(b"{") else read_record(oid, body)


def read_copy(oid: str, body: bytes) -> Record | None:
    """Decode a copy of a record, as in the feed. A damaged one is logged, and ``None`` returned."""
    try:
        return record_in_feed(oid, body)
    except DamagedRecord as exc:
        log.warning("feed entry damaged and skipped", object=oid, reason=str(exc))
        return None
