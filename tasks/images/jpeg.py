"""JPEG without its end marker: tells a complete picture from one that broke off.

libjpeg fills what is missing with grey and gives no error, so whether rows are missing has to be found out: the image
is decoded twice, with two different continuations. If the picture is complete, the decoder reads neither of them and
both results are equal. This costs time only for files without an end marker.
"""

from __future__ import annotations

import io
import struct

from PIL import Image

from tasks.images.errors import TruncatedImage

_END = b"\xff\xd9"
# two continuations without markers; no entropy-coded data decodes alike with both for long
_TAILS = (bytes(512), bytes((index * 73 + 41) % 251 for index in range(512)))


def completed(data: bytes) -> bytes:
    """The data with an end marker, and without zero bytes that were appended in its place.

    Returns the same data if it has its end marker. Raises ``TruncatedImage`` if a part of the pixels is missing.
    """
    scan = data.rfind(b"\xff\xda")
    if data.rfind(_END, max(scan, 0)) >= 0:
        return data
    stripped = data.rstrip(b"\0") if data.endswith(bytes(16)) else data
    if stripped.endswith(b"\xff"):
        stripped = stripped[:-1]
    if scan < 0 or not _has_all_scans(stripped):
        raise TruncatedImage("the JPEG image is truncated: it ends before its last scan")
    first, second = (_pixels(stripped + tail + _END) for tail in _TAILS)
    if first != second:
        raise TruncatedImage("the JPEG image is truncated: it ends within its pixels")
    return stripped + _END


def _pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        return image.tobytes()


def without_metadata(data: bytes) -> bytes:
    """The data without application segments (EXIF, profiles, previews), except Adobe's, which says how to decode."""
    at = 2
    kept = [data[:2]]
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:
            break
        (length,) = struct.unpack_from(">H", data, at + 2)
        if not (0xE0 <= marker <= 0xEF and marker != 0xEE):
            kept.append(data[at : at + 2 + length])
        at += 2 + length
    kept.append(data[at:])
    return b"".join(kept)


def ends_in_header(data: bytes) -> bool:
    """Whether the data end before the first scan begins, in or after a segment that names its length."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return at > 16 and at + 4 > len(data)


def exif_of(data: bytes) -> bytes | None:
    """The EXIF segment, read without the rest."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in {0xDA, 0xD9}:
            break
        if marker == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker == 0xE1 and data[at + 4 : at + 9] == b"Exif\0":
            return data[at + 10 : at + 2 + length]
        at += 2 + length
    return None


def _has_all_scans(data: bytes) -> bool:
    """Whether the scans of a progressive JPEG refine all coefficients of all components to the last bit."""
    at = 2
    missing: dict[int, set[int]] = {}
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in {0x00, 0xFF} or 0xD0 <= data[at + 1] <= 0xD8:
            at = data.find(b"\xff", at + 1 if data[at] != 0xFF or data[at + 1] == 0xFF else at + 2)
            if at < 0:
                break
            continue
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        body = data[at + 4 : at + 2 + length]
        if marker == 0xC2 and len(body) >= 6:
            missing = {body[6 + 3 * index]: set(range(64)) for index in range(body[5]) if 6 + 3 * index < len(body)}
        elif marker == 0xDA and missing and len(body) >= 1:
            count = body[0]
            spectrum = body[1 + 2 * count : 4 + 2 * count]
            if len(spectrum) == 3 and spectrum[2] & 15 == 0:
                done = set(range(spectrum[0], spectrum[1] + 1))
                for index in range(count):
                    missing.get(body[1 + 2 * index], set()).difference_update(done)
        at += 2 + length
    return not any(missing.values())


def frame(data: bytes) -> tuple[int, int, int]:
    """Bits of a sample, width and height, from the frame header; zeros if there is none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return data[at + 4], width, height
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return 0, 0, 0
