"""Caches for results that recur: each word is encoded once, each caption is parsed once.

A ``Cache`` maps text keys to bytes. It may drop entries at any time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from vectordb.decoders import from_msgpack

T = TypeVar("T")


class Cache(Protocol):
    """A cache of limited size. Both methods take many keys, because a remote cache needs a round trip per call."""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key, ``None`` for keys that are not cached."""
        ...

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """Store these values."""
        ...


def decoded(value: bytes | None, kind: type[T]) -> T | None:
    """Decode a cached value; ``None`` for no value and for bytes of another version."""
    if value is None:
        return None
    try:
        return from_msgpack(value, kind)
    except msgspec.DecodeError:
        return None


class LRUCache:
    """The ``capacity`` most recently used values, in this process. Not thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: OrderedDict[str, bytes] = OrderedDict()

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Also marks the found keys as recently used."""
        for key in keys:
            if key in self._items:
                self._items.move_to_end(key)
        return [self._items.get(key) for key in keys]

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """Store these values and drop the least recently used ones beyond the capacity."""
        for key, value in items.items():
            self._items[key] = value
            self._items.move_to_end(key)
        while len(self._items) > self._capacity:
            self._items.popitem(last=False)


class LayeredCache:
    """A local cache in front of a remote one; values found remotely are copied to the local one."""

    def __init__(self, near: Cache, far: Cache) -> None:
        self._near = near
        self._far = far

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Request only the keys that are not cached locally."""
        found = self._near.get_many(keys)
        missing = [key for key, value in zip(keys, found, strict=True) if value is None]
        if not missing:
            return found
        fetched = dict(zip(missing, self._far.get_many(missing), strict=True))
        self._near.set_many({key: value for key, value in fetched.items() if value is not None})
        return [fetched.get(key) if value is None else value for key, value in zip(keys, found, strict=True)]

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """Store in both."""
        self._near.set_many(items)
        self._far.set_many(items)
