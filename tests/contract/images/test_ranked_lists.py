"""The hits of searches are kept for their further pages, in bounded memory."""

from __future__ import annotations

import pytest

from workers.images.kept_lists import CursorExpired
from workers.images.ranked_lists import RankedHit, RankedLists, Search
from workers.images.search_filter import SearchFilter
from workers.redis.connection import Client
from workers.redis.keys import Keys


def test_the_hits_of_many_searches_take_bounded_memory(client: Client, keys: Keys) -> None:
    lists = RankedLists(client, keys, kept=3)
    asked = Search("filters", "", "", SearchFilter())
    names = [lists.keep(asked, [RankedHit("b", "k", "e", 0.0)]) for _ in range(5)]
    assert [lists.open(name) for name in names[2:]] == [(asked, 1)] * 3
    for name in names[:2]:
        with pytest.raises(CursorExpired):
            lists.open(name)


def test_long_lists_take_bounded_memory_though_they_are_few(client: Client, keys: Keys) -> None:
    lists = RankedLists(client, keys, kept=100, kept_bytes=50_000)
    asked = Search("filters", "", "", SearchFilter())
    hits = [RankedHit("b", "k" * 1000, "e", 0.0)] * 20  # 20 kB
    names = [lists.keep(asked, hits) for _ in range(4)]
    assert [lists.open(name)[1] for name in names[2:]] == [20, 20]
    for name in names[:2]:
        with pytest.raises(CursorExpired):
            lists.open(name)
    assert client.llen(keys.searches) == 2
    large = lists.keep(asked, hits * 10)  # the newest is kept whatever its size
    assert lists.open(large)[1] == 200
    with pytest.raises(CursorExpired):
        lists.open(names[3])
