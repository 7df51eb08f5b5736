"""The layouts of TIFF: what a directory says about its pixels, in words, and which library reads it right."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.images.structure import Directory, Structure

COMPRESSIONS = {
    1: "uncompressed", 2: "CCITT RLE", 3: "CCITT Group 3", 4: "CCITT Group 4", 5: "LZW", 6: "old JPEG", 7: "JPEG",
    8: "deflate", 32773: "PackBits", 32946: "deflate", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000",
    34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 34933: "PNG", 34934: "JPEG XR", 22610: "JPEG XR",
    50000: "zstd", 34926: "zstd", 50001: "WebP", 34927: "WebP", 50002: "JPEG XL", 52546: "JPEG XL", 65000: "EER",
    32908: "", 32909: "", 32771: "uncompressed in words", 33007: "ALT JPEG", 34892: "lossy JPEG", 48124: "Jetraw",
}  # fmt: skip
_BY_PILLOW = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000}
_PACKBITS = 32773
_BY_TIFFFILE = set(COMPRESSIONS) - {6, 65000, 32908, 32909, 32771, 33007, 48124}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 4, 5, 6, 8, 9
CFA, LINEAR_RAW = 32803, 34892
PHOTOMETRICS = {
    WHITE_IS_ZERO: "grey (white is zero)", BLACK_IS_ZERO: "grey", RGB: "RGB", PALETTE: "palette", MASK: "mask",
    CMYK: "CMYK", YCBCR: "YCbCr", CIELAB: "LAB", ICCLAB: "ICC LAB", 10: "ITU LAB", CFA: "sensor mosaic",
    LINEAR_RAW: "linear raw", 32844: "LogL", 32845: "LogLuv", 51177: "depth map",
}  # fmt: skip
_KINDS = {1: "unsigned", 2: "signed", 3: "float", 4: "untyped", 5: "complex integer", 6: "complex float"}
_CHANNELS = {
    WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, CIELAB: 3, ICCLAB: 3,
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How pixels are stored. ``bits`` and ``kind`` (1 unsigned, 2 signed, 3 float) are the same for all samples.

    ``extra``: the meaning of each sample beyond the colours; 1 and 2 are opacity. ``palette``: the colour map.
    ``parts``: the number of strips or tiles that make the image. ``subsampled``: how many pixels share the colours
    of YCbCr, across and down. ``needed``: the bytes that each part takes, where that is known; ``line``: those of a
    row of it, or of the rows that share colours.
    ``differences``: whether each value is stored as its difference to the pixel before (Predictor).
    """

    width: int
    height: int
    samples: int
    bits: int
    uniform: bool
    kind: int
    photometric: int
    compression: int
    planar: bool
    extra: tuple[int, ...]
    palette: tuple[int, ...]
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    parts: int
    inks: int
    subsampled: tuple[int, int] = (1, 1)
    needed: tuple[int, ...] = ()
    line: int = 0
    differences: bool = False

    @property
    def text(self) -> str:
        """What was met, for people: ``TIFF, 3 × 32-bit float, RGB, planar, LZW``."""
        parts = [f"TIFF, {self.samples} × {self.bits}-bit {_KINDS.get(self.kind, 'unknown')}"]
        if not self.uniform:
            parts.append("of several depths")
        parts.append(PHOTOMETRICS.get(self.photometric, f"photometric {self.photometric}"))
        if self.planar and self.samples > 1:
            parts.append("planar")
        if self.compression != 1:
            parts.append(COMPRESSIONS.get(self.compression) or f"compression {self.compression}")
        return ", ".join(parts)

    @property
    def colours(self) -> int:
        """Samples of colour, without the extra ones."""
        return _CHANNELS.get(self.photometric, 0)

    @property
    def opacity(self) -> int | None:
        """The position of the sample that holds opacity."""
        for at, meaning in enumerate(self.extra):
            if meaning in {1, 2}:
                return self.colours + at
        return None

    @property
    def furthest(self) -> int:
        """The offset behind the last part."""
        return max((sum(pair) for pair in zip(self.offsets, self.counts, strict=False)), default=0)

    @property
    def multiplied(self) -> bool:
        """Whether colours are multiplied by opacity ("associated alpha")."""
        at = self.opacity
        return at is not None and self.extra[at - self.colours] == 1

    @property
    def readable(self) -> bool:
        """Whether the samples have a known meaning."""
        beyond = self.samples - self.colours
        return (
            self.uniform
            and self.kind in {1, 2, 3, 4}
            and self.colours > 0
            and (beyond == 0 or (beyond > 0 and (self.colours > 1 or beyond == 1)))
            and not (self.photometric == CMYK and self.inks not in {0, 1})
        )

    @property
    def suits_pillow(self) -> bool:
        """Layouts that Pillow is known to read right; those that share colours only when they are compressed."""
        shown = self.differences and self.compression == _PACKBITS  # libtiff would show the differences
        if not self.readable or self.compression not in _BY_PILLOW or self.kind == 4 or shown:
            return False
        beyond = self.samples - self.colours
        if self.photometric == RGB:
            return self.kind == 1 and self.bits == 8 and (beyond == 0 or (beyond == 1 and not self.planar))
        if beyond:
            return (self.photometric, self.kind, self.bits, self.extra, self.planar) == (
                BLACK_IS_ZERO,
                1,
                8,
                (2,),
                False,
            )
        if self.photometric in {WHITE_IS_ZERO, BLACK_IS_ZERO}:
            if self.kind == 1:
                return self.bits in {1, 8, 16} or (self.bits in {2, 4} and self.compression == 1)
            return self.bits == 32 and self.photometric == BLACK_IS_ZERO
        depths = {PALETTE: {1, 2, 4, 8}, CMYK: {8}, YCBCR: {8}}.get(self.photometric, set())
        return self.kind == 1 and self.bits in depths and not self.planar

    @property
    def suits_tifffile(self) -> bool:
        """Layouts that tifffile and imagecodecs are known to read right."""
        if not self.readable or self.compression not in _BY_TIFFFILE:
            return False
        if self.photometric == YCBCR:
            return self.compression in {7, 34892, 33003, 33005, 34712, 50001, 50002}
        if self.photometric in {CIELAB, ICCLAB}:
            return self.bits in {8, 16} and self.kind in {1, 2}
        if self.photometric == PALETTE:
            return self.bits <= 16 and self.kind == 1
        return True


