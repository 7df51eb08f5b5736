"""Small files that take minutes or gigabytes where nothing stops them. Each is built here, in less than a second."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

Make = Callable[[], bytes]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))


def zeros(count: int) -> bytes:
    """So many zeros, deflated."""
    packer = zlib.compressobj(9)
    block = bytes(2**20)
    parts = [packer.compress(block) for _ in range(count // 2**20)]
    return b"".join([*parts, packer.compress(bytes(count % 2**20)), packer.flush()])


def png(width: int, height: int, bits: int, kind: int, *, extra: bytes = b"") -> bytes:
    """A black PNG. ``kind``: PNG's colour type. ``extra``: chunks before its pixels."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    packed = zeros(height * (1 + (width * bits * samples + 7) // 8))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return SIGNATURE + head + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8))


def scans(count: int, width: int = 1024, height: int = 1024) -> bytes:
    """A progressive JPEG whose last scan, which refines all pixels, comes again and again."""
    data = encoded(Image.new("RGB", (width, height), "teal"), "JPEG", progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * (count - data.count(b"\xff\xda") + 1) + data[-2:]


def runs(width: int, height: int, codes: bytes) -> bytes:
    """A BMP of 8 bits whose pixels are told by these codes of runs."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + head + bytes(1024) + codes + b"\0\1"


def empty_runs(width: int, height: int) -> bytes:
    """A BMP whose rows end after their first pixel. Pillow fills them byte by byte."""
    return runs(width, height, b"\1\1\0\0" * height)


def jpeg_segments() -> bytes:
    """Nearly two million empty application segments before the picture."""
    data = encoded(Image.new("RGB", (8, 8)), "JPEG")
    return data[:2] + b"\xff\xe5\0\2" * 1_800_000 + data[2:]


def jpeg2000_tiles() -> bytes:
    """A codestream whose header says a million tiles of one pixel."""
    data = bytearray(encoded(noise(64, 64), "JPEG2000", no_jp2=True))
    struct.pack_into(">8I", data, 8, 1000, 1000, 0, 0, 1, 1, 0, 0)
    return bytes(data)


def gif_blocks() -> bytes:
    """An extension of two million blocks before the only frame."""
    data = encoded(Image.new("P", (8, 8)), "GIF")
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    return data[:at] + b"\x21\xfe" + b"\1x" * 2_000_000 + b"\0" + data[at:]


def png_chunks() -> bytes:
    return png(8, 8, 8, 2, extra=chunk(b"tEXt", b"a\0b") * 120_000)


def animated(kind: str, frames: int) -> bytes:
    """A WebP of so many tiny frames, of which one is repeated."""
    data = encoded(noise(4, 4), kind, save_all=True, append_images=[noise(4, 5).crop((0, 0, 4, 4)).rotate(90)])
    at = data.index(b"ANMF")
    size = struct.unpack_from("<I", data, at + 4)[0] + 8
    body = data[12:] + data[at : at + size] * frames
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def apng_frames() -> bytes:
    """An animation that says it has two million frames."""
    return png(8, 8, 8, 2, extra=chunk(b"acTL", struct.pack(">II", 2_000_000, 0)))


def tiff(tags: dict[int, tuple[int, int, bytes]], behind: bytes = b"") -> bytes:
    """A little-endian TIFF of one directory. ``tags``: type, count and value; what does not fit is put behind."""
    head, body = 8 + 2 + 12 * len(tags) + 4, bytearray()
    entries = b""
    for tag, (kind, count, value) in sorted(tags.items()):
        if len(value) > 4:
            entries += struct.pack("<HHII", tag, kind, count, head + len(behind) + len(body))
            body += value
        else:
            entries += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + behind + bytes(body)


def tiff_parts() -> bytes:
    """Strips that all are the same packed megabyte of zeros, one for each row."""
    rows = 60_000
    part = zlib.compress(bytes(2**20), 9) + bytes(2**15)
    at = 8 + 2 + 12 * 9 + 4
    tags = {
        256: (3, 1, struct.pack("<H", 64)), 257: (4, 1, struct.pack("<I", rows)), 258: (3, 1, struct.pack("<H", 8)),
        259: (3, 1, struct.pack("<H", 8)), 262: (3, 1, struct.pack("<H", 1)),
        273: (4, rows, struct.pack("<I", at) * rows), 277: (3, 1, struct.pack("<H", 1)),
        278: (3, 1, struct.pack("<H", 1)), 279: (4, rows, struct.pack("<I", len(part)) * rows),
    }  # fmt: skip
    return tiff(tags, part)


def ico_entries() -> bytes:
    inner = png(16, 16, 8, 6)
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 6 + 16 * 5000)
    return struct.pack("<HHH", 0, 1, 5000) + entry * 5000 + inner


def ico_bomb(side: int = 10_000) -> bytes:
    """An icon of 16 x 16 pixels, as its table says, whose PNG has a hundred million."""
    inner = png(side, side, 1, 0)
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22) + inner


def webp_canvas() -> bytes:
    """A canvas of 16,383 x 16,383 pixels for one pixel."""
    data = bytearray(animated("WEBP", 1))
    at = data.index(b"VP8X") + 8
    data[at + 4 : at + 10] = (16_382).to_bytes(3, "little") * 2
    return bytes(data)


def avif_items() -> bytes:
    """A table of contents of five thousand coded pictures."""
    infe = struct.pack(">I4sIHH4sB", 21, b"infe", 2 << 24, 1, 0, b"av01", 0)
    iinf = struct.pack(">I4sIH", 14 + 5000 * len(infe), b"iinf", 0, 5000) + infe * 5000
    meta = struct.pack(">I4sI", 12 + len(iinf), b"meta", 0) + iinf
    return struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"avif", 0, b"avif", b"mif1") + meta


def box(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def table(kind: bytes, *numbers: int) -> bytes:
    return box(kind, struct.pack(f">{1 + len(numbers)}I", 0, *numbers))


def avif_sequence(before: bytes = b"", **tables: tuple[int, ...]) -> bytes:
    """A sequence with nothing but these tables of its samples. ``before``: boxes in front of them."""
    moov = b"".join(table(name.encode(), *numbers) for name, numbers in tables.items())
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        moov = box(kind, moov)
    return box(b"ftyp", b"avis" + bytes(4) + b"avis" + b"avif" + b"msf1" + b"miaf") + before + moov


TOO_COMPLEX: dict[str, Make] = {
    "thousands of scans": lambda: scans(4000),
    "a hundred scans of a large picture": lambda: scans(90, 6000, 4000),
    "scans of a large picture": lambda: scans(31, 5000, 4000),
    "rows of a large BMP that end early": lambda: empty_runs(12_000, 12_000),
    "AVIF frames behind a box that is skipped": lambda: avif_sequence(
        box(b"free", table(b"stsz", 0, 1)), stsz=(0, 2_000_000)
    ),
    "JPEG segments": jpeg_segments,
    "JPEG 2000 tiles": jpeg2000_tiles,
    "GIF blocks": gif_blocks,
    "PNG chunks": png_chunks,
    "APNG frames": apng_frames,
    "WebP frames": lambda: animated("WEBP", 25_000),
    "TIFF strips": tiff_parts,
    "ICO entries": ico_entries,
    "AVIF items": avif_items,
    "AVIF frames in a chunk": lambda: avif_sequence(stsz=(1, 1), stsc=(1, 1, 2_000_000, 1), stco=(1, 0)),
    "AVIF boxes before the frames": lambda: avif_sequence(box(b"free") * 12_000, stsz=(0, 2_000_000)),
}
TOO_LARGE: dict[str, Make] = {
    "ICO with a large PNG": ico_bomb,
    "WebP canvas": webp_canvas,
    "PNG of 12 gigabytes": lambda: png(178_000, 1_000, 16, 6),
}
MUCH_MEMORY: dict[str, Make] = {
    "PNG of 1 bit": lambda: png(12_000, 12_000, 1, 0),
    "PNG with a palette": lambda: png(12_000, 12_000, 8, 3, extra=chunk(b"PLTE", bytes(range(48)))),
    "PNG of 16 bits": lambda: png(12_000, 12_000, 16, 2),
    "PNG of 16 bits with opacity": lambda: png(9_000, 9_000, 16, 6),
}
