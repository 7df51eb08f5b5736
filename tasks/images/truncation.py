"""Finds files that broke off by what their containers say about their lengths, before anything is decoded.

Decoders fill what is missing with grey or zeros in several formats, some of them without an error.
"""

from __future__ import annotations

import struct

from tasks.images.errors import DamagedImage, TruncatedImage

_BOXES = 10_000
MOST_FRAMES = 20_000
_MOST_BLOCKS = 1_000_000  # of a frame; each has up to 255 bytes
_KNOWN = frozenset(b"ftyp meta mdat moov moof free skip uuid idat wide jp2h jp2c jp2i mini sidx colr".split()) | {
    b"jP  ", b"xml ", b"res ",
}  # fmt: skip


def check(kind: str, data: bytes) -> None:
    """Raise ``TruncatedImage`` if a file of this format ends before its container says."""
    finder = {"WEBP": _riff, "GIF": _gif, "AVIF": _boxes, "HEIC": _boxes, "JPEG2000": _jpeg2000, "ICO": _ico}.get(
        kind
    )
    if finder is None:
        return
    missing = finder(data)
    if missing:
        raise TruncatedImage(f"the {kind} image is truncated: {missing}")


def _riff(data: bytes) -> str:
    size = struct.unpack_from("<I", data, 4)[0] + 8
    return f"{size - len(data):,} of {size:,} bytes are missing" if len(data) < size - size % 2 else ""


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


def _jpeg2000(data: bytes) -> str:
    """A codestream in a box with a length is complete if the box is; another one ends with a marker."""
    if data[:4] != b"\xff\x4f\xff\x51":
        at = data.find(b"jp2c")
        if missing := _boxes(data):
            return missing
        if at < 0:
            return "its codestream is missing"
        if data[at - 4 : at] != bytes(4):
            return ""
    return "" if data.rstrip(b"\0")[-1024:].rfind(b"\xff\xd9") >= 0 else "its end marker is missing"


def _ico(data: bytes) -> str:
    (count,) = struct.unpack_from("<H", data, 4)
    for index in range(count):
        if 6 + 16 * (index + 1) > len(data):
            return "its table of images ends too early"
        size, offset = struct.unpack_from("<II", data, 6 + 16 * index + 8)
        if offset + size > len(data):
            return "it ends within an image"
    return ""


def _gif(data: bytes) -> str:
    """A file that lacks only its trailer is complete."""
    frames, at = gif_frames(data)
    return "" if frames and 0 <= at <= len(data) else "it ends within a frame"


def gif_frames(data: bytes) -> tuple[int, int]:
    """The number of frames of a GIF, and the offset behind the last block; -1 if the data end within it.

    Counts ``MOST_FRAMES`` and no more: walking millions of blocks takes long.
    """
    if len(data) < 13:
        return 0, -1
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    frames = blocks = 0
    while 0 <= at < len(data) and data[at] in {0x21, 0x2C} and blocks < MOST_FRAMES:
        blocks += 1
        if data[at] == 0x21:
            at = _sub_blocks(data, at + 2)
            continue
        if at + 10 > len(data):
            return frames, -1
        frames += 1
        at = _sub_blocks(data, at + 11 + (3 << ((data[at + 9] & 7) + 1) if data[at + 9] & 0x80 else 0))
    # another byte than a block's begins the trailer, or what is behind the last block
    return frames, at


def _sub_blocks(data: bytes, at: int) -> int:
    """The offset behind a chain of sub-blocks; -1 if the data end within it. Raises ``DamagedImage`` for too many."""
    for _ in range(_MOST_BLOCKS):
        if at >= len(data):
            return -1
        size = data[at]
        at += 1 + size
        if size == 0:
            return at
    raise DamagedImage(f"the GIF image has more than {_MOST_BLOCKS:,} blocks in a frame")


def strips(offsets: tuple[int, ...], counts: tuple[int, ...], length: int, kind: str) -> None:
    """Raise ``TruncatedImage`` if a strip or tile of a TIFF is outside of the data."""
    if not offsets or not counts:
        raise DamagedImage(f"the {kind} image has no pixels")
    for at, (offset, count) in enumerate(zip(offsets, counts, strict=False)):
        if offset + count > length:
            raise TruncatedImage(
                f"the {kind} image is truncated: part {at + 1} of {len(offsets)} ends behind the file"
            )