def layout_of(structure: Structure, directory: Directory) -> Layout:
    """The layout of a directory; values that are missing or malformed are TIFF's defaults."""
    bits = structure.integers(directory, 258) or (1,)
    samples = max(1, structure.integer(directory, 277, 1))
    kinds = structure.integers(directory, 339) or (1,)
    compression = structure.integer(directory, 259, 1)
    photometric = structure.integer(directory, 262, -1)
    if photometric < 0:
        photometric = RGB if samples >= 3 else BLACK_IS_ZERO
    colours = _CHANNELS.get(photometric, 0)
    if photometric == CIELAB and kinds[:3] == (1, 2, 2):  # a and b are signed (TIFF 6.0, section 23)
        kinds = (1,)
    uniform = len(set(bits)) == 1 and len(set(kinds)) == 1
    extra = structure.integers(directory, 338)[: max(0, samples - colours)]
    if len(extra) < samples - colours and colours:
        extra += (0,) * min(samples - colours - len(extra), 64)
    tiled = 324 in directory.entries
    offsets = structure.integers(directory, 324 if tiled else 273)
    counts = structure.integers(directory, 325 if tiled else 279)
    if not offsets:
        offsets, counts = structure.integers(directory, 513), structure.integers(directory, 514)
    height = structure.integer(directory, 257, 0)
    width = structure.integer(directory, 256, 0)
    planar = structure.integer(directory, 284, 1) == 2
    subsampled = (
        _subsampled(structure, directory, small=sum(counts) < 3 * width * height) if photometric == YCBCR else (1, 1)
    )
    across, down = subsampled
    block = bits[0] * (1 if planar else samples + across * down - 1)
    needed: tuple[int, ...] = ()
    line = 0
    if compression == 1 and tiled and subsampled == (1, 1):
        wide, high = (max(1, structure.integer(directory, tag, 1)) for tag in (322, 323))
        line = (wide * block + 7) // 8
        needed = (line * high,) * len(offsets)
    elif compression == 1 and not tiled and offsets:
        line = (-(-width // across) * block + 7) // 8
        needed = _needed(structure, directory, (line, height), down, len(offsets))
        # some programs give each part the size of the first one, also behind the end of the file
        counts = tuple(min(pair) for pair in zip(counts or needed, needed, strict=False))
    return Layout(
        width=width, height=height, samples=samples,
        bits=bits[0], uniform=uniform, kind=kinds[0], photometric=photometric,
        compression=compression, planar=planar, extra=extra,
        palette=structure.integers(directory, 320), offsets=offsets, counts=counts,
        parts=_parts(structure, directory, width, height) * (samples if planar else 1),
        inks=structure.integer(directory, 332, 0), subsampled=subsampled, needed=needed if uniform else (),
        line=line if uniform else 0,
        differences=structure.integer(directory, 317, 1) in {2, 3},
    )  # fmt: skip


def _subsampled(structure: Structure, directory: Directory, *, small: bool) -> tuple[int, int]:
    """How many pixels share the colours of YCbCr. ``small``: there are less than three bytes for each pixel."""
    found = structure.integers(directory, 530)[:2]
    if len(found) == 2 and {*found} <= {1, 2, 4}:
        return found[0], found[1]
    return (2, 2) if small else (1, 1)  # TIFF's default is 2 and 2; some programs leave the tag out


def _needed(
    structure: Structure, directory: Directory, size: tuple[int, int], down: int, count: int
) -> tuple[int, ...]:
    """The bytes of so many strips that are not packed, of all planes.

    ``size``: bytes of a row, of so many that share colours (``down``), and the height in rows.
    """
    line, height = size
    rows = max(1, min(structure.integer(directory, 278, height), height))
    number = max(1, -(-height // rows))
    return tuple(line * -(-min(rows, height - rows * (at % number)) // down) for at in range(count))


def _parts(structure: Structure, directory: Directory, width: int, height: int) -> int:
    """Strips or tiles of one plane."""
    if 324 in directory.entries:
        across, down = (max(1, structure.integer(directory, tag, 1)) for tag in (322, 323))
        return -(-width // across) * -(-height // down)
    return -(-height // max(1, structure.integer(directory, 278, height))) if 273 in directory.entries else 1
