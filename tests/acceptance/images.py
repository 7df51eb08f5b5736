"""Photographs from scikit-image, and every kind of file that is not a good image."""

from __future__ import annotations

import io
import struct
import zlib
from importlib import resources
from pathlib import Path

from PIL import Image

from tests.attack import evil_images

# key → what must be among its tags
PHOTOGRAPHS = {
    "chelsea.png": {"cat"},
    "coffee.png": {"coffee", "espresso", "cup"},
    "motorcycle_left.png": {"motorcycle", "moped", "scooter"},
    "rocket.jpg": {"rocket", "missile"},
    "astronaut.png": set(),
}


def photograph(name: str) -> bytes:
    """The bytes of one of scikit-image's photographs."""
    return resources.files("skimage.data").joinpath(name).read_bytes()


def drop(folder: Path, key: str, data: bytes) -> None:
    """Write a file as an ordinary program does: open, write, close."""
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    (folder / key).write_bytes(data)


def one_pixel() -> bytes:
    """A 1×1 PNG: small, but an image."""
    out = io.BytesIO()
    Image.new("RGB", (1, 1), (200, 30, 30)).save(out, "PNG")
    return out.getvalue()


def huge_png(side: int = 20_000) -> bytes:
    """A PNG of side×side pixels in a few bytes: its rows are all zero and compress to nothing."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    compressor = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    body = b"".join(compressor.compress(row) for _ in range(40)) + compressor.flush()
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    )


def bad_files() -> dict[str, tuple[bytes, str]]:
    """key → (bytes, the code of its failed record)."""
    jpeg = photograph("rocket.jpg")
    return {
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"this is not an image, whatever its name says", "not-an-image"),
        "truncated.jpg": (jpeg[: len(jpeg) // 3], "truncated"),
        "huge.png": (huge_png(), "too-many-pixels"),
        "scans.jpg": (evil_images.scans(3000), "too-complex"),
    }


# names that break careless programs; each is a good photograph
AWKWARD_NAMES = [
    "with space.png", "plus+and%20percent.png", "ünï/côdé 日本.png", "dots..in..name.png", "a&b;c'd\"e.png",
]  # fmt: skip
