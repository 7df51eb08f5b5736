"""A video is looked at by the frames that are shown at 10 % and 50 % of it, or refused with the right code."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

pytest.importorskip("av", reason="PyAV is missing: pip install 'wildtag[video]'")

from tasks.images import BadImage, DamagedImage, decode, decode_with_media, recognised
from tasks.images.movie_samples import check as check_samples
from tasks.images.video_metadata import told
from tasks.message_parts import Media
from tests.hostile import heic, videos
from tests.hostile.files import WHOLE
from tests.hostile.picture import difference, encoded
from tests.hostile.videos import COUNT, FORMATS, SIZE, audio, boxes_moved, made, shown, which

FRAMES = [shown(at) for at in range(60)]


def views(data: bytes, **options: Any) -> list[Image.Image]:
    return decode_with_media(data, video=True, **options)[0]


def media(data: bytes, **options: Any) -> Media:
    return decode_with_media(data, video=True, **options)[1]


def code(data: bytes, **options: Any) -> tuple[str, str]:
    with pytest.raises(BadImage) as refused:
        decode_with_media(data, video=True, **options)
    return refused.value.code, str(refused.value)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_both_frames_are_shown(name: str) -> None:
    data = made(name)
    found = [which(view, FRAMES) for view in views(data)]
    # the duration of an MPEG program stream is that between the first and the last time in it
    assert [at for at, _ in found] == ([3, 18] if name == "mpeg2.mpg" else [COUNT // 10, COUNT // 2])
    assert all(distance < 8 for _, distance in found)
    about = media(data)
    assert (about.width, about.height, about.bytes) == (*SIZE, len(data))
    assert abs(about.frames - COUNT) <= 3
    assert about.format.endswith(("video", "stream"))
    assert difference(decode(data, video=True), views(data)[0]) == 0


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_half_is_truncated_where_the_container_has_a_length(name: str) -> None:
    data = made(name)
    for share in (50, 75, 95):
        part = data[: len(data) * share // 100]
        if name in {"mpeg2.mpg", "h264.m2ts"}:  # broadcasts, which begin and end anywhere
            assert views(part)
        else:
            assert code(part)[0] == "truncated", share
    if name.endswith((".mp4", ".mov")):
        front = boxes_moved(data)
        assert [which(view, FRAMES)[0] for view in views(front)] == [4, 20]
        assert code(front[: len(front) * 3 // 4])[0] == "truncated"


def test_text_behind_a_video_does_not_cost_it() -> None:
    for behind in (b"trailer" * 99, bytes(3000), b"\xff" * 99):
        assert [which(view, FRAMES)[0] for view in views(made() + behind)] == [4, 20]
    later = struct.pack(">I", 5000) + b"moof" + bytes(99)
    assert code(made() + later)[0] == "truncated"


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_views_are_upright(degrees: int, mirrored: bool) -> None:
    data = made(change=lambda stream: stream.set_display_rotation(degrees, hflip=mirrored))
    expected = [one.rotate(degrees, expand=True) for one in FRAMES]  # against the clock, as FFmpeg counts
    if mirrored:
        expected = [ImageOps.mirror(one) for one in expected]
    found = [which(view, expected) for view in views(data)]
    assert [at for at, _ in found] == [4, 20]
    assert all(distance < 8 for _, distance in found)
    about = media(data)
    assert (about.width, about.height) == expected[0].size


def test_pixels_that_are_no_squares_are_stretched() -> None:
    def wide(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = 2

    data = made(change=wide)
    assert [view.size for view in views(data)] == [(320, 96), (320, 96)]
    assert media(data).width == 320


def test_colours_are_those_of_the_matrix_that_the_file_names() -> None:
    red = Image.new("RGB", (64, 64), (200, 30, 40))
    red.paste((20, 160, 90), (0, 0, 32, 64))

    def matrix(number: int) -> Callable[[Any], None]:
        def change(stream: Any) -> None:
            stream.codec_context.colorspace = number

        return change

    # av converts with the matrix of ITU-R BT.601 unless it is told otherwise
    plain = views(made(frame=lambda _: red, change=matrix(5)))[0]
    assert difference(plain, red) < 4
    other = views(made(frame=lambda _: red, change=matrix(1)))[0]
    assert difference(other, red) > 8  # the same samples mean other colours with BT.709


def test_a_frame_of_one_colour_gives_way_to_a_later_one() -> None:
    black = Image.new("RGB", SIZE)
    found = views(made(frame=lambda at: black if at < 7 else shown(at)))
    assert [which(view, FRAMES)[0] for view in found] == [8, 20]
    # black until 45 %, and from 50 % on: nothing is left of the second view
    found = views(made(frame=lambda at: shown(at) if 4 <= at < 18 else black))
    assert [which(view, FRAMES)[0] for view in found] == [4]
    found = views(made(frame=lambda at: shown(at) if at >= 20 else black))
    assert [which(view, FRAMES)[0] for view in found] == [20]
    (only,) = views(made(frame=lambda _: black))
    assert np.asarray(only).max() < 8


def test_a_video_with_one_frame_or_without_a_duration_is_seen() -> None:
    assert [which(view, FRAMES)[0] for view in views(made("mpeg4.mp4", count=1))] == [0]
    live = made("h264.mkv", options={"live": "1"})
    assert code(live[:300])[0] in {"truncated", "damaged"}
    assert [which(view, FRAMES)[0] for view in views(live)] == [3, 19]


def test_few_keyframes_bound_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(gop=COUNT)
    assert [which(view, FRAMES)[0] for view in views(data)] == [4, 20]
    monkeypatch.setattr("tasks.images.video._FRAMES", 10)
    first, second = (which(view, FRAMES) for view in views(data))
    assert first[0] < 10
    assert second[0] < 10  # the last one that was reached, whole
    assert second[1] < 8


def test_sound_is_no_image() -> None:
    for data in (audio(), audio(cover=encoded(shown(0), "JPEG"))):
        assert recognised(data, video=True) == "video/mp4"
        assert code(data) == ("not-an-image", "an MP4 video without a picture: it has no video track")
    assert recognised(audio("ipod"), video=True) is None
    assert "MPEG-4 audio" in code(audio("ipod"))[1]


def test_damage_is_never_shown() -> None:
    """Whatever is changed in the first half of the pictures: a view is right, or it is another frame, or none."""
    data = boxes_moved(made())
    begin = data.index(b"mdat") + 400
    chance = np.random.default_rng(3)
    for _ in range(20):
        changed = bytearray(data)
        at = int(chance.integers(begin, len(data) - 600))
        changed[at : at + 500] = bytes(500)
        found = []
        with contextlib.suppress(DamagedImage):
            found = views(bytes(changed))
        assert all(which(view, FRAMES)[1] < 12 for view in found)
    assert code(data[:begin] + bytes(len(data) - begin))[0] == "truncated"  # nothing but zeros
    noise = bytes(chance.integers(0, 256, len(data) - begin, dtype=np.uint8))
    assert code(data[:begin] + noise)[0] == "damaged"


def test_size_is_checked_before_anything_is_decoded() -> None:
    data = made()
    assert code(data, max_pixels=SIZE[0] * SIZE[1] - 1)[0] == "too-many-pixels"
    larger = made(frame=lambda _: Image.new("RGB", (640, 480)), count=2)
    # the container tells the size of the other, and the decoder meets more pixels
    claimed = larger.replace(struct.pack(">HH", 640, 480), struct.pack(">HH", *SIZE))
    assert claimed != larger
    assert code(claimed, max_pixels=100_000)[0] in {"too-many-pixels", "damaged"}


def test_nothing_else_is_opened() -> None:
    for text in (b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n", b"ffconcat version 1.0\nfile /etc/hostname\n"):
        assert recognised(text, video=True) is None
        assert code(text)[0] == "not-an-image"


def test_other_codecs_are_named() -> None:
    data = made().replace(b"avc1", b"zzzz")
    assert code(data)[0] == "unsupported"
    assert "codec" in code(data)[1]


def test_when_with_what_and_where_it_was_taken() -> None:
    apple = {
        "creation_time": "2024-05-06T07:08:09Z", "com.apple.quicktime.creationdate": "2024-05-06T09:08:09+0200",
        "com.apple.quicktime.make": "Maker", "com.apple.quicktime.model": "Maker 1",
        "com.apple.quicktime.location.ISO6709": "-33.8600+151.2000+012.000/",
    }  # fmt: skip
    data = made("h264.mov", metadata=apple, options={"movflags": "use_metadata_tags"})
    about = media(data, gps=True)
    assert (about.taken_at, about.camera) == ("2024-05-06T09:08:09+02:00", "Maker 1")
    assert (about.latitude, about.longitude) == (-33.86, 151.2)
    assert media(data).latitude is None
    plain = made(metadata={"creation_time": "2024-05-06T07:08:09.000000Z", "location": "+51.5000-000.1250/"})
    about = media(plain, gps=True)
    assert (about.taken_at, about.camera) == ("2024-05-06T07:08:09Z", None)
    assert (about.latitude, about.longitude) == (51.5, -0.125)
    assert media(made(metadata={"creation_time": "1970-01-01T00:00:00Z"})).taken_at is None


def test_images_that_move_stay_images() -> None:
    for data in (WHOLE["animated.gif"](), WHOLE["avif"](), heic.PLAIN, WHOLE["apng"](), WHOLE["animated.webp"]()):
        found, about = decode_with_media(data, video=True)
        assert len(found) == 1
        assert not about.format.endswith("video")
    moving = io.BytesIO()
    shown(0).save(moving, "AVIF", save_all=True, append_images=[shown(9)])
    assert media(moving.getvalue()).format == "AVIF"


def test_without_the_setting_the_reason_names_it() -> None:
    for name in FORMATS:
        with pytest.raises(BadImage) as refused:
            decode(made(name, count=2))
        assert refused.value.code == "not-an-image"
        assert ": videos are tagged where WILDTAG_VIDEO=true" in str(refused.value)
        assert recognised(made(name, count=2)) is None


def test_names_are_for_a_sentence() -> None:
    assert code(made()[:2000])[1].startswith("the MP4 video is truncated")
    assert videos.FORMATS.keys() == FORMATS.keys()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+5130.0-00007.5/", (51.5, -0.125)), ("+513030-0000730+10.5/", (51.508333, -0.125)),
        ("-33.86+151.2", (-33.86, 151.2)), ("+91.0+000.0/", None), ("somewhere", None), ("+5.1-0.1/", None),
    ],
)  # fmt: skip
def test_places(text: str, place: tuple[float, float] | None) -> None:
    assert told({"location": text}).place == place


def test_tables_that_claim_more_than_there_is_are_not_believed() -> None:
    data = bytearray(made("mpeg4.mp4", count=20))
    struct.pack_into(">II", data, data.index(b"stsz") + 8, 1, 20_000_000)
    struct.pack_into(">IIII", data, data.index(b"stsc") + 8, 1, 1, 20_000_000, 1)
    assert code(bytes(data)) == ("damaged", "the MP4 video claims 20,000,000 samples; the limit is 2,000,000")
    fragments = bytearray(made("h264.mp4", options={"movflags": "frag_keyframe+empty_moov"}))
    assert [which(view, FRAMES)[0] for view in views(bytes(fragments))] == [4, 20]
    assert media(bytes(fragments)).frames == COUNT
    struct.pack_into(">I", fragments, fragments.index(b"trun") + 8, 2**27)
    assert "samples" in code(bytes(fragments))[1]


def test_hours_of_plain_sound_are_no_such_claim() -> None:
    def table(size: int, codec: bytes) -> bytes:
        sound = b"trak" + b"stsd" + struct.pack(">III", 0, 1, 36) + codec + b"stts" + struct.pack(">IIII", 0, 1, 9, 1)
        return sound + b"stsz" + struct.pack(">III", 0, size, 30_000_000 // size)

    for size, codec, refused in ((4, b"sowt", False), (4, b"avc1", True), (1, b"twos", False)):
        data = table(size, codec).ljust(30_000_000, b"\0")
        if refused:
            with pytest.raises(DamagedImage):
                check_samples("MP4 video", data, [(0, 1000)])
        else:
            check_samples("MP4 video", data, [(0, 1000)])


def test_encrypted_videos_are_named() -> None:
    secret = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "01" * 16, "encryption_kid": "02" * 16}
    assert code(made(options=secret)) == ("unsupported", "MP4 video that is encrypted is not read")


def test_high_dynamic_range_is_converted() -> None:
    def hlg(stream: Any) -> None:
        stream.codec_context.color_trc = 18

    grey = Image.new("RGB", SIZE, (191, 191, 191))
    grey.paste((40, 40, 40), (0, 0, 80, 96))
    (view, *_) = views(made(frame=lambda _: grey, change=hlg))
    assert 220 <= np.asarray(view)[48, 120].min() <= 245  # the white of graphics
