"""GIF: walks through its blocks, and finds frames whose data end before their pixels do.

A decoder stops without an error where the data of a frame say that they end. What is missing then has the colour that
the frame was begun with.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from PIL import Image

from tasks.images import limits
from tasks.images.errors import TruncatedImage

MOST_FRAMES = 20_000
_STEP = 10_000
_EXTENSION, _IMAGE = 0x21, 0x2C
_INTERLACED, _TABLE = 0x40, 0x80
_FILLS = (254, 255)


def gif_frames(data: bytes) -> tuple[int, int]:
    """The number of frames of a GIF, and the offset behind the last block; -1 if the data end within it.

    Counts ``MOST_FRAMES`` and no more: walking millions of blocks takes long.
    """
    if len(data) < 13:
        return 0, -1
    frames, at = 0, _behind_table(13, data[10])
    for begin, end in _blocks(data):
        if end < 0 and data[begin] == _IMAGE and begin + 10 > len(data):
            return frames, -1
        frames += data[begin] == _IMAGE
        at = end
    # another byte than a block's begins the trailer, or what is behind the last block
    return frames, at


def check_frame(data: bytes, number: int) -> None:
    """Raise ``TruncatedImage`` if the data of this frame (from 0) end before its last row.

    The frame is decoded on its own over two colours: where both show, nothing was written. Pillow refuses a frame
    that ends within a row.
    """
    images = (block for block in _blocks(data) if data[block[0]] == _IMAGE)
    begin, end = next((block for at, block in enumerate(images) if at == number), (0, -1))
    if end < 0:
        return
    width, height = struct.unpack_from("<HH", data, begin + 5)
    # the rows of an interlaced frame end with the odd ones (GIF89a, appendix E)
    last = height - 1 if height < 2 or not data[begin + 9] & _INTERLACED else (height // 2) * 2 - 1
    if all(_first_of_row(data[begin:end], (width, height), last, fill) == fill for fill in _FILLS):
        raise TruncatedImage("the GIF image is truncated: the data of its frame end before its last row")


def _first_of_row(block: bytes, size: tuple[int, int], row: int, fill: int) -> int | None:
    """The index of the first pixel of a row, in a frame alone in a file, over this index."""
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0xF7, 0, 0)
    control = b"\x21\xf9\4\1" + struct.pack("<HB", 0, fill) + b"\0"
    own = block[9] & _TABLE
    table = bytes(level for level in range(256) for _ in range(3))
    place = block[:1] + bytes(4) + block[5:9] + bytes([block[9] & ~(_TABLE | 7)])
    alone = head + table + control + place + block[_behind_table(10, block[9]) if own else 10 :] + b"\x3b"
    with Image.open(io.BytesIO(alone), formats=("GIF",)) as image:
        image.load()
        found = image.getpixel((0, row))
    return found if isinstance(found, int) else None


def _behind_table(at: int, flags: int) -> int:
    return at + (3 << ((flags & 7) + 1) if flags & _TABLE else 0)


def _blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Offset and end of each extension and frame; the end is -1 if the data end within it."""
    at = _behind_table(13, data[10])
    walked = 0
    for _ in range(MOST_FRAMES):
        if not 0 <= at < len(data) or data[at] not in {_EXTENSION, _IMAGE}:
            return
        begin = at
        if data[at] == _EXTENSION:
            at, count = _sub_blocks(data, at + 2)
        elif at + 10 > len(data):
            at, count = -1, 0
        else:
            at, count = _sub_blocks(data, _behind_table(at + 10, data[at + 9]) + 1)
        walked += count
        limits.check("GIF blocks", walked)
        yield begin, at


def _sub_blocks(data: bytes, at: int) -> tuple[int, int]:
    """The offset behind a chain of sub-blocks, -1 if the data end within it, and their number.

    Raises ``TooComplex`` for too many.
    """
    count = 0
    while at < len(data):
        size = data[at]
        at += 1 + size
        if size == 0:
            return at, count
        count += 1
        if count % _STEP == 0:
            limits.check("GIF blocks", count)
    return -1, count
