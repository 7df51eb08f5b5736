"""PBM, PGM and PPM: reads those whose values are text or have two bytes; Pillow gets the others, with a plain header.

Pillow reads text value by value, which takes minutes for large files, and comments byte by byte. A comment counts as
white space, as in the reference implementation.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.images import bitmap, plain_rows
from tasks.images.depth import to_bytes
from tasks.images.errors import DamagedImage, TruncatedImage, check_size
from tasks.images.source import Source

_BLOCK = 2**22  # bytes that are read at a time
_LONGEST = 10  # digits of a number
_COMMENTS = 10_000  # in a header
_MAGIC = re.compile(rb"P([1-6])(?=[\s#])")
_BLANKS = re.compile(rb"[ \t\n\v\f\r]*")
_LINE_END = re.compile(rb"[\r\n]")
_NUMBER = re.compile(rb"\d+")
_SPACES = np.isin(np.arange(256), list(b" \t\n\v\f\r"))
_DIGITS = np.isin(np.arange(256), list(b"0123456789"))
_HASH, _ZERO = 35, 48


def opened(data: bytes, max_pixels: int) -> Source:
    """The first image. Raises a ``BadImage``."""
    found = _MAGIC.match(data)
    if found is None:  # PFM, and what only Pillow writes
        return bitmap.opened_other(data, "PPM", max_pixels)
    kind = int(found[1])
    numbers, at = _header(data, 2 if kind in {1, 4} else 3)
    width, height = numbers[:2]
    check_size(width, height, max_pixels)
    if kind in {5, 6} and 255 < numbers[2] < 65536:
        source = Source("PPM", width, height, lambda: _wide(data, at, kind, (height, width), numbers[2]))
        source.needs = width * height * (20 if kind == 6 else 12)
        source.warn(plain_rows.check_rows("PPM", data, at, (width, height), 48 if kind == 6 else 16))
        return source
    if kind > 3 and b"#" not in data[:at]:
        return bitmap.opened_other(data, "PPM", max_pixels)
    if kind > 3:
        plain = b"P%d\n" % kind + b" ".join(b"%d" % number for number in numbers) + b"\n"
        return bitmap.opened_other(plain + data[at:], "PPM", max_pixels)
    top = numbers[2] if kind > 1 else 1
    if not 0 < top < 65536:
        raise DamagedImage(f"the PPM image has the largest value {top:,}; it has to be 1 to 65,535")
    needs = width * height * (20 if kind == 3 else 12)
    return Source("PPM", width, height, lambda: _loaded(data, at, kind, (height, width), top), needs=needs)


def _header(data: bytes, count: int) -> tuple[list[int], int]:
    """So many numbers, and the offset of the values."""
    numbers: list[int] = []
    at, comments = 2, 0
    while len(numbers) < count:
        blanks = _BLANKS.match(data, at)
        at = blanks.end() if blanks else at
        if data[at : at + 1] == b"#":
            comments += 1
            end = _LINE_END.search(data, at)
            if end is None or comments > _COMMENTS:
                break
            at = end.end()
        elif (found := _NUMBER.match(data, at)) and found.end() - at <= _LONGEST:
            numbers.append(int(found[0]))
            at = found.end()
        elif found or at < len(data):
            raise DamagedImage(f"the PPM image has no number at byte {at:,} of its header")
        else:
            break
    if len(numbers) < count or at >= len(data):
        raise TruncatedImage("the PPM image is truncated: it ends within its header")
    if data[at : at + 1] == b"#" and (end := _LINE_END.search(data, at)):
        at = end.start()
    return numbers, at + 1


def _loaded(data: bytes, at: int, kind: int, shape: tuple[int, int], top: int) -> Image.Image:
    count = shape[0] * shape[1] * (3 if kind == 3 else 1)
    values = np.empty(count, dtype=np.uint16)
    filled = 0
    rest, comment = b"", False
    while filled < count and at < len(data):
        block = np.frombuffer(rest + data[at : at + _BLOCK], dtype=np.uint8)
        at += _BLOCK
        block, comment = _without_comments(block, comment=comment)
        if kind > 1 and at < len(data):  # the last number may go on in the next block
            spaces = np.flatnonzero(_SPACES[block])
            cut = int(spaces[-1]) + 1 if spaces.size else 0
            block, rest = block[:cut], block[cut:].tobytes()
            if len(rest) > _LONGEST:
                raise DamagedImage(f"the PPM image has a number with more than {_LONGEST} digits")
        found = _numbers(block, single=kind == 1)[: count - filled]
        if found.size and found.max() > top:
            raise DamagedImage(f"the PPM image has the value {found.max():,}; its largest should be {top:,}")
        values[filled : filled + found.size] = found
        filled += found.size
    if filled < count:
        raise TruncatedImage(f"the PPM image is truncated: {count - filled:,} of {count:,} values are missing")
    if kind == 1:
        return Image.fromarray(np.where(values == 0, np.uint8(255), np.uint8(0)).reshape(shape)).convert("RGB")
    return _scaled(values, (*shape, 3) if kind == 3 else shape, top)


def _wide(data: bytes, at: int, kind: int, shape: tuple[int, int], top: int) -> Image.Image:
    """Values of two bytes. Pillow keeps only the upper byte of colours."""
    count = shape[0] * shape[1] * (3 if kind == 6 else 1)
    here = max(0, len(data) - at) // 2
    if here < count:
        raise TruncatedImage(f"the PPM image is truncated: {count - here:,} of {count:,} values are missing")
    values = np.frombuffer(data, dtype=">u2", count=count, offset=at).astype(np.uint16)
    return _scaled(np.minimum(values, top), (*shape, 3) if kind == 6 else shape, top)


def _scaled(values: NDArray[np.uint16], shape: tuple[int, ...], top: int) -> Image.Image:
    """As RGB. The largest value is the range, unless it is the one that two bytes can hold."""
    table = np.rint(np.arange(top + 1) / top * 255).astype(np.uint8)
    scaled = to_bytes(values) if top == 65535 else table[values]
    return Image.fromarray(scaled.reshape(shape)).convert("RGB")


def _without_comments(block: NDArray[np.uint8], *, comment: bool) -> tuple[NDArray[np.uint8], bool]:
    """The bytes with blanks in place of comments. ``comment``: whether they begin, and then end, within one."""
    hashes = block == _HASH
    if not comment and not hashes.any():
        return block, False
    places = np.arange(block.size, dtype=np.int32)
    ends = np.maximum.accumulate(np.where((block == 10) | (block == 13), places, -1))
    begins = np.maximum.accumulate(np.where(hashes, places, -1))
    inside = begins > ends
    if comment:
        inside |= ends < 0
    return np.where(inside, np.uint8(32), block), bool(inside[-1])


def _numbers(block: NDArray[np.uint8], *, single: bool) -> NDArray[np.uint8] | NDArray[np.int64]:
    """The numbers of a text. ``single``: each digit is one."""
    digits = _DIGITS[block]
    strange = ~(digits | _SPACES[block])
    if strange.any():
        raise DamagedImage(f"the PPM image has the byte {int(block[strange.argmax()])} among its values")
    if single:
        return block[digits] - np.uint8(_ZERO)
    edges = np.flatnonzero(np.diff(digits.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    lengths = ends - starts
    longest = int(lengths.max(initial=0))
    if longest > _LONGEST:
        raise DamagedImage(f"the PPM image has a number with more than {_LONGEST} digits")
    found = np.zeros(starts.size, dtype=np.int64)
    for place in range(longest):
        has = lengths > place
        found[has] += (block[ends[has] - 1 - place].astype(np.int64) - _ZERO) * 10**place
    return found
