"""What the containers of AVIF, HEIF and JPEG XL hold beside pixels: EXIF as it is stored, and the colour space."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tasks.images.boxes import boxes, brands
from tasks.images.signalled import Signalled, of_codes

_MOST = 10_000  # items of a file
MOST_EXIF = 2**22  # bytes
_CODED = {b"hvc1", b"av01"}
_ZEROS, _MOST_ZEROS = 64, 256  # bytes in a row; flat AVIF pictures have 16


def exif_item(data: bytes) -> bytes | None:
    """EXIF of an AVIF or HEIF file (ISO/IEC 23008-12, items of the ``meta`` box); ``None`` without."""
    try:
        return _exif_item(data)
    except (struct.error, IndexError):  # a box that ends too early
        return None


def colour_item(data: bytes) -> Signalled | None:
    """The colour space of the primary image of an AVIF or HEIF file, if it is told by numbers (``nclx``)."""
    try:
        inside = _meta(data)
        (primary,) = struct.unpack_from(">I" if data[inside[b"pitm"][0]] else ">H", data, inside[b"pitm"][0] + 4)
        parts = {kind: (begin, end) for kind, begin, end in boxes(data, *inside[b"iprp"])}
        properties = list(boxes(data, *parts[b"ipco"]))
        for number in _associated(data, parts[b"ipma"][0], primary):
            kind, begin, end = properties[number - 1]
            if kind == b"colr" and data[begin : begin + 4] == b"nclx" and end - begin >= 10:
                return of_codes(*struct.unpack_from(">HH", data, begin + 4))
    except (struct.error, IndexError, KeyError):  # a box that is missing, or ends too early
        return None
    return None


def _associated(data: bytes, at: int, item: int) -> list[int]:
    """The numbers of an item's properties."""
    version, wide = data[at], data[at + 3] & 1
    reader = _Reader(data, at + 4)
    for _ in range(min(reader.take(4), _MOST)):
        number = reader.take(4 if version else 2)
        found = [reader.take(2 if wide else 1) & (0x7FFF if wide else 0x7F) for _ in range(reader.take(1))]
        if number == item:
            return [one for one in found if one]
        if reader.at > len(data):
            break
    return []


def empty_item(data: bytes) -> bool:
    """Whether coded pixels of an AVIF or HEIF file are zeros, as in a file that was allocated and not written.

    HEVC never has three zero bytes in a row (ITU-T H.265, 7.3.1.1); AV1 does not end with many.
    """
    try:
        inside = _meta(data)
        kinds = dict(_items(data, *inside[b"iinf"]))
        for number, method, extents in _places(data, inside[b"iloc"][0]):
            base, end = (0, len(data)) if method == 0 else inside.get(b"idat", (0, 0))
            for at, size in extents if method <= 1 and kinds.get(number) in _CODED else ():
                part = data[base + at : min(end, base + at + size)]
                if len(part) >= _ZEROS and (
                    part.endswith(bytes(min(len(part), _MOST_ZEROS)))
                    or (kinds[number] == b"hvc1" and bytes(_ZEROS) in part)
                ):
                    return True
    except (struct.error, IndexError, KeyError):  # a box that is missing, or ends too early
        return False
    return False


def coders(data: bytes) -> set[bytes]:
    """The types of the items of an AVIF or HEIF file; empty without, as in a sequence."""
    try:
        inside = _meta(data)
        return {kind for _, kind in _items(data, *inside[b"iinf"])} if b"iinf" in inside else set()
    except (struct.error, IndexError):  # a box that ends too early
        return set()


def branded(data: bytes, brand: bytes, known: frozenset[bytes]) -> bytes:
    """An AVIF or HEIF file of one picture with this brand, unless it has one that is known: decoders ask for theirs.

    It becomes the major brand and takes the place of the last compatible one.
    """
    major, *others = brands(data) or (b"",)
    if (major in known and known & {*others}) or any(kind == b"moov" for kind, _, _ in boxes(data)):
        return data
    (end,) = struct.unpack_from(">I", data)
    if not 20 <= end <= len(data):
        return data[:8] + brand + data[12:]
    return data[:8] + brand + data[12 : end - 4] + brand + data[end:]


def exif_payload(body: bytes) -> bytes | None:
    """EXIF of an item or box, which begins with the offset of its TIFF header."""
    if len(body) < 4:
        return None
    return body[4 + struct.unpack_from(">I", body)[0] :] or None


def _exif_item(data: bytes) -> bytes | None:
    inside = _meta(data)
    if b"iinf" not in inside or b"iloc" not in inside:
        return None
    wanted = {number for number, kind in _items(data, *inside[b"iinf"]) if kind == b"Exif"}
    for number, method, extents in _places(data, inside[b"iloc"][0]):
        if number in wanted and method <= 1 and sum(size for _, size in extents) <= MOST_EXIF:
            base, end = (0, len(data)) if method == 0 else inside.get(b"idat", (0, 0))
            parts = [data[base + at : min(end, base + at + size)] for at, size in extents]
            return exif_payload(b"".join(parts))
    return None


def _meta(data: bytes) -> dict[bytes, tuple[int, int]]:
    """The ranges of the boxes in the ``meta`` box of the file; empty without."""
    meta = next(((begin, end) for kind, begin, end in boxes(data) if kind == b"meta"), None)
    return {kind: (begin, end) for kind, begin, end in boxes(data, meta[0] + 4, meta[1])} if meta else {}


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
