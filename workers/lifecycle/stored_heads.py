"""Reads the heads of stored records without their bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from workers.lifecycle.record import DamagedRecord
from workers.lifecycle.stored_record import HEAD_BYTES, Head, Incomplete, head_of
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

Heads = list[Head | None]


class HeadReader(Protocol):
    """Reads heads, wherever they are. Raises ``StoreUnavailable``."""

    def of(self, oids: Sequence[str]) -> Heads:
        """The head of each object's record, ``None`` if there is none."""


class StoredHeads:
    """Raises ``StoreUnavailable``. A head that is damaged counts as none."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys

    def of(self, oids: Sequence[str]) -> Heads:
        """The head of each object's record, ``None`` if there is none."""
        if not oids:
            return []
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            self.ask(pipe, oids)
            return self.answered(oids, pipe.execute())

    def ask(self, pipe: Any, oids: Sequence[str]) -> None:
        """Add the commands that read the heads to a pipeline, one for each object."""
        for oid in oids:
            pipe.getrange(self._keys.record(oid), 0, HEAD_BYTES)

    def answered(self, oids: Sequence[str], answers: Sequence[bytes]) -> Heads:
        """The heads, from the answers to ``ask``. Longer ones are read once more."""
        return [self._head(oid, value) for oid, value in zip(oids, answers, strict=True)]

    def _head(self, oid: str, value: bytes) -> Head | None:
        try:
            return head_of(value) if value else None
        except Incomplete:
            if len(value) <= HEAD_BYTES:
                return None
            with translated():
                whole = self._redis.get(self._keys.record(oid)) or b""
            return self._head(oid, whole) if len(whole) > len(value) else None
        except DamagedRecord:
            return None
