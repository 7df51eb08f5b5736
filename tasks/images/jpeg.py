"""JPEG that broke off, with an end marker or without: tells it from a complete picture.

libjpeg fills what is missing with grey and gives no error, so whether rows are missing has to be found out: the image
is decoded twice, with two different continuations. If the picture is complete, the decoder reads neither of them and
both results are equal. This costs time only for files that look as if something were missing, and for those with
several scans.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image

from tasks.images import limits
from tasks.images.errors import DamagedImage, TruncatedImage
from tasks.images.structure import Structure, exif_structure

_END = b"\xff\xd9"
# neither a stuffed zero nor a restart
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
# sequential and progressive, by Huffman and arithmetic coding
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_BAND = 2**22  # pixels that are compared at a time
_MOST_FILL = 1000  # bytes
_USUAL_SCANS = 16  # of a progressive JPEG; more are refused where the picture is large
_SCAN_HEADER = 14  # bytes at most: four components
# two continuations without markers; no entropy-coded data decodes alike with both for long
_TAILS = (bytes(512), bytes((index * 73 + 41) % 251 for index in range(512)))

Decoder = Callable[[bytes], bytes]


def completed(data: bytes, pixels: Decoder | None = None) -> bytes:
    """The data with an end marker, and without zero bytes that were appended in its place.

    Returns the same data if it has its end marker. Raises ``TruncatedImage`` if a part of the pixels is missing.
    ``pixels``: decodes; by default Pillow.
    """
    scan = data.rfind(b"\xff\xda")
    if data.rfind(_END, max(scan, 0)) >= 0:
        return data
    stripped = data.rstrip(b"\0") if data.endswith(bytes(16)) else data
    if stripped.endswith(b"\xff"):
        stripped = stripped[:-1]
    if scan < 0 or _missing(_scans(stripped)[0], 0):
        raise TruncatedImage("the JPEG image is truncated: it ends before its last scan")
    first, second = ((pixels or _pixels)(stripped + tail + _END) for tail in _TAILS)
    if first != second:
        raise TruncatedImage("the JPEG image is truncated: it ends within its pixels")
    return stripped + _END


def _pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        return image.tobytes()


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, offset and end of each segment before the first scan. The end may be behind the data.

    Raises ``DamagedImage`` for thousands of fill bytes, through which Pillow would walk one by one, and
    ``TooComplex`` for more segments than images have.
    """
    at, count = 2, 0
    while at + 4 <= len(data) and data[at] == 0xFF:
        fill = at
        while at + 4 <= len(data) and data[at + 1] == 0xFF:
            at += 1
            if at - fill > _MOST_FILL:
                raise DamagedImage("the JPEG image cannot be decoded: its header is nothing but fill bytes")
        marker = data[at + 1]
        if at + 4 > len(data) or marker in {0xD9, 0xDA}:
            return
        end = at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])
        yield marker, at, end
        count += 1
        limits.check("JPEG segments", count)
        at = end


def without_metadata(data: bytes) -> bytes:
    """The data without application segments (EXIF, profiles, previews), except Adobe's, which says how to decode."""
    kept, behind = [data[:2]], 2
    for marker, at, end in _segments(data):
        behind = end
        if not (0xE0 <= marker <= 0xEF and marker != 0xEE):
            kept.append(data[at:end])
    kept.append(data[behind:])
    return b"".join(kept)


def ends_in_header(data: bytes) -> bool:
    """Whether the data end before the first scan begins, in or after a segment that names its length."""
    last = max((end for _, _, end in _segments(data)), default=0)
    return last > 16 and last + 4 > len(data)


def exif_of(data: bytes) -> Structure | None:
    """The first EXIF segment that holds anything, read without the rest."""
    for marker, at, end in _segments(data):
        if marker == 0xE1 and data[at + 4 : at + 9] == b"Exif\0":
            found = exif_structure(data[at + 10 : end])
            if found is not None and (first := found.directory(found.first)) and first.entries:
                return found
    return None


def seems_filled(image: Image.Image) -> bool:
    """Whether the last block is the grey with which libjpeg fills what is missing before an end marker."""
    width, height = image.size
    extrema: Any = image.crop((max(0, width - 8), height - 1, width, height)).getextrema()
    pairs = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high in {127, 128} for low, high in pairs)


def check_pixels(data: bytes, pixels: Decoder | None = None) -> None:
    """Raise ``TruncatedImage`` if the pixels end before the end marker does, as in a half that was repaired.

    ``pixels``: decodes; by default Pillow.
    """
    scan = max((end for _, _, end in _segments(data)), default=0)
    end = data.find(_END, scan)
    if end < 0:
        return
    first, second = ((pixels or _pixels)(data[:end] + tail + _END) for tail in _TAILS)
    if first != second:
        raise TruncatedImage("the JPEG image is truncated: its end marker is within its pixels")


def frame(data: bytes) -> tuple[int, int, int]:
    """Bits of a sample, width and height, from the frame header; zeros if there is none."""
    for marker, at, _ in _segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC} and at + 9 <= len(data):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return data[at + 4], width, height
    return 0, 0, 0


