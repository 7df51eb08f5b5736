"""JPEG: which of several EXIF segments counts, and halves that somebody gave an end marker."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from tasks.images import BadImage, decode
from tests.hostile.files import noisy
from tests.hostile.picture import base, difference, encoded, exif, stored


def segment(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize("first", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"])
def test_an_empty_exif_segment_does_not_hide_another(first: bytes) -> None:
    data = encoded(stored(6), "JPEG", quality=97, subsampling=0)
    for segments in (segment(first) + segment(exif(6)), segment(exif(6)) + segment(exif(3))):
        assert difference(decode(data[:2] + segments + data[2:]), base()) <= 2


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_half_with_an_end_marker_is_truncated(mode: str) -> None:
    data = encoded(noisy().convert(mode), "JPEG", quality=95)
    for behind in (b"", b"trailer" * 99, encoded(base(), "JPEG")):
        with pytest.raises(BadImage) as refused:
            decode(data[: len(data) // 2] + b"\xff\xd9" + behind)
        assert refused.value.code == "truncated"
        assert difference(decode(data + behind), decode(data)) == 0


def test_grey_is_no_sign_of_a_half() -> None:
    for mode, colour in (("L", 128), ("RGB", (128, 128, 128)), ("CMYK", (127, 127, 127, 127))):
        flat = Image.new(mode, (64, 48), colour)
        for options in ({}, {"progressive": True}):
            assert decode(encoded(flat, "JPEG", **options)).size == flat.size


def cut_at_scans(data: bytes) -> list[bytes]:
    """A JPEG with an end marker before its second scan, before its third one, and so on."""
    made, at = [], 2
    while (at := data.find(b"\xff", at)) >= 0 and data[at + 1] != 0xD9:
        marker = data[at + 1]
        if marker in {0x00, 0xFF} or 0xD0 <= marker <= 0xD7:
            at += 1 + (marker != 0xFF)
            continue
        if marker == 0xDA:
            made.append(data[:at] + b"\xff\xd9")
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return made[1:]


def test_an_end_marker_between_the_scans() -> None:
    """The last six scans of this encoder refine by one bit; without those that do the last one nothing is missing."""
    data = encoded(noisy(), "JPEG", quality=90, progressive=True)
    halves = cut_at_scans(data)
    assert len(halves) == 9
    for at, half in enumerate(halves, 1):
        for behind in (b"", b"trailer" * 99, data):
            if at < 6:
                refused(half + behind)
            else:
                assert difference(decode(half + behind), decode(data)) <= 7
    for share in (30, 40, 50):
        refused(data[: len(data) * share // 100] + b"\xff\xd9")
    thumbnail = encoded(base().resize((30, 20)), "JPEG", progressive=True)
    exif_of_it = segment(b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail)
    assert difference(decode(data[:2] + exif_of_it + data[2:]), decode(data)) == 0


def test_components_that_no_scan_holds() -> None:
    """A sequential JPEG with a scan for each component, as ``cjpeg -scans`` makes it, which ends behind the first."""
    grey = encoded(noisy().convert("L"), "JPEG", quality=95)
    frame, scan = grey.index(b"\xff\xc0"), grey.index(b"\xff\xda")
    header = grey[frame : frame + 9] + b"\3" + b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    header = header[:2] + struct.pack(">H", len(header) - 2) + header[4:]
    pixels = grey[scan + 10 : -2]
    scans = [b"\xff\xda\0\x08\1" + bytes([number, 0, 0, 63, 0]) + pixels for number in (1, 2, 3)]
    begin = grey[:frame] + header + grey[frame + 13 : scan]
    whole = decode(begin + b"".join(scans) + b"\xff\xd9")
    assert whole.size == base().size
    for kept in (1, 2):
        refused(begin + b"".join(scans[:kept]) + b"\xff\xd9")
    refused(begin + b"".join(scans)[: -len(pixels) // 2] + b"\xff\xd9")


def refused(data: bytes) -> None:
    with pytest.raises(BadImage) as caught:
        decode(data)
    assert caught.value.code == "truncated"
