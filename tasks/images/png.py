"""PNG: leaves out what does not belong to the picture, so that faults in it do not cost the picture.

Text and profile chunks that unpack to megabytes, wrong checksums in ancillary chunks, a missing end and bytes behind
it are harmless; a missing part of the pixels is not.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from tasks.images import limits
from tasks.images.colour import MOST_BYTES, Profile
from tasks.images.errors import DamagedImage, TruncatedImage
from tasks.images.signalled import of_chromaticities, of_codes

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_KEPT = {b"tRNS", b"acTL", b"fcTL", b"fdAT"}  # ancillary chunks that change pixels; profile and EXIF are read here
_ANIMATED = {b"acTL", b"fcTL", b"fdAT"}
_COLOURS = {b"cICP", b"sRGB", b"cHRM", b"gAMA"}
_EXIF_TEXT = re.compile(rb"Raw profile type (?:exif|APP1)\Z")
_HEX = re.compile(rb"\s*\w*\s+\d+\s+([0-9a-fA-F\s]+)")


@dataclass(frozen=True)
class Cleaned:
    """``data``: a PNG of only what changes pixels. ``bits``: per sample; ``kind``: PNG's colour type.

    ``significant``: bits of a sample that the source had (sBIT), if the file tells. ``frames_missing``: of an
    animation whose file ends as it should.
    """

    data: bytes
    profile: Profile | None
    exif: bytes | None
    xmp: bytes | None
    bits: int
    kind: int
    interlaced: bool = False
    significant: int | None = None
    frames_missing: int = 0

    def chunks(self) -> Iterator[tuple[bytes, memoryview]]:
        """Name and body of each chunk."""
        for name, begin, length, _ in _chunks(self.data):
            yield name, memoryview(self.data)[begin : begin + length]


def cleaned(data: bytes, *, still: bool = False) -> Cleaned:
    """Take a PNG apart. ``still``: without its animation.

    Raises ``TruncatedImage`` if it ends before or within a later frame of an animation, and ``DamagedImage`` for
    pixels with a wrong checksum, which the decoder ignores. If it ends within its pixels, they are kept as far as
    they go: whether rows are missing is found out when they are decoded.
    """
    kept: list[bytes | memoryview] = [SIGNATURE]
    beside = _Beside()
    animation = _Animation()
    bits, kind, interlaced = 8, 2, False
    for name, begin, length, whole in _chunks(data):
        body = memoryview(data)[begin : begin + length]
        if name == b"IHDR" and len(body) >= 13:
            bits, kind, interlaced = body[8], body[9], body[12] == 1
        if name in _ANIMATED or name == b"IEND":
            animation.add(name, data[begin - 4 : begin + length + 4], whole=whole)
        if name == b"IEND" or (not whole and name != b"IDAT"):
            break
        if name[0] & 0x20 and name not in _KEPT:  # ancillary
            if name not in _COLOURS or (
                whole and zlib.crc32(body, zlib.crc32(name)) == _checksum(data, begin + length)
            ):
                beside.add(name, bytes(body[:MOST_BYTES]))
            continue
        if (still and name in _ANIMATED) or (name == b"tRNS" and not _fits(kind, length)):
            continue
        kept += _kept(data, name, (begin, length), whole=whole)
    kept.append(_END)
    return Cleaned(
        b"".join(kept), beside.colours(), beside.exif, beside.xmp, bits, kind, interlaced, beside.significant,
        0 if still else animation.missing(),
    )  # fmt: skip


def _kept(data: bytes, name: bytes, place: tuple[int, int], *, whole: bool) -> list[bytes | memoryview]:
    """A chunk with a right checksum; nothing for a clear colour whose checksum is wrong.

    Raises ``DamagedImage`` for pixels with a wrong one, which the decoder ignores.
    """
    begin, length = place
    body = memoryview(data)[begin : begin + length]
    checked = name[0] & 0x20 or name == b"IDAT" or not whole
    checksum = zlib.crc32(body, zlib.crc32(name)) if checked else None
    if checksum is None or (whole and checksum == _checksum(data, begin + length)):
        return [memoryview(data)[begin - 8 : begin + length + 4]]
    if whole and name == b"IDAT":
        raise DamagedImage("the PNG image cannot be decoded: the checksum of its pixels is wrong")
    return [] if name == b"tRNS" else [struct.pack(">I", len(body)) + name, body, struct.pack(">I", checksum)]


class _Animation:
    """The frames that a PNG promises (acTL), and those that are here."""

    def __init__(self) -> None:
        self._told, self._found = 0, 0
        self._ended, self._wrong = False, False

    def add(self, name: bytes, chunk: bytes, *, whole: bool) -> None:
        """``chunk``: its name, body and checksum, as far as they are here."""
        if not whole and name == b"fdAT":
            raise TruncatedImage("the PNG image is truncated: it ends within a later frame")
        if name == b"acTL" and len(chunk) >= 12:
            (self._told,) = struct.unpack_from(">I", chunk, 4)
        self._found += name == b"fcTL" and whole
        self._ended = self._ended or name == b"IEND"
        self._wrong = self._wrong or (name == b"fdAT" and zlib.crc32(chunk[:-4]) != _checksum(chunk, len(chunk) - 4))

    def missing(self) -> int:
        """Frames that are missing. Raises ``TruncatedImage`` if the end of the file is missing, too."""
        if self._ended or (self._found >= self._told and not (self._told and self._wrong)):
            return max(0, self._told - self._found)
        found = self._found - self._wrong
        raise TruncatedImage(f"the PNG image is truncated: {found} of its {self._told} frames are whole")


def _fits(kind: int, length: int) -> bool:
    """Whether a tRNS chunk has a length that its colour type (0 grey, 2 RGB, 3 palette) may have."""
    return {0: length == 2, 2: length == 6, 3: 0 < length <= 256}.get(kind, False)


class _Beside:
    """What ancillary chunks say beside the pixels."""

    def __init__(self) -> None:
        self.profile: bytes | None = None
        self.exif: bytes | None = None
        self.xmp: bytes | None = None
        self.significant: int | None = None
        self._chunks: dict[bytes, bytes] = {}

    def colours(self) -> Profile | None:
        """What says how colours look, in the order of the standard (PNG, third edition, 4.3)."""
        numbers = self._chunks.get(b"cICP", b"")
        if len(numbers) == 4 and numbers[2:] == b"\0\1":
            return of_codes(numbers[0], numbers[1])
        if self.profile or b"sRGB" in self._chunks:
            return self.profile
        points, exponent = self._chunks.get(b"cHRM", b""), self._chunks.get(b"gAMA", b"")
        gamma = struct.unpack(">I", exponent)[0] / 100_000 if len(exponent) == 4 else 0.0
        known = struct.unpack(">8i", points) if len(points) == 32 else None
        chromaticities = None if known is None else tuple(min(max(one / 100_000, -10.0), 10.0) for one in known)
        return of_chromaticities(chromaticities, 1 / gamma if gamma else None)

    def add(self, name: bytes, body: bytes) -> None:
        if name == b"iCCP" and self.profile is None:
            self.profile = _unpacked(body.partition(b"\0")[2][1:], MOST_BYTES)
        elif name in _COLOURS:
            self._chunks.setdefault(name, body[:40])
        elif name == b"sBIT" and body:
            self.significant = max(body[:3])
        elif name == b"eXIf":
            self.exif = body
        elif name in {b"zTXt", b"tEXt", b"iTXt"}:
            keyword, _, rest = body.partition(b"\0")
            if name == b"iTXt" and keyword == b"XML:com.adobe.xmp":
                xmp = rest[2:].partition(b"\0")[2].partition(b"\0")[2]  # behind a language and a name
                self.xmp = _unpacked(xmp, 2**20) if rest[:1] == b"\1" else xmp
            elif self.exif is None and _EXIF_TEXT.match(keyword):
                text = _unpacked(rest[1:], 2**20) if name == b"zTXt" else rest
                self.exif = _from_hex(text or b"")


def _from_hex(text: bytes) -> bytes | None:
    """EXIF as ImageMagick stores it in a text chunk."""
    found = _HEX.match(text)
    try:
        return bytes.fromhex(found.group(1).decode("ascii")) if found else None
    except ValueError:
        return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int, bool]]:
    """Name, offset and length of each chunk's body, and whether the chunk is within the data."""
    at = len(SIGNATURE)
    for number in count(1):
        limits.check("PNG chunks", number)
        if at + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, at)
        if not name.isalpha():
            return
        end = at + 12 + length
        yield name, at + 8, min(length, len(data) - at - 8), end <= len(data)
        at = end


def _checksum(data: bytes, at: int) -> int:
    return int(struct.unpack_from(">I", data, at)[0])


def _unpacked(packed: bytes, most: int) -> bytes | None:
    """Deflated bytes; ``None`` if they are malformed or unpack to more than ``most``."""
    try:
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(packed, most)
    except zlib.error:
        return None
    return found if unpacker.eof else None
