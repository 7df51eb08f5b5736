"""The header of JPEG XL (ISO/IEC 18181-1, SizeHeader and ImageMetadata): what the decoder does not tell."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.images.errors import TruncatedImage
from tasks.images.signalled import BT2020, P3, SRGB, Chromaticities, Signalled, of_chromaticities, of_codes

ENOUGH = 512  # bytes
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_RGB, _CUSTOM, _UNKNOWN_CURVE, _LINEAR = 0, 2, 2, 8
_PRIMARIES = {1: (1, SRGB), 9: (9, BT2020), 11: (12, P3)}  # number here → that of H.273
_ALPHA, _SPOT, _MOSAIC = 0, 2, 5


@dataclass(frozen=True)
class Header:
    """Width and height as stored; ``turned``: orientation, 1 to 8. ``bits``: of integer samples, else ``None``.

    ``colours``: ``None`` for sRGB, and where ``profile`` says that there is an ICC profile; it is packed in a way
    that only the decoder can read.
    """

    width: int
    height: int
    turned: int = 1
    bits: int | None = None
    animated: bool = False
    colours: Signalled | None = None
    profile: bool = False


def header_of(codestream: bytes) -> Header:
    """The header at the beginning of these bytes, better ``ENOUGH`` of them. Raises ``TruncatedImage``."""
    if codestream[:2] != b"\xff\x0a" or len(codestream) < 4:
        raise TruncatedImage("the JPEG XL image is truncated: it has no header")
    bits = _Bits(codestream[2:ENOUGH])
    width, height = _size(bits)
    if bits.take(1):  # all default
        return Header(width, height, bits=8)
    turned, animated = 1, False
    if bits.take(1):  # extra fields
        turned = bits.take(3) + 1
        if bits.take(1):
            _size(bits)  # what it should be shown as
        if bits.take(1):
            _preview(bits)
        animated = bool(bits.take(1))
        if animated:
            bits.choose((0, 100), (0, 1000), (10, 1), (30, 1))
            bits.choose((0, 1), (0, 1001), (8, 1), (10, 1))
            bits.choose((0, 0), (3, 0), (16, 0), (32, 0))
            bits.take(1)
    depth = _depth(bits)
    bits.take(1)
    for _ in range(bits.choose((0, 0), (0, 1), (4, 2), (12, 1))):
        _extra(bits)
    bits.take(1)  # whether it is stored as XYB
    if bits.take(1):  # sRGB
        return Header(width, height, turned, depth, animated)
    if bits.take(1):
        return Header(width, height, turned, depth, animated, profile=True)
    return Header(width, height, turned, depth, animated, _colours(bits))


def _size(bits: _Bits) -> tuple[int, int]:
    lengths = ((9, 1), (13, 1), (18, 1), (30, 1))
    small = bits.take(1)
    height = (bits.take(5) + 1) * 8 if small else bits.choose(*lengths)
    if ratio := bits.take(3):
        above, below = _RATIOS[ratio]
        return height * above // below, height
    return ((bits.take(5) + 1) * 8 if small else bits.choose(*lengths)), height


def _preview(bits: _Bits) -> None:
    lengths = ((0, 16), (0, 32), (5, 1), (9, 33)) if bits.take(1) else ((6, 1), (8, 65), (10, 321), (12, 1345))
    bits.choose(*lengths)
    if not bits.take(3):
        bits.choose(*lengths)


def _depth(bits: _Bits) -> int | None:
    if bits.take(1):  # floats
        bits.choose((0, 32), (0, 16), (0, 24), (6, 1))
        bits.take(4)
        return None
    return bits.choose((0, 8), (0, 10), (0, 12), (6, 1))


def _extra(bits: _Bits) -> None:
    """A channel beyond the colours."""
    if bits.take(1):
        return
    kind = bits.enum()
    _depth(bits)
    bits.choose((0, 0), (0, 3), (0, 4), (3, 1))
    bits.take(8 * bits.choose((0, 0), (4, 0), (5, 16), (10, 48)))  # its name
    if kind == _ALPHA:
        bits.take(1)
    elif kind == _SPOT:
        bits.take(64)
    elif kind == _MOSAIC:
        bits.choose((0, 1), (2, 0), (4, 3), (8, 19))


def _colours(bits: _Bits) -> Signalled | None:
    space = bits.enum()
    white = _point(bits) if bits.enum() == _CUSTOM else None
    primaries = bits.enum() if space == _RGB else 1
    points: list[float] = []
    if primaries == _CUSTOM:
        points = [value for _ in range(3) for value in _point(bits)]
    code, known = _PRIMARIES.get(primaries, (1, SRGB))
    gamma = bits.take(24) / 10_000_000 if bits.take(1) else 0.0
    transfer = _UNKNOWN_CURVE if gamma else bits.enum()
    if not (gamma or white or points):
        # the encoder of imagecodecs calls all that has more than 8 bits linear: believed is what is not
        return of_codes(code, _UNKNOWN_CURVE if transfer == _LINEAR else transfer)
    chromaticities: Chromaticities = (*(white or known[:2]), *(points or known[2:]))
    return of_chromaticities(chromaticities, 1 / gamma if gamma else None)


def _point(bits: _Bits) -> tuple[float, float]:
    steps = ((19, 0), (19, 524_288), (20, 1_048_576), (21, 2_097_152))
    x, y = (bits.choose(*steps) for _ in range(2))
    return _signed(x) / 1_000_000, _signed(y) / 1_000_000


def _signed(value: int) -> int:
    return -(value + 1) // 2 if value & 1 else value // 2


class _Bits:
    """Bits from the least significant one of each byte; zeros behind the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        return value

    def choose(self, *choices: tuple[int, int]) -> int:
        """A number in one of four forms, each of so many bits and an offset."""
        count, offset = choices[self.take(2)]
        return self.take(count) + offset

    def enum(self) -> int:
        return self.choose((0, 0), (0, 1), (4, 2), (6, 18))
