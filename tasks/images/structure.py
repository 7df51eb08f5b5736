"""Reads the TIFF structure (TIFF 6.0, BigTIFF) that TIFF files, EXIF data and most camera raw files share.

Each entry is read on its own: a malformed value makes only that value unreadable. Nothing here raises for malformed
bytes, except ``Structure.of``, which returns ``None`` for bytes without a valid header.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_MOST_VALUES = 1_000_000  # values of one entry; strips of the largest images are fewer
_MOST_ENTRIES = 512
_MOST_DIRECTORIES = 1024  # of the chain
_MOST_SEARCHED = 64  # of these, with their sub-directories
SUB_DIRECTORIES = 330
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Entry:
    """An entry of a directory. ``at``: offset of its value; ``raw``: its own bytes in the directory."""

    tag: int
    kind: int
    count: int
    at: int
    raw: bytes


@dataclass(frozen=True)
class Directory:
    """A directory (IFD) at offset ``at``. ``complete``: whether all of its entries are within the data."""

    at: int
    entries: dict[int, Entry]
    following: int
    complete: bool


class Structure:
    """The directories of a TIFF structure in ``data``."""

    def __init__(self, data: bytes, order: str, first: int, *, big: bool) -> None:
        self.data = data
        self.order = order
        self.first = first
        self.big = big

    @classmethod
    def of(cls, data: bytes) -> Structure | None:
        """The structure of bytes that begin with a TIFF header; ORF and RW2 have other magic numbers."""
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if order is None or len(data) < 8:
            return None
        (magic,) = struct.unpack_from(order + "H", data, 2)
        if magic == 43:
            if len(data) < 16:
                return None
            return cls(data, order, struct.unpack_from(order + "Q", data, 8)[0], big=True)
        if magic in {42, 0x4F52, 0x5352, 0x55}:
            return cls(data, order, struct.unpack_from(order + "I", data, 4)[0], big=False)
        return None

    def directory(self, at: int) -> Directory | None:
        """The directory at this offset, as far as it is within the data; ``None`` if it is outside."""
        head, width = (8, 20) if self.big else (2, 12)
        if at < 8 or at + head > len(self.data):
            return None
        (count,) = struct.unpack_from(self.order + ("Q" if self.big else "H"), self.data, at)
        entries: dict[int, Entry] = {}
        position = at + head
        for index in range(min(count, _MOST_ENTRIES)):
            position = at + head + index * width
            if position + width > len(self.data):
                break
            entry = self._entry(position)
            entries.setdefault(entry.tag, entry)
        end = at + head + count * width
        link = 8 if self.big else 4
        following = 0
        if end + link <= len(self.data):
            (following,) = struct.unpack_from(self.order + ("Q" if self.big else "I"), self.data, end)
        return Directory(at, entries, following, complete=end <= len(self.data))

    def directories(self) -> Iterator[Directory]:
        """The chain of directories from the first one. Circles end."""
        seen: set[int] = set()
        at = self.first
        while at and at not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(at)
            found = self.directory(at)
            if found is None:
                return
            yield found
            at = found.following

    def all_directories(self) -> list[Directory]:
        """The chain, each directory followed by its sub-directories (one level)."""
        found: list[Directory] = []
        for one in islice(self.directories(), _MOST_SEARCHED):
            below = (self.directory(at) for at in self.integers(one, SUB_DIRECTORIES)[:16])
            found += [one, *(sub for sub in below if sub)]
        return found

    def values(self, directory: Directory, tag: int, most: int = _MOST_VALUES) -> tuple[float, ...]:
        """The numbers of an entry, perhaps not finite; empty if it is missing, no number, or outside of the data."""
        entry = directory.entries.get(tag)
        if entry is None or entry.count == 0 or entry.kind not in _SIZES or entry.kind in {2, 7}:
            return ()
        count = min(entry.count, most)
        if entry.at + count * _SIZES[entry.kind] > len(self.data):
            return ()
        if entry.kind in {5, 10}:
            letter = "I" if entry.kind == 5 else "i"
            flat = struct.unpack_from(f"{self.order}{2 * count}{letter}", self.data, entry.at)
            pairs = zip(flat[::2], flat[1::2], strict=True)
            return tuple(above / below if below else math.nan for above, below in pairs)
        return struct.unpack_from(f"{self.order}{count}{_LETTERS[entry.kind]}", self.data, entry.at)

    def integers(self, directory: Directory, tag: int) -> tuple[int, ...]:
        """The values of an entry as integers; those that are not finite are left out."""
        return tuple(int(value) for value in self.values(directory, tag) if math.isfinite(value))

    def integer(self, directory: Directory, tag: int, default: int) -> int:
        """The first value of an entry."""
        found = self.integers(directory, tag)
        return found[0] if found else default

    def cut(self, directory: Directory, tags: tuple[int, ...]) -> bool:
        """Whether the data end within a directory, or before the values of one of these entries."""
        entries = [directory.entries[tag] for tag in tags if tag in directory.entries]
        return not directory.complete or any(
            entry.at + entry.count * _SIZES.get(entry.kind, 1) > len(self.data) for entry in entries
        )

    def furthest(self, directory: Directory) -> int:
        """The offset behind the last strip or tile of a directory; 0 if it has none that can be read."""
        found = 0
        for at_tag, size_tag in ((273, 279), (324, 325)):
            offsets, sizes = self._array(directory, at_tag), self._array(directory, size_tag)
            if offsets.size and offsets.size == sizes.size:
                found = max(found, int((offsets + sizes).max()))
        return found

    def suspicious(self, directory: Directory) -> bool:
        """Whether these bytes are no directory: a number that points to anything has led here."""
        tags = [entry.tag for entry in directory.entries.values()]
        known = all(entry.kind in _SIZES for entry in directory.entries.values())
        return not known or tags != sorted(tags)

    def _array(self, directory: Directory, tag: int) -> NDArray[np.int64]:
        entry = directory.entries.get(tag)
        letter = _LETTERS.get(entry.kind, "") if entry else ""
        if entry is None or letter not in {"H", "I", "Q"} or not 0 < entry.count <= _MOST_VALUES:
            return np.empty(0, dtype=np.int64)
        if entry.at + entry.count * _SIZES[entry.kind] > len(self.data):
            return np.empty(0, dtype=np.int64)
        kind = f"{self.order}u{_SIZES[entry.kind]}"
        return np.frombuffer(self.data, kind, entry.count, entry.at).clip(0, 2**62).astype(np.int64)

    def raw(self, directory: Directory, tag: int) -> bytes:
        """The bytes of an entry; empty if it is missing or outside of the data."""
        entry = directory.entries.get(tag)
        if entry is None or entry.kind not in _SIZES:
            return b""
        end = entry.at + entry.count * _SIZES[entry.kind]
        return bytes(self.data[entry.at : end]) if end <= len(self.data) else b""

    def text(self, directory: Directory, tag: int) -> str:
        """The text of an entry, at most 200 characters, without what cannot be printed."""
        raw = self.raw(directory, tag)[:400].partition(b"\0")[0]
        return "".join(c for c in raw.decode("utf-8", "ignore") if c.isprintable()).strip()[:200]

    def alone(
        self, directory: Directory, tags: frozenset[int], changed: Mapping[int, tuple[int, ...]] | None = None
    ) -> bytes:
        """The data with a new only directory that holds these entries of a directory, at the end.

        ``changed``: values in the place of others that the directory has.
        """
        arrays = bytearray()
        kept = []
        for tag, entry in sorted(directory.entries.items()):
            if tag in tags and tag not in (changed or {}):
                kept.append(entry.raw)
            elif tag in tags and changed:
                kept.append(self._made(tag, changed[tag], arrays))
        data = bytearray(self.data)
        data += b"\0" * (-len(data) % 8) + arrays
        data += b"\0" * (-len(data) % 8)
        at = len(data)
        data += struct.pack(self.order + ("Q" if self.big else "H"), len(kept)) + b"".join(kept) + b"\0" * 8
        struct.pack_into(self.order + ("Q" if self.big else "I"), data, 8 if self.big else 4, at)
        return bytes(data)

    def _made(self, tag: int, values: tuple[int, ...], arrays: bytearray) -> bytes:
        """An entry; ``arrays``: where values go that do not fit into it, behind the data."""
        kind, letter, width = (16, "Q", 8) if self.big else (4, "I", 4)
        if len(values) == 1 and values[0] < 65536:
            return struct.pack(f"{self.order}HH{letter}H{width - 2}x", tag, 3, 1, values[0])
        place = values[0]
        if len(values) > 1:
            place = len(self.data) + -len(self.data) % 8 + len(arrays)
            arrays += struct.pack(f"{self.order}{len(values)}{letter}", *values)
        return struct.pack(f"{self.order}HH{letter}{letter}", tag, kind, len(values), place)

    def _entry(self, position: int) -> Entry:
        if self.big:
            tag, kind, count = struct.unpack_from(self.order + "HHQ", self.data, position)
            field, width, letter = position + 12, 8, "Q"
        else:
            tag, kind, count = struct.unpack_from(self.order + "HHI", self.data, position)
            field, width, letter = position + 8, 4, "I"
        inside = count * _SIZES.get(kind, 1) <= width
        at = field if inside else struct.unpack_from(self.order + letter, self.data, field)[0]
        return Entry(tag, kind, count, at, bytes(self.data[position : field + width]))


def exif_structure(exif: bytes | None) -> Structure | None:
    """The structure of EXIF data, with or without its leading ``Exif\\0\\0``."""
    if not exif:
        return None
    return Structure.of(exif[6:] if exif.startswith(b"Exif\0") else exif)
