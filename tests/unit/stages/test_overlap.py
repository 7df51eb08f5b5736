"""Decoding ahead changes when something is computed, and never what."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.embedding import embed
from tasks.encoders.protocols import Floats
from tasks.images import BadImage, decode_with_media
from tasks.images.errors import TooSlow
from tasks.overlap import Ahead
from tests.unit.stages.made_up import MadeUpImages, picture, submitted
from workers.stages.slow_images import SlowInBatch, splitting

GROUP = 4
IMAGES = [picture((shade, 255 - shade, 40)) for shade in range(30)]


@pytest.fixture
def overlap() -> Iterator[Ahead]:
    with ThreadPoolExecutor(3) as decoding, ThreadPoolExecutor(1) as encoding:
        yield Ahead(decoding, encoding, GROUP)


class Groups(MadeUpImages):
    """Remembers how many images each call had."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        self.sizes.append(len(images))
        return super().encode(images)


def test_the_same_comes_out_in_the_same_order(overlap: Ahead) -> None:
    images = [*IMAGES[:10], b"no image", *IMAGES[10:20], b"", *IMAGES[20:]]
    expected = embed(submitted(len(images)), images, MadeUpImages())
    encoder = Groups()
    found = embed(submitted(len(images)), images, encoder, overlap=overlap)
    assert found == expected
    assert encoder.sizes == [GROUP] * 7 + [2]
    for count in (0, 1, GROUP, GROUP + 1):  # and again, with the same threads
        batch, _ = embed(submitted(count), IMAGES[:count], encoder, overlap=overlap)
        np.testing.assert_array_equal(batch.vectors.array(), expected[0].vectors.array()[:count])


def test_images_are_decoded_while_others_are_encoded(overlap: Ahead) -> None:
    decoded = threading.Semaphore(0)

    class Waits(MadeUpImages):
        def encode(self, images: Sequence[Image.Image]) -> Floats:
            for _ in range(GROUP):  # of the next group
                assert decoded.acquire(timeout=60)
            return super().encode(images)

    def decode(data: bytes, **given: Any) -> Any:
        found = decode_with_media(data, **given)
        decoded.release()
        return found

    for _ in range(GROUP):
        decoded.release()  # behind the last group there is none
    batch, faults = embed(submitted(4 * GROUP), IMAGES[: 4 * GROUP], Waits(), decode=decode, overlap=overlap)
    assert (len(batch.objects), faults) == (4 * GROUP, ())


def test_no_more_than_a_group_is_decoded_ahead() -> None:
    begun: list[int] = []
    with ThreadPoolExecutor(3) as decoding, ThreadPoolExecutor(1) as encoding:
        taken = Ahead(decoding, encoding, GROUP).decoded(partial(begun.append, at) for at in range(30))
        next(taken)()
        taken.close()
    assert 0 in begun
    assert len(begun) <= GROUP + 1


@pytest.mark.parametrize("error", [SlowInBatch("too long"), MemoryError("none left")])
def test_an_error_that_concerns_the_batch_ends_it(error: Exception, overlap: Ahead) -> None:
    def decode(data: bytes, **given: Any) -> Any:
        if data == IMAGES[9]:
            raise error
        return decode_with_media(data, **given)

    with pytest.raises(type(error), match=str(error)):
        embed(submitted(30), IMAGES, MadeUpImages(), decode=decode, overlap=overlap)


def test_an_error_of_the_encoder_is_raised_once_and_not_by_the_next_batch(overlap: Ahead) -> None:
    class Fails(MadeUpImages):
        def encode(self, images: Sequence[Image.Image]) -> Floats:
            raise RuntimeError(f"out of memory for {len(images)}")

    with pytest.raises(RuntimeError, match="out of memory"):
        embed(submitted(30), IMAGES, Fails(), overlap=overlap)
    assert len(embed(submitted(30), IMAGES, MadeUpImages(), overlap=overlap)[0].objects) == 30


def test_the_time_of_a_batch_counts_once_for_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.1, 10.2, 10.9, 30.0, 30.5, 40.0])
    monkeypatch.setattr("workers.stages.slow_images.time.monotonic", lambda: next(clock))
    both, given = threading.Barrier(2), []

    def decode(data: bytes, **_: Any) -> Any:
        given.append(data)
        if data == b"together":
            both.wait(timeout=60)
        if data == b"slow":
            raise TooSlow("too slow")
        raise BadImage("none")

    one = splitting(decode, 1.0)

    def call(data: bytes) -> str:
        with pytest.raises((BadImage, SlowInBatch)) as raised:
            one(data, max_pixels=1)
        return type(raised.value).__name__

    with ThreadPoolExecutor(2) as threads:  # from 10.0 to 10.2, on the clock
        assert set(threads.map(call, [b"together"] * 2)) == {"BadImage"}
    # nothing is decoded until 10.9; 19.1 s are spent on the slow one
    assert call(b"slow") == "SlowInBatch"
    assert call(b"") == "SlowInBatch"
    assert given == [b"together", b"together", b"slow"]


def test_two_groups_are_encoded_at_a_time_where_the_encoder_wants_them_and_no_third() -> None:
    both, inside, most = threading.Barrier(2), threading.Semaphore(2), []

    class Two(MadeUpImages):
        def encode(self, images: Sequence[Image.Image]) -> Floats:
            most.append(inside.acquire(blocking=False))
            both.wait(timeout=60)
            try:
                return super().encode(images)
            finally:
                inside.release()

    with ThreadPoolExecutor(3) as decoding, ThreadPoolExecutor(3) as encoding:
        ahead = Ahead(decoding, encoding, GROUP, 2)
        found = embed(submitted(4 * GROUP), IMAGES[: 4 * GROUP], Two(), overlap=ahead)
    assert found == embed(submitted(4 * GROUP), IMAGES[: 4 * GROUP], MadeUpImages())
    assert most == [True] * 4
