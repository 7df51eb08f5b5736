"""The base picture that the made files show, a case, and small builders of TIFF structures, EXIF and profiles."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw

WIDTH, HEIGHT = 120, 80
Pixels = NDArray[np.uint8]


def base() -> Image.Image:
    """Colours from black to white, unlike in each corner, so that any turn and any swap of channels shows."""
    image = Image.new("RGB", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(image)
    for x in range(WIDTH):
        level = round(255 * x / (WIDTH - 1))
        draw.line([(x, 0), (x, HEIGHT)], fill=(level, 255 - level, level // 2))
    draw.rectangle([4, 4, 40, 30], fill=(255, 255, 255))
    draw.rectangle([80, 50, 116, 76], fill=(0, 0, 0))
    draw.ellipse([10, 44, 50, 76], fill=(220, 40, 30))
    draw.polygon([(70, 8), (110, 8), (90, 40)], fill=(30, 60, 220))
    return image


def grey() -> Image.Image:
    return base().convert("L").convert("RGB")


def rgb_array() -> Pixels:
    return np.asarray(base())


def grey_array() -> Pixels:
    return np.asarray(base().convert("L"))


@dataclass(frozen=True)
class Case:
    """A made file. ``outcome``: ``done`` or the error's code. ``looks``: what is to be seen, within ``within``
    levels on average. ``says``: a part of the reason. ``needs``: a module without which the code is ``unsupported``.
    """

    name: str
    make: Callable[[], bytes]
    outcome: str = "done"
    looks: Callable[[], Image.Image] | None = None
    within: float = 1.0
    says: str = ""
    needs: str = ""


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def packed(order: str, kind: int, values: Sequence[Any] | bytes) -> tuple[int, bytes]:
    """The count and bytes of a TIFF value."""
    if isinstance(values, bytes):
        return len(values), values
    letter = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q"}.get(kind, "")
    if kind in {5, 10}:
        pairs: Any = values
        flat = [number for pair in pairs for number in pair]
        return len(values), struct.pack(f"{order}{len(flat)}{'I' if kind == 5 else 'i'}", *flat)
    return len(values), struct.pack(f"{order}{len(values)}{letter}", *values)


Entries = Mapping[int, tuple[int, Any]]


def tiff_structure(
    directories: Sequence[Entries],
    blobs: bytes = b"",
    *,
    order: str = "<",
    magic: bytes = b"*\0",
    at: int = 8,
    subs: Mapping[int, Sequence[Entries]] | None = None,
) -> bytes:
    """A TIFF structure: ``blobs`` at offset ``at``, then a chain of directories.

    ``subs``: tag → directories that the first one points to. A value is ``(type, values)``, or
    ``(type, (count, raw))`` in which ``raw`` are the four bytes of the entry.
    """
    body = bytearray((b"II" if order == "<" else b"MM") + (magic if order == "<" else magic[::-1]) + b"\0\0\0\0")
    body += b"\0" * (at - len(body)) + blobs

    def put(entries: Entries, following: int = 0) -> int:
        rows = b""
        for tag, (kind, values) in sorted(entries.items()):
            if isinstance(values, tuple) and len(values) == 2 and isinstance(values[1], bytes):
                rows += struct.pack(order + "HHI", tag, kind, values[0]) + values[1]
                continue
            count, raw = packed(order, kind, values)
            if len(raw) > 4:
                body.extend(b"\0" * (len(body) % 2))
                field = struct.pack(order + "I", len(body))
                body.extend(raw)
            else:
                field = raw.ljust(4, b"\0")
            rows += struct.pack(order + "HHI", tag, kind, count) + field
        body.extend(b"\0" * (len(body) % 2))
        place = len(body)
        body.extend(struct.pack(order + "H", len(entries)) + rows + struct.pack(order + "I", following))
        return place

    first = dict(directories[0])
    for tag, below in (subs or {}).items():
        first[tag] = (4, [put(one) for one in below])
    following = 0
    for one in reversed(directories[1:]):
        following = put(one, following)
    struct.pack_into(order + "I", body, 4, put(first, following))
    return bytes(body)


def exif(orientation: int = 6, more: Entries | None = None, *, order: str = "<", kind: int = 3) -> bytes:
    """EXIF data with an orientation and further entries."""
    return b"Exif\0\0" + tiff_structure([{0x0112: (kind, [orientation]), **(more or {})}], order=order)


_UNDO = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}


def stored(orientation: int, image: Image.Image | None = None) -> Image.Image:
    """The base picture as a camera stores it with this orientation."""
    image = image or base()
    return image if orientation == 1 else image.transpose(Image.Transpose(_UNDO[orientation]))


def swapped_profile() -> bytes:
    """A profile with the primaries of red and blue swapped: pixels stored as BGR are shown right with it."""
    raw = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", raw, 128)
    places = {bytes(raw[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, blue = places[b"rXYZ"], places[b"bXYZ"]
    raw[red : red + 4], raw[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(raw)


def srgb_profile() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def lab_profile() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())


def bgr() -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(rgb_array()[..., ::-1]))


def difference(image: Image.Image, expected: Image.Image) -> float:
    """Mean absolute difference in levels; infinite for another size."""
    if image.size != expected.size:
        return float("inf")
    return float(np.abs(np.asarray(image, dtype=np.int16) - np.asarray(expected, dtype=np.int16)).mean())
