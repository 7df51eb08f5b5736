"""Finds files that broke off by what their containers say about their lengths, before anything is decoded.

Decoders fill what is missing with grey or zeros in several formats, some of them without an error.
"""

from __future__ import annotations

import struct

from tasks.images import webp
from tasks.images.box_items import empty_item
from tasks.images.boxes import boxes
from tasks.images.errors import DamagedImage, TruncatedImage
from tasks.images.gif import gif_frames

_BOXES = 10_000
_ZEROS, _CODED_ZEROS = 1024, 256  # bytes in a row
_KNOWN = frozenset(b"ftyp meta mdat moov moof free skip uuid idat wide jp2h jp2c jp2i mini sidx colr".split()) | {
    b"jP  ", b"xml ", b"res ",
}  # fmt: skip


def check(kind: str, data: bytes) -> None:
    """Raise ``TruncatedImage`` if a file of this format ends before its container says."""
    finder = {
        "WEBP": webp.missing,
        "GIF": _gif,
        "AVIF": _coded_boxes,
        "HEIC": _coded_boxes,
        "JPEG2000": missing_of_jpeg2000,
        "ICO": _ico,
    }.get(kind)
    if finder is None:
        return
    missing = finder(data)
    if missing:
        raise TruncatedImage(f"the {kind} image is truncated: {missing}")


def _coded_boxes(data: bytes) -> str:
    if missing := _boxes(data):
        return missing
    return "its pixels are nothing but zeros from somewhere on" if empty_item(data) or _empty_end(data) else ""


def _empty_end(data: bytes) -> bool:
    """Whether the frames of a sequence end in zeros, as coded pixels never do."""
    found = {kind: (begin, end) for kind, begin, end in boxes(data)}
    if b"moov" not in found or b"mdat" not in found:
        return False
    begin, end = found[b"mdat"]
    return end - begin >= _CODED_ZEROS and not any(data[end - _CODED_ZEROS : end])


def _boxes(data: bytes) -> str:
    at = 0
    for _ in range(_BOXES):
        if at + 8 > len(data):
            return ""
        size = struct.unpack_from(">I", data, at)[0]
        if size == 1 and at + 16 <= len(data):
            size = struct.unpack_from(">Q", data, at + 8)[0]
        if size == 0:
            return ""
        name = data[at + 4 : at + 8]
        if size < 8 or name not in _KNOWN:
            return ""  # bytes behind the last box
        if at + size > len(data):
            return f"its box {name.decode('ascii', 'replace')!r} ends {at + size - len(data):,} bytes later"
        at += size
    return ""


def missing_of_jpeg2000(data: bytes) -> str:
    """A codestream in a box with a length is complete if the box is, another one ends with a marker. All its tiles
    have to be there.
    """
    begin, ended = 0, False
    if data[:4] != b"\xff\x4f\xff\x51":
        if missing := _boxes(data):
            return missing
        at = data.find(b"jp2c")
        if at < 0:
            return "its codestream is missing"
        begin, ended = at + 4, data[at - 4 : at] != bytes(4)
    if (missing := _tiles(data, begin)) or ended:
        return missing
    return "" if data.rstrip(b"\0")[-1024:].rfind(b"\xff\xd9") >= 0 else "its end marker is missing"


def _tiles(data: bytes, begin: int) -> str:
    """Whether parts of tiles are missing from a codestream (ISO/IEC 15444-1, A.4.2), which decoders leave black."""
    if len(data) < begin + 40:
        return ""
    right, bottom, _, _, width, height, left, top = struct.unpack_from(">8I", data, begin + 8)
    if not width or not height:
        return ""
    tiles = -(-(right - left) // width) * -(-(bottom - top) // height)
    at = data.find(b"\xff\x90\0\x0a", begin)
    seen: dict[int, int] = {}
    told: dict[int, int] = {}
    while 0 <= at <= len(data) - 12 and data[at : at + 4] == b"\xff\x90\0\x0a":
        number, size, _, parts = struct.unpack_from(">HIBB", data, at + 4)
        seen[number] = seen.get(number, 0) + 1
        told[number] = max(told.get(number, 0), parts)
        if size < 14:  # 0: up to the end of the codestream
            break
        at += size
    if seen and len(seen) < tiles:
        return f"{tiles - len(seen):,} of its {tiles:,} tiles are missing"
    short = sum(1 for number, parts in told.items() if seen[number] < parts)
    return f"parts of {short:,} of its {tiles:,} tiles are missing" if short else ""


def _ico(data: bytes) -> str:
    (count,) = struct.unpack_from("<H", data, 4)
    for index in range(count):
        if 6 + 16 * (index + 1) > len(data):
            return "its table of images ends too early"
        size, offset = struct.unpack_from("<II", data, 6 + 16 * index + 8)
        if offset + size > len(data):
            return "it ends within an image"
        if data[offset : offset + 4] == bytes(4):
            return "zeros are in place of an image"
    return ""


def _gif(data: bytes) -> str:
    """A file that lacks only its trailer is complete, unless zeros are in its place."""
    frames, at = gif_frames(data)
    if frames and 0 <= at < len(data) and len(data) - at >= _ZEROS and not any(data[at:]):
        return "its end is nothing but zeros"
    return "" if frames and 0 <= at <= len(data) else "it ends within a frame"


def strips(offsets: tuple[int, ...], counts: tuple[int, ...], length: int, kind: str) -> None:
    """Raise ``TruncatedImage`` if a strip or tile of a TIFF is outside of the data."""
    if not offsets or not counts:
        raise DamagedImage(f"the {kind} image has no pixels")
    for at, (offset, count) in enumerate(zip(offsets, counts, strict=False)):
        if offset + count > length:
            raise TruncatedImage(
                f"the {kind} image is truncated: part {at + 1} of {len(offsets)} ends behind the file"
            )
