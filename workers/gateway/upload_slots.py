"""Presigned uploads of a store without presigned forms, such as a folder: the gateway takes the form itself.

A slot allows one upload of one type and size to one key, without an API key. Its token is random and Redis stores
only a digest of it, so only the receiver of the form can use it.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from vectordb.decoders import from_json
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

_TOKEN = re.compile(r"[0-9a-f]{48}")


class Slot(msgspec.Struct, frozen=True):
    """An allowed upload. ``id``: of the image. ``least`` and ``most``: bytes of the body. ``caller``: its owner.

    ``expires_at``: Unix seconds.
    """

    id: str
    content_type: str
    least: int
    most: int
    caller: str
    expires_at: float


class UploadSlots:
    """Slots in Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float]) -> None:
        """``clock``: Unix seconds."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock

    def create(self, slot: Slot) -> str:
        """Store a slot. Returns its token."""
        token = secrets.token_hex(24)
        self.put_back(token, slot)
        return token

    def put_back(self, token: str, slot: Slot) -> None:
        """Store the slot of a token again, for the rest of its time."""
        if (left := math.ceil(slot.expires_at - self._clock())) > 0:
            with translated():
                self._redis.set(self._name(token), msgspec.json.encode(slot), ex=left)

    def look_up(self, token: str) -> Slot | None:
        """The slot of a token; ``None`` if there is none, or no longer."""
        if not _TOKEN.fullmatch(token):
            return None
        with translated():
            body = self._redis.get(self._name(token))
        return None if body is None else from_json(body, Slot)

    def use_up(self, token: str) -> bool:
        """Remove a slot. ``False`` if it was gone already, because it was used meanwhile."""
        with translated():
            return bool(self._redis.delete(self._name(token)))

    def _name(self, token: str) -> str:
        return self._keys.upload_slot(hashlib.sha256(token.encode()).hexdigest())
