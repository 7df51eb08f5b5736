"""The ranked hits of a search, kept for its further pages."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vectordb.decoders import from_msgpack
from workers.images.kept_lists import KEPT, KEPT_BYTES, BadCursor, KeptLists
from workers.images.search_filter import SearchFilter
from workers.redis.connection import Client
from workers.redis.keys import Keys

MOST = 1000  # hits of one search


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
    """Keeps the hits of searches. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> None:
        self._lists = KeptLists(client, keys, kept, kept_bytes)

    def keep(self, search: Search, hits: Sequence[RankedHit]) -> str:
        """Keep a search and its hits. Returns a name for ``open``."""
        return self._lists.keep(msgspec.msgpack.encode(search), list(map(msgspec.msgpack.encode, hits)))

    def open(self, name: str) -> tuple[Search, int]:
        """A search and the number of its hits. Raises ``CursorExpired``, ``BadCursor`` for a list of another kind."""
        header, length = self._lists.header(name)
        try:
            return from_msgpack(header, Search), length
        except msgspec.DecodeError as exc:
            raise BadCursor("the cursor is of another list, not of a search") from exc

    def hits(self, name: str, start: int, count: int) -> list[RankedHit]:
        """``count`` hits from position ``start``; fewer at the end. Raises ``CursorExpired``."""
        return [from_msgpack(row, RankedHit) for row in self._lists.rows(name, start, count)]
