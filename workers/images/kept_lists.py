"""Lists that are kept for their further pages: these have no repeats and no gaps, whatever changes meanwhile."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any

from vectordb.errors import Permanent
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

LIFETIME_S = 600  # without a request for a page
KEPT = 500  # lists; the hits of a search take 100 kB with usual keys, and 2 MB with the longest
KEPT_BYTES = 64 * 2**20  # of all of them together
AT_ONCE = 10_000  # rows in one command

INVALID_CURSOR = "the cursor is not valid: pass `cursor` of the previous page unchanged, or leave it out"
EXPIRED = "the cursor has expired, since lists are kept for ten minutes: begin again, without a cursor"
_CURSOR = re.compile(r"(?a)([0-9a-f]{32})-(\d{1,9})")


class BadCursor(Permanent):
    """This is no cursor, or one of another list than the one that is asked for."""


class CursorExpired(Permanent):
    """This list is no longer kept."""


class KeptLists:
    """Keeps the last ``kept`` lists in Redis, for ten minutes after each request.

    ``kept_bytes``: of all of them; the newest is kept in any case. Raises ``StoreUnavailable``.
    """

    def __init__(self, client: Client, keys: Keys, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._kept = kept
        self._kept_bytes = kept_bytes

    def keep(self, header: bytes, rows: Sequence[bytes]) -> str:
        """Keep a list. Returns its name. ``header``: says of what it is a list."""
        name = secrets.token_hex(16)
        key, all_rows = self._keys.search(name), (header, *rows)
        with translated():
            pipe = self._redis.pipeline()
            for start in range(0, len(all_rows), AT_ONCE):
                pipe.rpush(key, *all_rows[start : start + AT_ONCE])
            pipe.expire(key, LIFETIME_S)
            pipe.lpush(self._keys.searches, f"{name}:{sum(map(len, all_rows))}")
            pipe.lrange(self._keys.searches, 0, -1)
            *_, known = pipe.execute()
            old = known[self._kept_of(known) :]
            if old:  # so that any number of lists takes no more of Redis' memory
                pipe = self._redis.pipeline()
                pipe.unlink(*(self._keys.search(_name_of(one)) for one in old))
                for one in old:  # not by place: others add lists meanwhile
                    pipe.lrem(self._keys.searches, -1, one)
                pipe.execute()
        return name

    def _kept_of(self, known: Sequence[bytes]) -> int:
        """How many of these, newest first, are kept."""
        taken = 0
        for place, one in enumerate(known[: self._kept]):
            taken += int(text(one).partition(":")[2] or 0)  # none in a list of an older version of wildtag
            if place and taken > self._kept_bytes:
                return place
        return min(len(known), self._kept)

    def header(self, name: str) -> tuple[bytes, int]:
        """The header of a list and the number of its rows. Raises ``CursorExpired``."""
        with translated():
            pipe = self._redis.pipeline()
            pipe.lindex(self._keys.search(name), 0)
            pipe.llen(self._keys.search(name))
            pipe.expire(self._keys.search(name), LIFETIME_S)
            header, length, _ = pipe.execute()
        if header is None:
            raise CursorExpired(EXPIRED)
        return bytes(header), length - 1

    def rows(self, name: str, start: int, count: int) -> list[bytes]:
        """``count`` rows from position ``start``; fewer at the end. Raises ``CursorExpired``."""
        with translated():
            rows = self._redis.lrange(self._keys.search(name), start + 1, start + count)
        if not rows:
            raise CursorExpired(EXPIRED)
        return list(map(bytes, rows))


def _name_of(kept: bytes) -> str:
    return text(kept).partition(":")[0]


def cursor_of(name: str, position: int) -> str:
    """The cursor for the rows of a list from a position on."""
    return f"{name}-{position}"


def place_of(cursor: str) -> tuple[str, int]:
    """The name and the position that a cursor stands for. Raises ``BadCursor``."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise BadCursor(INVALID_CURSOR)
    return found[1], int(found[2])
