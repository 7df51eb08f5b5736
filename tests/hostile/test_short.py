"""Files whose data end cleanly, but with fewer pixels than they declare, are ``truncated`` in every format."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from tasks.images import BadImage, decode
from tests.hostile import heic
from tests.hostile.depths import animated
from tests.hostile.files import WHOLE, noisy
from tests.hostile.metadata import chunk
from tests.hostile.picture import HEIGHT, WIDTH, base, difference, encoded, tiff_structure

ROW = 1 + 3 * WIDTH
PIXELS = np.asarray(noisy())
ROWS = b"".join(b"\0" + row.tobytes() for row in PIXELS)
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def truncated(data: bytes) -> None:
    with pytest.raises(BadImage) as refused:
        decode(data)
    assert refused.value.code == "truncated", str(refused.value)


def png(rows: bytes, *, interlaced: bool = False, kind: int = 2, bits: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, kind, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def interlaced() -> bytes:
    parts = (PIXELS[top::down, left::across] for left, top, across, down in PASSES)
    return b"".join(b"\0" + row.tobytes() for part in parts for row in part)


@pytest.mark.parametrize("less", [1, ROW, ROW * HEIGHT // 2, ROW * HEIGHT])
def test_png_with_fewer_rows(less: int) -> None:
    truncated(png(ROWS[:-less]))
    truncated(png(interlaced()[:-less], interlaced=True))


def test_png_with_all_rows() -> None:
    assert difference(decode(png(ROWS)), noisy()) == 0
    assert difference(decode(png(ROWS + bytes(999))), noisy()) == 0
    assert difference(decode(png(interlaced(), interlaced=True)), noisy()) == 0
    dark = png(ROWS[: -ROW * 9] + bytes(ROW * 9))
    assert not np.asarray(decode(dark))[-9:].any()
    for size in ((1, 1), (1, 3), (3, 1), (2, 5)):
        for options in ({}, {"bits": 1}):
            black = Image.new("P" if options else "RGB", size)
            assert decode(encoded(black, "PNG", **options)).size == size


def test_frames_of_a_png_with_fewer_rows() -> None:
    black = ROWS[:0] + bytes(len(ROWS))
    for first, second in ((ROWS[: ROW * 9], ROWS), (black, ROWS[: ROW * 9])):
        still = png(first)
        at, end = still.index(b"IDAT") - 4, still.index(b"IEND") - 4
        frame = struct.pack(">4I2H2B", WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
        truncated(
            still[:at] + chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", bytes(4) + frame) + still[at:end]
            + chunk(b"fcTL", struct.pack(">I", 1) + frame)
            + chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(second)) + still[end:]
        )  # fmt: skip
    assert difference(decode(animated(png(ROWS))), noisy()) == 0


def test_pixels_with_a_wrong_checksum_are_damaged() -> None:
    data = bytearray(encoded(noisy(), "PNG"))
    end = data.index(b"IEND")
    data[end // 2 : end - 8] = bytes(end - 8 - end // 2)
    with pytest.raises(BadImage) as refused:
        decode(bytes(data))
    assert refused.value.code == "damaged"


def test_an_icon_that_holds_a_png_with_fewer_rows() -> None:
    small = encoded(noisy().resize((64, 64)), "PNG")
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(noisy().resize((64, 64))))
    header = struct.pack("<HHHBBBBHH", 0, 1, 1, 64, 64, 0, 0, 1, 24)
    for half in (False, True):
        short = small[:33] + chunk(b"IDAT", zlib.compress(rows[: 193 * 32 if half else None])) + chunk(b"IEND", b"")
        data = header + struct.pack("<II", len(short), 22) + short
        if half:
            truncated(data)
        else:
            assert decode(data).size == (64, 64)


def gif(rows: int, *, interlace: bool = False, fill: int | None = None, pixels: int = 0) -> bytes:
    """Two frames with 256 colours, coded without compression; the second one has so many rows, and more pixels."""
    head = b"GIF89a" + struct.pack("<HHBBB", WIDTH, HEIGHT, 0xF7, 0, 0)
    table = bytes(level for level in range(256) for _ in range(3))
    grey = np.asarray(noisy().convert("L"))
    order = [row for first, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for row in range(first, HEIGHT, step)]
    values = np.concatenate([grey[order] if interlace else grey]).reshape(-1)[: rows * WIDTH + pixels]
    codes = [code for at, value in enumerate(values) for code in ([256] if at % 200 == 0 else []) + [int(value)]]
    number = sum(code << 9 * at for at, code in enumerate([*codes, 257]))
    body = number.to_bytes((len(codes) + 1) * 9 // 8 + 1, "little")
    blocks = b"".join(bytes([len(part)]) + part for part in (body[at : at + 255] for at in range(0, len(body), 255)))
    control = b"" if fill is None else b"\x21\xf9\4\1" + struct.pack("<HB", 0, fill) + b"\0"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, WIDTH, HEIGHT, 0x40 if interlace else 0) + b"\x08"
    return head + table + control + frame + blocks + b"\0\x3b"


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("fill", [None, 0, 254, 255])
def test_gif_with_fewer_rows(fill: int | None, *, interlace: bool) -> None:
    whole = decode(gif(HEIGHT, interlace=interlace))
    assert difference(whole, noisy().convert("L").convert("RGB")) == 0
    assert decode(gif(HEIGHT, interlace=interlace, fill=fill)).size == whole.size
    for rows in (0, HEIGHT // 2, HEIGHT - 1):
        truncated(gif(rows, interlace=interlace, fill=fill))
    truncated(gif(HEIGHT - 1, interlace=interlace, fill=fill, pixels=100))


ENCODE: dict[int, Callable[[bytes], bytes]] = {
    1: bytes, 5: lambda data: bytes(imagecodecs.lzw_encode(data)), 8: zlib.compress,
    32773: lambda data: bytes(imagecodecs.packbits_encode(data)),
}  # fmt: skip


def tiff(
    parts: list[bytes], rows: int, compression: int, more: dict[int, Any] | None = None, behind: int = 0
) -> bytes:
    places = [8 + sum(map(len, parts[:at])) if part else 0 for at, part in enumerate(parts)]
    return tiff_structure([{
        256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [8, 8, 8]), 259: (3, [compression]), 262: (3, [2]),
        273: (4, places), 277: (3, [3]), 278: (4, [rows]), 279: (4, [len(part) for part in parts]), **(more or {}),
    }], b"".join(parts) + bytes(behind))  # fmt: skip


@pytest.mark.parametrize("compression", ENCODE)
def test_strips_with_fewer_rows(compression: int) -> None:
    encode = ENCODE[compression]
    top, bottom = PIXELS[:40].tobytes(), PIXELS[40:].tobytes()
    assert difference(decode(tiff([encode(top), encode(bottom)], 40, compression)), noisy()) == 0
    for parts in ([encode(top), encode(bottom[:7200])], [encode(top[:7200]), encode(bottom)]):
        with pytest.raises(BadImage):  # what is packed may be damaged, too
            decode(tiff(parts, 40, compression, behind=60_000))
    truncated(tiff([encode(top), b""], 40, compression))
    truncated(tiff([encode(top)], 40, compression))
    if compression == 1:
        for less in (1, 360, 7200):
            truncated(tiff([top, bottom[:-less]], 40, 1, behind=60_000))


def test_parts_that_maps_leave_out_on_purpose() -> None:
    pixel_size = {33550: (12, [1.0, 1.0, 0.0])}
    made = decode(tiff([zlib.compress(PIXELS[:40].tobytes()), b""], 40, 8, pixel_size))
    assert difference(made.crop((0, 0, WIDTH, 40)), noisy().crop((0, 0, WIDTH, 40))) == 0
    assert not np.asarray(made)[40:].any()


def test_wide_strips_with_fewer_rows() -> None:
    half = (PIXELS[:40].astype("<u2") * 257).tobytes()
    for compression, encode in ENCODE.items():
        truncated(tiff([encode(half)], HEIGHT, compression, {258: (3, [16, 16, 16])}, behind=60_000))


def test_jpeg_in_tiff_with_fewer_rows() -> None:
    data = encoded(noisy(), "JPEG", quality=95)
    upper = encoded(noisy().crop((0, 0, WIDTH, 40)), "JPEG", quality=95)
    ycbcr = {262: (3, [6]), 530: (3, [2, 2])}
    assert difference(decode(tiff([data], HEIGHT, 7, ycbcr)), decode(data)) <= 1
    assert difference(decode(tiff([data[:-2]], HEIGHT, 7, ycbcr)), decode(data)) <= 1
    for part in (upper, data[: len(data) // 2], data[: len(data) // 2] + b"\xff\xd9"):
        truncated(tiff([part], HEIGHT, 7, ycbcr))


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax_with_fewer_rows(compression: str) -> None:
    data = bytearray(encoded(noisy().convert("1"), "TIFF", compression=compression))
    assert difference(decode(bytes(data)), noisy().convert("1").convert("RGB")) == 0
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag, count = file.pages.first.tags[279], file.pages.first.databytecounts[0]
    struct.pack_into("<I" if tag.dtype == 4 else "<H", data, tag.valueoffset, count // 2)
    with pytest.raises(BadImage) as refused:
        decode(bytes(data))
    assert refused.value.code == ("damaged" if compression == "tiff_ccitt" else "truncated")
    page = Image.new("1", (400, 300), 1)
    page.paste(noisy().convert("1"), (9, 9))
    assert difference(decode(encoded(page, "TIFF", compression=compression)), page.convert("RGB")) == 0


def test_jpeg_2000_without_some_of_its_tiles() -> None:
    data = encoded(noisy(), "JPEG2000", tile_size=(64, 64), no_jp2=True)
    at = [place for place in range(len(data)) if data[place : place + 4] == b"\xff\x90\0\x0a"]
    assert len(at) == 4
    assert difference(decode(data), noisy()) == 0
    for kept in range(1, 4):
        truncated(data[: at[kept]] + b"\xff\xd9")
    truncated(data[: at[0]] + data[at[1] :])


@pytest.mark.parametrize("kind", ["12 bits", "lossless", "12 bits of colour"])
def test_wide_jpeg_with_fewer_rows(kind: str) -> None:
    wide: Any = (PIXELS if "colour" in kind else PIXELS[..., 1]).astype(np.uint16) * 16
    encode: Any = imagecodecs.ljpeg_encode if kind == "lossless" else imagecodecs.jpeg_encode
    data = bytes(
        encode(np.ascontiguousarray(wide), **({} if kind == "lossless" else {"bitspersample": 12, "level": 97}))
    )
    whole = decode(data)
    assert difference(decode(data[:-2]), whole) == 0
    for share in (50, 95):
        for end in (b"", b"\xff\xd9", bytes(999)):
            truncated(data[: len(data) * share // 100] + end)


def test_coded_pixels_that_were_not_written() -> None:
    for data in (heic.PLAIN, WHOLE["avif"]()):
        at = len(data) // 2
        assert decode(data).size == (WIDTH, HEIGHT)
        truncated(data[:at] + bytes(len(data) - at))
    flat = Image.new("RGB", (2000, 1500), "white")
    flat.paste(base(), (9, 9))
    for options in ({"lossless": True, "method": 0}, {"quality": 100, "method": 0}, {}):  # they end with zeros
        for kind in ("WEBP", "AVIF") if not options else ("WEBP",):
            assert decode(encoded(flat, kind, **options)).size == flat.size
    large = encoded(noisy().resize((400, 300)), "WEBP", lossless=True)
    truncated(large[:8192] + bytes(len(large) - 8192))
    moving = WHOLE["animated.gif"]()
    truncated(moving[: len(moving) // 2] + bytes(len(moving) - len(moving) // 2))
