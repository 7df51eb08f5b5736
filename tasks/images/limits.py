"""What an image may consist of: the table of limits, and the memory that decoding takes.

A file of a few kilobytes may have thousands of scans, tiles or directories, each of which costs as much time as a
picture, or a header whose pixels fill gigabytes. Both are found in the headers, before anything is decoded. The
limits are several times beyond what cameras, scanners, programs and maps write.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tasks.images.errors import TooComplex, TooMuchMemory

MOST: Mapping[str, int] = MappingProxyType({
    # a progressive JPEG has 10, one that is tuned by hand up to 40; each one runs over the whole picture
    "JPEG scans": 100,
    "JPEG pixels in all scans": 600_000_000,  # of more than 16 scans; an ordinary picture may be of any size
    "JPEG segments": 100_000,  # before the first scan; metadata come in pieces of up to 64 KB
    "PNG chunks": 100_000,
    "GIF blocks": 1_000_000,  # of up to 255 bytes
    "AVIF frames": 20_000,
    "WebP frames": 20_000,
    "PNG frames": 20_000,
    "AVIF items": 1_024,  # a picture of 48 million pixels is a grid of 192
    "HEIC items": 1_024,
    "AVIF boxes": 4_096,  # at the top of the file
    "HEIC boxes": 4_096,
    "BMP bytes in runs": 45_000_000,
    "BMP pixels in runs": 40_000_000,  # a screen of 8K has 33 million; Pillow decodes runs in Python
    "JPEG 2000 tiles": 16_384,
    "JPEG 2000 components": 16,
    "TIFF parts": 262_144,  # strips and tiles
    "TIFF bytes of parts": 2**30,  # parts may overlap, so that a small file holds as many as it likes
    "ICO entries": 256,
})  # fmt: skip
"""By format and part: how many there may be."""

BYTES = 8  # of a pixel, from decoding to RGB, if a reader does not say more: two images of 4 bytes
WHOLE = 2**24  # pixels up to which an image is not made smaller for a model


def check(name: str, count: int) -> None:
    """Raise ``TooComplex`` if there are more parts of this name (of ``MOST``) than allowed."""
    if count > MOST[name]:
        kind = next(kind for kind in ("JPEG 2000", name.split(maxsplit=1)[0]) if name.startswith(kind))
        raise TooComplex(
            f"the {kind} image has {count:,} {name.removeprefix(kind).strip()} or more; the limit is {MOST[name]:,}"
        )


def check_memory(needed: int, most: int | None, size: tuple[int, int]) -> None:
    """Raise ``TooMuchMemory`` if decoding takes more than ``most`` bytes; ``None``: any number."""
    if most is not None and needed > most:
        raise TooMuchMemory(
            f"{TooMuchMemory.TEXT}: {size[0]} x {size[1]} pixels of this kind take {needed / 1e6:,.0f} MB; the"
            f" limit is {most / 1e6:,.0f} MB"
        )


def smaller_by(size: tuple[int, int], near: int | None) -> int:
    """By which whole number the sides of a very large image are divided for a model with this side in pixels.

    Each side stays at least twice as long as the model's.
    """
    width, height = size
    if near is None or width * height <= WHOLE:
        return 1
    return max(1, min(width, height) // (2 * near))
