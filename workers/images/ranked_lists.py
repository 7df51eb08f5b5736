"""The ranked hits of a search, kept for its further pages: they have no repeats and no gaps while images arrive."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vectordb.decoders import from_msgpack
from vectordb.errors import Permanent
from workers.images.search_filter import SearchFilter
from workers.redis.connection import Client, translated
from workers.redis.keys import Keys

MOST = 1000  # hits of one search
LIFETIME_S = 600  # without a request for a page

_EXPIRED = "the cursor has expired, since its hits are kept for ten minutes: search again"
_CURSOR = re.compile(r"(?a)([0-9a-f]{32})-(\d{1,4})")


class BadCursor(Permanent):
    """This is no cursor of a search, or one of another search than the one that is asked for."""


class CursorExpired(Permanent):
    """The hits of this search are no longer kept."""


class RankedHit(msgspec.Struct, frozen=True, array_like=True):
    """A version of an image. ``similarity``: cosine to the query; ``None`` if it was not found by its vector."""

    bucket: str
    key: str
    etag: str
    score: float
    similarity: float | None = None

    @property
    def id(self) -> str:
        """``bucket/key``."""
        return f"{self.bucket}/{self.key}"


class Search(msgspec.Struct, frozen=True):
    """What was asked. ``found_by``: ``text``, ``image`` or ``filters``. ``query``: names the text or the image.

    ``words``: the words of the query with their weights. ``truncated``: whether there may be more hits than listed.
    """

    found_by: str
    query: str
    where: SearchFilter
    words: Mapping[str, float] = {}
    truncated: bool = False


class RankedLists:
    """Keeps hits in Redis for ten minutes after the last request. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, lifetime_s: int = LIFETIME_S) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._lifetime_s = lifetime_s

    def keep(self, search: Search, hits: Sequence[RankedHit]) -> str:
        """Keep a search and its hits. Returns a name for ``open``."""
        name = secrets.token_hex(16)
        with translated():
            pipe = self._redis.pipeline()
            pipe.rpush(self._keys.search(name), *map(msgspec.msgpack.encode, [search, *hits]))
            pipe.expire(self._keys.search(name), self._lifetime_s)
            pipe.execute()
        return name

    def open(self, name: str) -> tuple[Search, int]:
        """A search and the number of its hits. Raises ``CursorExpired``."""
        with translated():
            pipe = self._redis.pipeline()
            pipe.lindex(self._keys.search(name), 0)
            pipe.llen(self._keys.search(name))
            pipe.expire(self._keys.search(name), self._lifetime_s)
            search, length, _ = pipe.execute()
        if search is None:
            raise CursorExpired(_EXPIRED)
        return from_msgpack(search, Search), length - 1

    def hits(self, name: str, start: int, count: int) -> list[RankedHit]:
        """``count`` hits from position ``start``; fewer at the end. Raises ``CursorExpired``."""
        with translated():
            rows = self._redis.lrange(self._keys.search(name), start + 1, start + count)
        if not rows:
            raise CursorExpired(_EXPIRED)
        return [from_msgpack(row, RankedHit) for row in rows]


def cursor_of(name: str, position: int) -> str:
    """The cursor for the hits of a search from a position on."""
    return f"{name}-{position}"


def place_of(cursor: str) -> tuple[str, int]:
    """The name and the position that a cursor stands for. Raises ``BadCursor``."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise BadCursor("the cursor is not valid")
    return found[1], int(found[2])
