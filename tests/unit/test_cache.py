"""Caches forget the least recently used, and the near one asks the far one only for what it lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.cache import LayeredCache, LRUCache


class Counting(LRUCache):
    """Notes what it is asked."""

    def __init__(self) -> None:
        super().__init__(100)
        self.asked: list[list[str]] = []

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked.append(list(keys))
        return super().get_many(keys)


def filled(cache: LRUCache, items: Mapping[str, bytes]) -> LRUCache:
    cache.set_many(items)
    return cache


def test_the_least_recently_used_is_forgotten() -> None:
    cache = filled(LRUCache(2), {"a": b"1", "b": b"2"})
    assert cache.get_many(["a"]) == [b"1"]
    cache.set_many({"c": b"3"})
    assert cache.get_many(["a", "b", "c"]) == [b"1", None, b"3"]


def test_layers() -> None:
    near, far = LRUCache(10), Counting()
    cache = LayeredCache(near, far)
    far.set_many({"b": b"2"})
    near.set_many({"a": b"1"})
    assert cache.get_many(["a", "b", "x", "a"]) == [b"1", b"2", None, b"1"]
    assert cache.get_many(["a", "b"]) == [b"1", b"2"]
    assert far.asked == [["b", "x"]]
    cache.set_many({"n": b"9"})
    assert far.get_many(["n"]) == near.get_many(["n"]) == [b"9"]
