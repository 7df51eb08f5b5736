"""The record tells what the file is; each malformed value is left out on its own."""

from __future__ import annotations

import struct
from typing import Any

import imagecodecs
import msgspec
import numpy as np
import pytest

from tasks.images import decode_with_media
from tasks.message_parts import Media, Revision, Vectors
from tasks.messages import Embedded, Scored
from tasks.pipeline import PipelineOptions, embedding
from tests.hostile import heic, raws
from tests.hostile.files import WHOLE
from tests.hostile.picture import HEIGHT, WIDTH, base, encoded, stored, tiff_structure
from tests.unit.stages.made_up import MadeUpImages, references, submitted
from workers.lifecycle.outcomes import done
from workers.lifecycle.record import decode as decode_record

PLACE = {
    1: (2, b"S\0"), 2: (5, [(33, 1), (51, 1), (36, 1)]), 3: (2, b"E\0"), 4: (5, [(151, 1), (12, 1), (0, 1)]),
}  # fmt: skip
TAKEN = {0x9003: (2, b"2024:05:06 07:08:09\0")}


def photograph(exif_entries: Any = None, place: Any = None, **first: Any) -> bytes:
    entries = {0x0112: (3, [6]), 271: (2, b"Maker\0"), 272: (2, b"Model 1\0")} | {
        int(k[1:]): v for k, v in first.items()
    }
    subs = {0x8769: [exif_entries or TAKEN]} | ({0x8825: [place]} if place else {})
    return encoded(stored(6), "JPEG", exif=b"Exif\0\0" + tiff_structure([entries], subs=subs))


def media(data: bytes, *, gps: bool = False) -> Media:
    return decode_with_media(data, gps=gps)[1]


def test_a_photograph_is_told_upright_with_date_and_camera() -> None:
    data = photograph(place=PLACE)
    expected = Media(
        format="JPEG",
        width=WIDTH,
        height=HEIGHT,
        bytes=len(data),
        taken_at="2024-05-06T07:08:09",
        camera="Maker Model 1",
    )
    assert media(data) == expected  # the place is not asked for
    found = media(data, gps=True)
    assert (found.latitude, found.longitude) == (-33.86, 151.2)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({**TAKEN, 0x9011: (2, b"+02:00\0")}, "2024-05-06T07:08:09+02:00"),
        ({**TAKEN, 0x9011: (2, b"Z\0")}, "2024-05-06T07:08:09Z"),
        ({**TAKEN, 0x9011: (2, b"+99:00\0")}, "2024-05-06T07:08:09"),
        ({**TAKEN, 0x9011: (5, [(1, 0)])}, "2024-05-06T07:08:09"),
        ({0x9003: (2, b"0000:00:00 00:00:00\0")}, None),
        ({0x9003: (2, b"    :  :     :  :  \0")}, None),
        ({0x9003: (12, [float("nan")])}, None),
        ({0x9004: (2, b"2020-01-02T03:04:05\0")}, "2020-01-02T03:04:05"),
    ],
)
def test_dates(entries: Any, expected: str | None) -> None:
    assert media(photograph(entries)).taken_at == expected


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (2, (5, [(33, 0), (51, 1), (36, 1)])),
        (2, (5, [(133, 1), (0, 1), (0, 1)])),
        (1, (2, b"?\0")),
        (4, (2, b"east\0")),
    ],
)
def test_a_malformed_place_is_none(tag: int, value: Any) -> None:
    found = media(photograph(place={**PLACE, tag: value}), gps=True)
    assert (found.latitude, found.longitude) == (None, None)
    assert found.camera == "Maker Model 1"


@pytest.mark.parametrize(
    ("made", "camera"),
    [
        ({"_271": (2, b"Canon\0"), "_272": (2, b"Canon EOS 5D\0")}, "Canon EOS 5D"),
        ({"_271": (2, b"NIKON CORPORATION\0"), "_272": (2, b"NIKON D90\0")}, "NIKON D90"),
        ({"_271": (2, b"\0"), "_272": (2, b"\0")}, None),
        ({"_271": (2, (10**9, struct.pack("<I", 8))), "_272": (2, b"M\0")}, "M"),
        ({"_271": (2, b"a\x1b[31m\nb\0"), "_272": (3, [7])}, "a[31mb"),
    ],
)
def test_cameras(made: Any, camera: str | None) -> None:
    found = media(photograph(**made)).camera
    assert found is None if camera is None else found is not None and found.startswith(camera[:3])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (WHOLE["png"](), ("PNG", 1)), (WHOLE["apng"](), ("PNG", 4)), (WHOLE["animated.gif"](), ("GIF", 4)),
        (WHOLE["animated.webp"](), ("WebP", 4)), (WHOLE["tif"](), ("TIFF", 1)), (WHOLE["jp2"](), ("JPEG 2000", 1)),
        (WHOLE["avif"](), ("AVIF", 1)), (WHOLE["bmp"](), ("BMP", 1)), (heic.TURNED, ("HEIC", 1)),
        (WHOLE["jxl"](), ("JPEG XL", 1)), (WHOLE["animated.jxl"](), ("JPEG XL", 2)),
    ],
)  # fmt: skip
def test_formats_and_frames(data: bytes, expected: tuple[str, int]) -> None:
    found = media(data)
    assert (found.format, found.frames) == expected
    assert (found.width, found.height, found.bytes) == (WIDTH, HEIGHT, len(data))


@pytest.mark.parametrize(("kind", "shape"), [("u2", (3,)), ("f4", (3,)), ("u1", ()), ("u2", ())])
def test_frames_of_jpeg_xl_are_counted_in_every_depth(kind: str, shape: tuple[int, ...]) -> None:
    array = np.zeros((3, 8, 9, *(shape or (1,))), kind)
    array[2, :4] = 200
    data = bytes(imagecodecs.jpegxl_encode(array, lossless=True))
    (view,), found = decode_with_media(data)
    assert found.frames == 3
    assert view.getextrema() != ((0, 0),) * 3


def test_a_preview_of_a_raw_file_is_told() -> None:
    found = media(raws.cr2(6))
    assert (found.format, found.preview, found.camera) == ("RAW", True, "Canon Model 1")
    assert (found.width, found.height) == (480, 320)
    assert media(raws.cr3(8)).camera == "Canon Model 1"
    assert not media(encoded(base(), "TIFF")).preview


def test_the_stage_tells_the_place_only_where_it_is_asked_for() -> None:
    batch, data = submitted(1), photograph(place=PLACE)
    for options in (PipelineOptions(), PipelineOptions(media_gps=True)):
        embedded, faults = embedding(batch, [data], MadeUpImages(), options)
        assert not faults
        (about,) = embedded.media
        assert about.latitude == (-33.86 if options.media_gps else None)


def test_messages_and_records_without_media_are_still_read() -> None:
    old = Embedded(objects=(), revision=Revision("s", "c"), vectors=Vectors(0, b""))
    fields = msgspec.msgpack.decode(old.encode())
    del fields["media"]
    assert Embedded.decode(msgspec.msgpack.encode(fields)) == old
    about = Media(format="PNG", width=1, height=2, bytes=3)
    batch = Scored(objects=references(1), revision=Revision("s", "c"), hits=((),), tags=((),), media=(about,))
    (record,) = done(batch, 1.0, {})
    assert record.media == about
    assert decode_record(record.json()) == record
    body = msgspec.json.decode(record.json())
    assert decode_record(msgspec.json.encode({**body, "media": {**body["media"], "later": 1}})) == record
    del body["media"]
    assert decode_record(msgspec.json.encode(body)).media is None