def components(data: bytes) -> tuple[tuple[int, ...], tuple[int, int]]:
    """The numbers of the components, and how many pixels share the colours of the second, across and down."""
    for marker, at, end in _segments(data):
        if marker in _FRAMES and end - at >= 10 and end <= len(data):
            parts = [data[place : place + 3] for place in range(at + 10, end - 2, 3)]
            across, down = (
                max(1, parts[0][1] >> shift & 15) // max(1, parts[min(1, len(parts) - 1)][1] >> shift & 15)
                for shift in (4, 0)
            )
            return tuple(part[0] for part in parts), (max(1, across), max(1, down))
    return (), (1, 1)


def transform(data: bytes) -> int | None:
    """The colours that JFIF or Adobe's marker tell: 0 as stored, 1 YCbCr, 2 YCCK; ``None`` without a marker."""
    for marker, at, end in _segments(data):
        if marker == 0xE0 and data[at + 4 : at + 9] == b"JFIF\0":
            return 1
        if marker == 0xEE and data[at + 4 : at + 9] == b"Adobe" and end - at >= 16 and end <= len(data):
            return data[at + 15]
    return None


def scan_count(data: bytes) -> int:
    """How many scans there are, of all pictures in the file. Raises ``TooComplex`` as soon as there are too many."""
    at, count = 2, 0
    while (at := data.find(b"\xff\xda", at)) >= 0:  # within coded pixels this marker cannot be
        if at + 4 <= len(data) and 6 <= struct.unpack_from(">H", data, at + 2)[0] <= _SCAN_HEADER:
            count += 1
            limits.check("JPEG scans", count)
        at += 2
    return count


def check_work(data: bytes, size: tuple[int, int]) -> None:
    """Raise ``TooComplex`` if the first picture of a file has many scans over many pixels.

    Other pictures of the file (previews, gain maps) do not count: they are not decoded.
    """
    count = sum(1 for marker, _ in _scans(data)[0] if marker == 0xDA)
    if count > _USUAL_SCANS:
        limits.check("JPEG pixels in all scans", count * size[0] * size[1])


def check_scans(data: bytes, image: Image.Image, near: int | None) -> None:
    """Raise ``TruncatedImage`` for a JPEG of several scans whose end marker comes too early.

    The rule (ITU-T T.81, G.1.1 and B.2.3): each coefficient of each component has to come in a first scan of its
    band, and the scans that refine it have to lead to the last bit but one (Al = 1) at least. The last bit's scan
    may be missing, because encoders may leave it out on purpose: without it no coefficient is wrong by more than one
    step of quantisation. The last scan that is there has to be complete, whatever it holds.

    ``image``: as decoded from the data, at a size for ``near``.
    """
    scans, end = _scans(data)
    if end < 0:
        return
    if _missing(scans, 1):
        raise TruncatedImage("the JPEG image is truncated: its end marker comes before its last scans")
    if len(scans) <= 2:  # a frame of one scan is checked by its last pixels
        return
    with Image.open(io.BytesIO(data[:end] + _TAILS[1] + _END), formats=("JPEG",)) as other:
        if near is not None:
            other.draft(None, (2 * near, 2 * near))
        other.load()
        rows = max(1, _BAND // image.width)
        for top in range(0, image.height, rows):
            place = (0, top, image.width, min(top + rows, image.height))
            if image.crop(place).tobytes() != other.crop(place).tobytes():
                raise TruncatedImage("the JPEG image is truncated: its end marker is within its last scan")


Scans = list[tuple[int, bytes]]
"""Marker and body of the frame header, and of each scan header."""


def _scans(data: bytes) -> tuple[Scans, int]:
    """The headers of the first picture, and the offset of its end marker; -1 without."""
    found: Scans = []
    at = 2
    while next_one := _MARKER.search(data, at):
        marker, at = next_one.group(1)[0], next_one.end()
        if marker == 0xD9:
            return found, at - 2
        if at + 2 > len(data):
            break
        end = at + int(struct.unpack_from(">H", data, at)[0])
        body = data[at + 2 : end]
        if (marker in _FRAMES and len(body) >= 6) or (marker == 0xDA and len(body) >= 6):
            found.append((marker, body))
        at = max(end, at)
    return found, -1


def _missing(scans: Scans, lowest: int) -> bool:
    """Whether coefficients of a component are not refined to this bit, or not there at all."""
    missing: dict[int, set[int]] = {}
    for marker, body in scans:
        if marker in _FRAMES:
            missing = {body[6 + 3 * index]: set(range(64)) for index in range(body[5]) if 6 + 3 * index < len(body)}
            continue
        count = body[0]
        spectrum = body[1 + 2 * count : 4 + 2 * count]
        if len(spectrum) == 3 and spectrum[2] & 15 <= lowest:
            done = set(range(spectrum[0], spectrum[1] + 1))
            for index in range(count):
                missing.get(body[1 + 2 * index], set()).difference_update(done)
    return any(missing.values())
