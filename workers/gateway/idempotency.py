"""Idempotent uploads: a repeated request with the same ``Idempotency-Key`` returns the image stored first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from vectordb.decoders import from_json
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

REMEMBERED_S = 86_400
AT_WORK_S = 60  # lifetime of a claim without renewal


class Stored(msgspec.Struct, frozen=True):
    """The result of an upload: the image's id and the digest of its bytes. Both are empty while it is in progress.

    ``further``: the ids of the other images of a form; left out for one image, as earlier versions wrote it.
    """

    id: str = ""
    digest: str = ""
    further: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, ids: Sequence[str], digest: str) -> Stored:
        """The result of an upload of these images."""
        return cls(ids[0], digest, tuple(ids[1:]) or msgspec.UNSET)

    @property
    def ids(self) -> list[str]:
        """The ids of all images."""
        return [self.id, *(self.further or ())]


class Idempotency:
    """Stores the results of uploads for a day. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys

    def begin(self, caller: str, key: str) -> Stored | Literal["begun", "at-work"]:
        """Claim a key for one upload, or get the result of the first one. Each caller has its own keys."""
        name = self._name(caller, key)
        with translated():
            if self._redis.set(name, msgspec.json.encode(Stored()), nx=True, ex=AT_WORK_S):
                return "begun"
            known = self._redis.get(name)
        stored = from_json(known, Stored) if known else Stored()
        return stored if stored.id else "at-work"

    def go_on(self, caller: str, key: str) -> None:
        """Renew the claim of an upload in progress."""
        with translated():
            self._redis.expire(self._name(caller, key), AT_WORK_S)

    def end(self, caller: str, key: str, stored: Stored | None) -> None:
        """Store the result of the upload; ``None`` releases the key after a failure."""
        with translated():
            if stored is None:
                self._redis.delete(self._name(caller, key))
            else:
                self._redis.set(self._name(caller, key), msgspec.json.encode(stored), ex=REMEMBERED_S)

    def _name(self, caller: str, key: str) -> str:
        return self._keys.idempotency(hashlib.sha256(f"{caller}\n{key}".encode()).hexdigest())
