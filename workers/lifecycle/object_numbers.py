"""The numbers of objects with a record, which stand for them in the lists: five bytes in place of a whole id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

PAGE = 64
"""Numbers in one hash: so few that Redis keeps it compact, as long as no id is longer than 64 bytes."""
BYTES = 5


def member_of(number: int) -> bytes:
    """How a number is listed: its bytes, the highest first."""
    return number.to_bytes(BYTES, "big")


class ObjectNumbers:
    """Looks up which objects members of the lists are. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys

    def oids(self, members: Sequence[bytes]) -> list[str | None]:
        """The id of each object; ``None`` for one that was removed meanwhile."""
        if not members:
            return []
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for member in members:
                page, field = divmod(int.from_bytes(member, "big"), PAGE)
                pipe.hget(self._keys.numbered(page), str(field))
            return [None if oid is None else text(oid) for oid in pipe.execute()]

    def known(self, members: Sequence[bytes]) -> list[str]:
        """The ids of those that are still there."""
        return [oid for oid in self.oids(members) if oid is not None]
