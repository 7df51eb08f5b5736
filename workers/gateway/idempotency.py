"""Repeated uploads: a request with the ``Idempotency-Key`` of an earlier one gives the image that one stored."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

REMEMBERED_S = 86_400
AT_WORK_S = 60  # how long a request that is at work is believed in without a sign from it


class Stored(msgspec.Struct, frozen=True):
    """What an upload led to: the image's id, and the digest of its bytes. Both empty while it is at work."""

    id: str = ""
    digest: str = ""


class Idempotency:
    """Remembers uploads for a day. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys

    def begin(self, caller: str, key: str) -> Stored | Literal["begun", "at-work"]:
        """Claim a key for one upload, or hear what it led to. Callers do not share keys."""
        name = self._name(caller, key)
        with translated():
            if self._redis.set(name, msgspec.json.encode(Stored()), nx=True, ex=AT_WORK_S):
                return "begun"
            known = self._redis.get(name)
        stored = msgspec.json.decode(known, type=Stored) if known else Stored()
        return stored if stored.id else "at-work"

    def go_on(self, caller: str, key: str) -> None:
        """The upload is still coming."""
        with translated():
            self._redis.expire(self._name(caller, key), AT_WORK_S)

    def end(self, caller: str, key: str, stored: Stored | None) -> None:
        """The upload is stored, or (``None``) came to nothing and may begin anew."""
        with translated():
            if stored is None:
                self._redis.delete(self._name(caller, key))
            else:
                self._redis.set(self._name(caller, key), msgspec.json.encode(stored), ex=REMEMBERED_S)

    def _name(self, caller: str, key: str) -> str:
        return self._keys.idempotency(hashlib.sha256(f"{caller}\n{key}".encode()).hexdigest())
