"""Made camera raw files: the structures of seven makers around a preview; the sensor's data are zeros."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from PIL import Image

from tests.hostile.picture import base, encoded, stored, tiff_structure


def preview(orientation: int = 1, width: int = 480) -> bytes:
    """The base picture as a large JPEG."""
    image = stored(orientation, base().resize((width, width * 2 // 3)))
    return encoded(image, "JPEG", quality=92, subsampling=0)


def thumbnail() -> bytes:
    """A small JPEG that shows something else."""
    return encoded(base().resize((60, 40)).transpose(Image.Transpose.FLIP_TOP_BOTTOM), "JPEG")


_SENSOR = bytes(4000)


def _camera(maker: bytes, orientation: int) -> dict[int, tuple[int, Any]]:
    return {271: (2, maker + b"\0"), 272: (2, b"Model 1\0"), 0x0112: (3, [orientation])}


def _sensor(at: int) -> dict[int, tuple[int, Any]]:
    return {
        254: (4, [0]), 256: (4, [50]), 257: (4, [40]), 258: (3, [16]), 259: (3, [1]), 262: (3, [32803]),
        273: (4, [at]),
        277: (3, [1]), 278: (4, [40]), 279: (4, [len(_SENSOR)]),
    }  # fmt: skip


def cr2(orientation: int = 1) -> bytes:
    large, small = preview(orientation), thumbnail()
    blobs = b"CR\x02\0\0\0\0\0" + large + small + _SENSOR
    first = {
        256: (3, [480]), 257: (3, [320]), 258: (3, [8, 8, 8]), 259: (3, [6]), 273: (4, [16]), 279: (4, [len(large)]),
        **_camera(b"Canon", orientation),
    }  # fmt: skip
    second = {513: (4, [16 + len(large)]), 514: (4, [len(small)])}
    fourth = {259: (3, [6]), 273: (4, [16 + len(large) + len(small)]), 279: (4, [len(_SENSOR)])}
    return tiff_structure([first, second, fourth], blobs)


def nef(orientation: int = 1, order: str = ">") -> bytes:
    large = preview(orientation)
    pixels = bytes(160 * 120 * 3)
    first = {
        254: (4, [1]), 256: (4, [160]), 257: (4, [120]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [2]),
        273: (4, [8]), 277: (3, [3]), 278: (4, [120]), 279: (4, [len(pixels)]),
        **_camera(b"NIKON CORPORATION", orientation),
    }  # fmt: skip
    at = 8 + len(pixels)
    with_preview = {254: (4, [1]), 259: (3, [6]), 513: (4, [at]), 514: (4, [len(large)])}
    return tiff_structure(
        [first], pixels + large + _SENSOR, order=order, subs={330: [with_preview, _sensor(at + len(large))]}
    )


def arw(orientation: int = 1) -> bytes:
    large = preview(orientation)
    first = {
        254: (4, [1]), 259: (3, [6]), 513: (4, [8]), 514: (4, [len(large)]), **_camera(b"SONY", orientation),
    }  # fmt: skip
    return tiff_structure([first], large + _SENSOR, subs={330: [_sensor(8 + len(large))]})


def dng(orientation: int = 1) -> bytes:
    large = preview(orientation)
    pixels = bytes(range(256)) * 12
    first = {
        254: (4, [1]), 256: (4, [32]), 257: (4, [32]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [2]),
        273: (4, [8]), 277: (3, [3]), 278: (4, [32]), 279: (4, [len(pixels)]), 50706: (1, [1, 4, 0, 0]),
        **_camera(b"Ricoh", orientation),
    }  # fmt: skip
    at = 8 + len(pixels)
    with_preview = {
        254: (4, [1]), 256: (4, [480]), 257: (4, [320]), 258: (3, [8, 8, 8]), 259: (3, [7]), 262: (3, [6]),
        273: (4, [at]), 277: (3, [3]), 279: (4, [len(large)]),
    }  # fmt: skip
    return tiff_structure([first], pixels + large + _SENSOR, subs={330: [_sensor(at + len(large)), with_preview]})


def orf(orientation: int = 1) -> bytes:
    """The preview is behind the maker's note, a structure of its own whose offsets begin at the note."""
    large = preview(orientation)
    note = bytearray(b"OLYMPUS\0II\x03\0")
    note += struct.pack("<H", 1) + struct.pack("<HHII", 0x2020, 13, 1, 30) + bytes(4)
    assert len(note) == 30
    start = 30 + 2 + 24 + 4
    note += struct.pack("<H", 2) + struct.pack("<HHII", 0x0101, 4, 1, start)
    note += struct.pack("<HHII", 0x0102, 4, 1, len(large)) + bytes(4) + large
    first = {**_camera(b"OLYMPUS CORPORATION", orientation), 273: (4, [8]), 279: (4, [len(_SENSOR)])}
    return tiff_structure([first], _SENSOR, magic=b"RO", subs={0x8769: [{0x927C: (7, bytes(note))}]})


def raf(orientation: int = 1) -> bytes:
    from tests.hostile.picture import exif  # noqa: PLC0415 - as the camera does, in the preview

    image = stored(orientation, base().resize((480, 320)))
    large = encoded(image, "JPEG", quality=92, subsampling=0, exif=exif(orientation))
    head = b"FUJIFILMCCD-RAW 0201FF129502X-Model".ljust(84, b"\0")
    return head + struct.pack(">II", 160, len(large)) + bytes(160 - 92) + large + _SENSOR


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def cr3(orientation: int = 1, *, full: bool = True) -> bytes:
    small, large = preview(orientation, 180), preview(orientation)
    brand = box(b"ftyp", b"crx \0\0\0\1crx isom")
    sizes = box(b"stsz", bytes(4) + struct.pack(">III", 0, 1, len(large)))
    about = box(b"uuid", bytes(16) + box(b"CMT1", tiff_structure([_camera(b"Canon", orientation)])))
    movie = box(b"moov", about + box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", sizes)))))
    prvw = bytes(4) + b"PRVW" + bytes(4) + struct.pack(">HHHHI", 1, 180, 120, 1, len(small)) + small
    parts = box(b"uuid", bytes(16) + struct.pack(">II", 0, 1) + struct.pack(">I", len(prvw)) + prvw[4:])
    return brand + movie + parts + (box(b"mdat", large + _SENSOR) if full else box(b"mdat", _SENSOR))


MAKERS: dict[str, Callable[..., bytes]] = {
    "canon.cr2": cr2, "nikon.nef": nef, "nikon-little-endian.nef": partial(nef, order="<"), "sony.arw": arw,
    "ricoh.dng": dng, "olympus.orf": orf, "fujifilm.raf": raf,
}  # fmt: skip
