"""Every made file gives the same in a process that decodes as in this one: pixels, metadata, or the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.images import BadImage, decode_with_media
from tasks.images.decoder import Decoder
from tasks.message_parts import Media
from tests.hostile import videos
from tests.hostile.picture import Case
from tests.hostile.test_pictures import CASES
from workers.decoding.decoders import Decoders
from workers.decoding.spawner import Spawner

PIXELS = 10_000_000


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    made = Decoders(Spawner(2**30, video=True), 1, 30.0)
    yield made
    made.close()


def result(decode: Decoder, data: bytes, near: int | None) -> tuple[str, list[bytes], Media | None]:
    """The code and reason of a refusal, or the pixels and the media."""
    try:
        views, media = decode(data, max_pixels=PIXELS, near=near, gps=True, video=True)
    except BadImage as exc:
        return f"{exc.code}: {exc}", [], None
    return "done", [view.tobytes() for view in views], media


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_made_files(decoders: Decoders, case: Case) -> None:
    data = case.make()
    assert result(decoders, data, None) == result(decode_with_media, data, None)


def test_videos(decoders: Decoders) -> None:
    data = videos.made()
    found = result(decoders, data, None)
    assert found[0] == "done"
    assert found == result(decode_with_media, data, None)


def test_models_get_the_same(decoders: Decoders) -> None:
    for case in CASES[::7]:
        data = case.make()
        assert result(decoders, data, 32) == result(decode_with_media, data, 32), case.name
