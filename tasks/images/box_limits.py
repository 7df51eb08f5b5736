"""Counts the items and frames of AVIF and HEIF files as decoders do, before one opens the file."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from tasks.images import limits
from tasks.images.boxes import boxes

_TO_TABLES = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
Range = tuple[int, int]
"""Offsets of the begin and the end of a box's body."""


def check_items(data: bytes, name: str) -> None:
    """Raise ``TooComplex`` for too many boxes, items, cells of a grid, or frames of a sequence.

    ``name``: of the format, AVIF or HEIC. Boxes are counted where decoders look for them (ISO/IEC 14496-12, 8).
    """
    walker = _Walker(data, name)
    top = walker.inside([(0, len(data))])
    meta = walker.inside((begin + 4, end) for begin, end in top.get(b"meta", ()))
    for begin, end in meta.get(b"iinf", ()):
        head = 8 if data[begin : begin + 1] > b"\0" else 6
        limits.check(f"{name} items", sum(1 for _ in boxes(data, begin + head, end)))
    for begin, end in meta.get(b"iref", ()):  # a grid may name one item many times
        width = 4 if data[begin : begin + 1] > b"\0" else 2  # of a number
        cells = [(until - at) // width - 2 for _, at, until in boxes(data, begin + 4, end)]
        limits.check(f"{name} items", max(cells, default=0))
    found = top
    for kind in _TO_TABLES[:-1]:
        found = walker.inside(found.get(kind, ()))
    for place in found.get(_TO_TABLES[-1], ()):
        limits.check("AVIF frames", _samples(data, walker.inside([place])))


class _Walker:
    """Lists boxes, and raises ``TooComplex`` if they are too many in all."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name = data, name
        self._walked = 0

    def inside(self, places: Iterable[Range]) -> dict[bytes, list[Range]]:
        """By type, the bodies of the boxes directly inside of these ranges."""
        found: dict[bytes, list[Range]] = {}
        for place in places:
            for kind, begin, end in boxes(self._data, *place):
                self._walked += 1
                limits.check(f"{self._name} boxes", self._walked)
                found.setdefault(kind, []).append((begin, end))
        return found


def _samples(data: bytes, tables: dict[bytes, list[Range]]) -> int:
    """The samples of a track, by its sizes or by its chunks: samples of one size have no list."""
    sizes = [_number(data, begin + 8, end) for kind in (b"stsz", b"stz2") for begin, end in tables.get(kind, ())]
    chunks = max(
        (_number(data, begin + 4, end) for kind in (b"stco", b"co64") for begin, end in tables.get(kind, ())),
        default=0,
    )
    for begin, end in tables.get(b"stsc", ()):
        count = min(_number(data, begin + 4, end), max(0, end - begin - 8) // 12)
        limits.check("AVIF frames", count)
        runs = [struct.unpack_from(">II", data, begin + 8 + 12 * at) for at in range(count)]
        until = [first for first, _ in runs[1:]] + [chunks + 1]
        sizes.append(sum(max(0, after - first) * each for (first, each), after in zip(runs, until, strict=True)))
    return max(sizes, default=0)


def _number(data: bytes, at: int, end: int) -> int:
    """A number of four bytes; 0 if the box ends before."""
    return int.from_bytes(data[at : at + 4], "big") if at + 4 <= end else 0
