"""WebP (RIFF): mends the size of the container, and finds files that end too early or in zeros.

Zeros in place of coded pixels decode to something, without an error. So do the zeros with which flat pictures end.
They are told apart by decoding without the last of them: only a decoder that stopped before gives no error.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from PIL import Image

from tasks.images import limits
from tasks.images.errors import check_size

_ZEROS = 32  # bytes in a row at the end of coded pixels
_MISSING = 512  # bytes of zeros in place of a frame
_LESS = 16  # bytes; encoders write up to three more than decoders need
_CODED = frozenset({b"VP8 ", b"VP8L", b"ANMF", b"ALPH"})
_BESIDE = frozenset({b"VP8X", b"ICCP", b"ANIM", b"EXIF", b"XMP "})


def missing(data: bytes) -> str:
    """What a file lacks; empty if it is complete."""
    size = struct.unpack_from("<I", data, 4)[0] + 8
    found = list(chunks(data))
    padding = size - len(data) == 1 and any((end - begin) % 2 and end == len(data) for _, begin, end in found)
    if len(data) < size - size % 2 and not padding:
        return f"{size - len(data):,} of {size:,} bytes are missing"
    coded = [(begin, end) for name, begin, end in found if name in {b"VP8 ", b"VP8L"}]
    frames = [(begin, end) for name, begin, end in found if name == b"ANMF"]
    if frames:
        begin, end = frames[-1]
        if min(size, len(data)) - end >= _MISSING and not any(data[end:size]):
            return "zeros are in place of its later frames"
        coded = [(at, until) for name, at, until in chunks(data[:end], begin + 16) if name in {b"VP8 ", b"VP8L"}]
        if not coded:
            return "zeros are in place of its last frame"
    for begin, end in coded[-1:]:
        if unwritten(data[begin - 8 : end]):
            return f"it is nothing but zeros from byte {begin + len(data[begin:end].rstrip(bytes(1))):,} on"
    return ""


def check(data: bytes, max_pixels: int) -> None:
    """Raise a ``BadImage`` for a canvas that is too large, as the decoder takes memory for it, or many frames."""
    frames = 0
    for name, begin, end in chunks(data):
        if name == b"VP8X" and begin + 10 <= len(data):
            width, height = (int.from_bytes(data[begin + at : begin + at + 3], "little") + 1 for at in (4, 7))
            check_size(width, height, max_pixels)
        elif name == b"VP8L" and begin + 5 <= min(end, len(data)):
            (bits,) = struct.unpack_from("<I", data, begin + 1)
            check_size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, max_pixels)
        elif name == b"VP8 " and begin + 10 <= min(end, len(data)):
            width, height = struct.unpack_from("<HH", data, begin + 6)
            check_size(width & 0x3FFF, height & 0x3FFF, max_pixels)
        frames += name == b"ANMF"
        limits.check("WebP frames", frames)


def unwritten(chunk: bytes) -> bool:
    """Whether a chunk of coded pixels, with its head, ends in zeros that are not its own."""
    if len(chunk) < _ZEROS + 8 or any(chunk[-_ZEROS:]):
        return False
    return _decodes(chunk[:-_LESS]) or not _decodes(chunk)


def _decodes(chunk: bytes) -> bool:
    body = chunk[:4] + struct.pack("<I", len(chunk) - 8) + chunk[8:] + bytes(len(chunk) % 2)
    data = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
            image.load()
    except MemoryError:
        raise
    except Exception:  # decoders may raise any error for data that end too early
        return False
    return True


def chunks(data: bytes, at: int = 12) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and end of the body of each chunk, as far as their names are known. The end may be behind the
    data.
    """
    while at + 8 <= len(data) and data[at : at + 4] in _CODED | _BESIDE:
        (size,) = struct.unpack_from("<I", data, at + 4)
        yield data[at : at + 4], at + 8, at + 8 + size
        at += 8 + size + size % 2


def mended(data: bytes) -> bytes:
    """A WebP with the size that its chunks have together, where the one that it names is within a chunk, or odd.

    A chunk of odd size is followed by a byte of padding, which some programs leave out, or do not count (RIFF).
    """
    told = struct.unpack_from("<I", data, 4)[0] + 8
    if told == len(data) and told % 2 == 0:
        return data
    end, within = 12, False
    for _, begin, until in chunks(data):
        within = within or begin - 8 < told < until
        end = until + until % 2
    if end > len(data) + 1 or not (within or told % 2 or end > len(data)):
        return data
    whole = data[:end].ljust(end, b"\0")
    return whole[:4] + struct.pack("<I", end - 8) + whole[8:]
