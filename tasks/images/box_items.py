"""EXIF in the containers of AVIF, HEIF and JPEG XL: the bytes as stored, whatever a decoder makes of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tasks.images.boxes import boxes

_MOST = 10_000  # items of a file
MOST_EXIF = 2**22  # bytes


def exif_item(data: bytes) -> bytes | None:
    """EXIF of an AVIF or HEIF file (ISO/IEC 23008-12, items of the ``meta`` box); ``None`` without."""
    try:
        return _exif_item(data)
    except (struct.error, IndexError):  # a box that ends too early
        return None


def exif_payload(body: bytes) -> bytes | None:
    """EXIF of an item or box, which begins with the offset of its TIFF header."""
    if len(body) < 4:
        return None
    return body[4 + struct.unpack_from(">I", body)[0] :] or None


def _exif_item(data: bytes) -> bytes | None:
    meta = next(((begin, end) for kind, begin, end in boxes(data) if kind == b"meta"), None)
    if meta is None:
        return None
    inside = {kind: (begin, end) for kind, begin, end in boxes(data, meta[0] + 4, meta[1])}
    if b"iinf" not in inside or b"iloc" not in inside:
        return None
    wanted = {number for number, kind in _items(data, *inside[b"iinf"]) if kind == b"Exif"}
    for number, method, extents in _places(data, inside[b"iloc"][0]):
        if number in wanted and method <= 1 and sum(size for _, size in extents) <= MOST_EXIF:
            base, end = (0, len(data)) if method == 0 else inside.get(b"idat", (0, 0))
            parts = [data[base + at : min(end, base + at + size)] for at, size in extents]
            return exif_payload(b"".join(parts))
    return None


def _items(data: bytes, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The number and type of each item."""
    for kind, at, _ in boxes(data, begin + (6 if data[begin] == 0 else 8), end):
        if kind == b"infe" and data[at] >= 2:
            wide = data[at] > 2
            (number,) = struct.unpack_from(">I" if wide else ">H", data, at + 4)
            name = at + (10 if wide else 8)
            yield number, data[name : name + 4]


def _places(data: bytes, at: int) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """The number, construction method and extents (offset, size) of each item."""
    version = data[at]
    offsets, sizes = data[at + 4] >> 4, data[at + 4] & 15
    bases, indices = data[at + 5] >> 4, data[at + 5] & 15 if version else 0
    reader = _Reader(data, at + 6)
    wide = 4 if version == 2 else 2
    for _ in range(min(reader.take(wide), _MOST)):
        number = reader.take(wide)
        method = reader.take(2) & 15 if version else 0
        reader.take(2)
        base = reader.take(bases)
        extents = []
        for _ in range(min(reader.take(2), _MOST)):
            reader.take(indices)
            extents.append((base + reader.take(offsets), reader.take(sizes)))
            if reader.at > len(data):
                return
        yield number, method, extents


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def take(self, size: int) -> int:
        self.at += size
        return int.from_bytes(self._data[self.at - size : self.at], "big")
