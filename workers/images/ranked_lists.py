"""The ranked hits of a search, kept for its further pages: they have no repeats and no gaps while images arrive."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from vectordb.decoders import from_msgpack
from vectordb.errors import Permanent
from workers.images.search_filter import SearchFilter
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

MOST = 1000  # hits of one search
LIFETIME_S = 600  # without a request for a page
KEPT = 500  # searches; the hits of each take 100 kB with usual keys, and 2 MB with the longest
KEPT_BYTES = 64 * 2**20  # of all of them together

INVALID_CURSOR = "the cursor is not valid: pass `cursor` of the previous page unchanged, or leave it out"
_EXPIRED = "the cursor has expired, since hits are kept for ten minutes: search again"
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
    """What was asked. ``query``: names the text or the image, see ``Asked``. ``text``: empty for others.

    ``found_by``: ``text``, ``image`` or ``filters``. ``truncated``: whether there may be more hits than listed.
    """

    found_by: str
    query: str
    text: str
    where: SearchFilter
    truncated: bool = False


class RankedLists:
    """Keeps the hits of the last ``kept`` searches in Redis, for ten minutes after each request.

    ``kept_bytes``: of all of them; the newest is kept in any case. Raises ``StoreUnavailable``.
    """

    def __init__(self, client: Client, keys: Keys, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._kept = kept
        self._kept_bytes = kept_bytes

    def keep(self, search: Search, hits: Sequence[RankedHit]) -> str:
        """Keep a search and its hits. Returns a name for ``open``."""
        name = secrets.token_hex(16)
        rows = [msgspec.msgpack.encode(row) for row in (search, *hits)]
        with translated():
            pipe = self._redis.pipeline()
            pipe.rpush(self._keys.search(name), *rows)
            pipe.expire(self._keys.search(name), LIFETIME_S)
            pipe.lpush(self._keys.searches, f"{name}:{sum(map(len, rows))}")
            pipe.lrange(self._keys.searches, 0, -1)
            *_, known = pipe.execute()
            old = known[self._kept_of(known) :]
            if old:  # so that any number of searches takes no more of Redis' memory
                pipe = self._redis.pipeline()
                pipe.unlink(*(self._keys.search(_name_of(one)) for one in old))
                for one in old:  # not by place: others add searches meanwhile
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

    def open(self, name: str) -> tuple[Search, int]:
        """A search and the number of its hits. Raises ``CursorExpired``."""
        with translated():
            pipe = self._redis.pipeline()
            pipe.lindex(self._keys.search(name), 0)
            pipe.llen(self._keys.search(name))
            pipe.expire(self._keys.search(name), LIFETIME_S)
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


def _name_of(kept: bytes) -> str:
    return text(kept).partition(":")[0]


def cursor_of(name: str, position: int) -> str:
    """The cursor for the hits of a search from a position on."""
    return f"{name}-{position}"


def place_of(cursor: str) -> tuple[str, int]:
    """The name and the position that a cursor stands for. Raises ``BadCursor``."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise BadCursor(INVALID_CURSOR)
    return found[1], int(found[2])
