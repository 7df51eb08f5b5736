"""Remembering what returns: words are encoded once, captions are parsed once.

A ``Cache`` maps text keys to bytes. It may forget at any time and must never be trusted to remember.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

T = TypeVar("T")


class Cache(Protocol):
    """A bounded memory. Both calls take many keys, since a remote one pays a round trip a call."""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key, ``None`` where nothing is remembered."""
        ...

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """Remember these."""
        ...


def decoded(value: bytes | None, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
    """What was remembered; ``None`` for nothing and for bytes that another version may have left."""
    if value is None:
        return None
    try:
        return decoder.decode(value)
    except msgspec.DecodeError:
        return None


class LRUCache:
    """The most recently used ``capacity`` values, in this process. Not thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: OrderedDict[str, bytes] = OrderedDict()

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Also marks what it finds as recently used."""
        for key in keys:
            if key in self._items:
                self._items.move_to_end(key)
        return [self._items.get(key) for key in keys]

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """Remember these, forgetting the least recently used beyond the capacity."""
        for key, value in items.items():
            self._items[key] = value
            self._items.move_to_end(key)
        while len(self._items) > self._capacity:
            self._items.popitem(last=False)


class LayeredCache:
    """A near cache in front of a far one; what the far one knows is copied near."""

    def __init__(self, near: Cache, far: Cache) -> None:
        self._near = near
        self._far = far

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Ask the far cache only for what the near one does not know."""
        found = self._near.get_many(keys)
        missing = [key for key, value in zip(keys, found, strict=True) if value is None]
        if not missing:
            return found
        fetched = dict(zip(missing, self._far.get_many(missing), strict=True))
        self._near.set_many({key: value for key, value in fetched.items() if value is not None})
        return [fetched.get(key) if value is None else value for key, value in zip(keys, found, strict=True)]

    def set_many(self, items: Mapping[str, bytes]) -> None:
        """Remember in both."""
        self._near.set_many(items)
        self._far.set_many(items)
