"""The header of a JPEG XL codestream (ISO/IEC 18181-1, SizeHeader and ImageMetadata), as far as it is needed here."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.images.errors import TruncatedImage

SIZE = 96  # bytes of a codestream in which all of it is
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


@dataclass(frozen=True)
class Header:
    """Size as stored, EXIF's orientation, whether there may be several frames; ``bits``: ``None`` for floats."""

    width: int
    height: int
    turned: int = 1
    animated: bool = False
    bits: int | None = 8


def header_of(codestream: bytes) -> Header:
    """Raises ``TruncatedImage`` for bytes that do not begin with one."""
    if codestream[:2] != b"\xff\x0a" or len(codestream) < 4:
        raise TruncatedImage("the JPEG XL image is truncated: it has no header")
    bits = _Bits(codestream[2:SIZE])
    width, height = _size(bits)
    if bits.take(1):  # all is default
        return Header(width, height)
    turned, animated = 1, False
    if bits.take(1):  # extra fields
        turned = bits.take(3) + 1
        if bits.take(1):  # intrinsic size
            _size(bits)
        if bits.take(1):
            _preview(bits)
        animated = bool(bits.take(1))
        if animated:
            bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))  # ticks a second, above and below
            bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
            bits.choice((0, 0), (0, 3), (0, 16), (0, 32))  # loops
            bits.take(1)
    if bits.take(1):
        return Header(width, height, turned, animated, None)
    return Header(width, height, turned, animated, bits.choice((8, 0), (10, 0), (12, 0), (1, 6)))


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)
    sizes = ((1, 9), (1, 13), (1, 18), (1, 30))
    height = (bits.take(5) + 1) * 8 if small else bits.choice(*sizes)
    ratio = bits.take(3)
    if ratio:
        above, below = _RATIOS[ratio]
        return height * above // below, height
    return (bits.take(5) + 1) * 8 if small else bits.choice(*sizes), height


def _preview(bits: _Bits) -> None:
    eighths = bits.take(1)
    sizes = ((16, 0), (32, 0), (1, 5), (33, 9)) if eighths else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choice(*sizes)
    if not bits.take(3):
        bits.choice(*sizes)


class _Bits:
    """Bits from the least significant one of each byte; zeros after the last."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        return value

    def choice(self, *ways: tuple[int, int]) -> int:
        """A number in one of four ways, each with what is added and its count of bits (the standard's U32)."""
        least, count = ways[self.take(2)]
        return least + self.take(count)
