"""Shows that every image, proposer, segmenter and encoder ends in a segmentation, whichever method is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from PIL import Image

from tasks.message_parts import Floats
from tasks.segmentation.dense import Dense
from tasks.segmentation.prompted import Prompted
from tasks.segmentation.regions import Regions
from tasks.segmentation.rendering import as_palette, overlaid
from tasks.segmentation.results import Mask, Segmented
from tasks.segmentation.run import SegmentationMethod, segment
from tasks.segmenters.cells import Cells
from tasks.segmenters.superpixels import Superpixels
from tests.unit.segmentation.world import RED, Colours, Drawn, Proposed, halves, noisy, pipeline

NAN = float("nan")
METHODS: dict[str, SegmentationMethod] = {
    "dense": Dense(),
    "dense, refined": Dense(refine=True),
    "dense, all crops": Dense(flat=None),
    "regions of cells": Regions(Cells()),
    "regions of superpixels": Regions(Superpixels(), flat=None),
    "prompted": Prompted(Drawn({"cat": [[0.9, 0.1], [0.8, 0.2]]})),
}
IMAGES: dict[str, Image.Image] = {
    "white": Image.new("RGB", (90, 60), "white"),
    "black": Image.new("RGB", (90, 60)),
    "red": Image.new("RGB", (90, 60), RED),
    "one pixel": Image.new("RGB", (1, 1), RED),
    "smaller than the grid": noisy(RED, 5, 3),
    "one row": noisy(RED, 200, 1),
    "one column": noisy(RED, 1, 200),
    "10:1": halves().resize((600, 60)),
    "1:10": halves().resize((60, 600)),
}
WHOLE = np.ones((128, 128), bool)
PROPOSALS: dict[str, Sequence[Mask]] = {
    "nothing": [],
    "empty masks": [~WHOLE, np.zeros((0, 0), bool), np.zeros((0, 128), bool)],
    "masks of another shape": [np.ones((7, 300), bool), np.ones((300, 7), bool), np.ones((1, 1), bool)],
    "masks beyond the image": [np.pad(WHOLE, ((128, 0), (0, 0)))[:, :] & (np.arange(256) >= 128)[:, None]],
    "hundreds": [np.roll(np.arange(128 * 128).reshape(128, 128) < 2000, 40 * at) for at in range(400)],
    "numbers": [np.full((128, 128), 255, np.uint8).astype(bool).astype(np.uint8)],
}


def whole(made: Segmented, image: Image.Image) -> Segmented:
    """Everything that holds of any segmentation."""
    labels = made.label_map()
    assert labels.shape == (image.height, image.width)
    assert labels.max() < len(made.labels)
    assert sum(part.area for part in made.segments) == pytest.approx(np.count_nonzero(labels) / labels.size, abs=1e-4)
    for part in made.segments:
        x, y, width, height = part.box
        assert 0 <= x < x + width <= image.width
        assert 0 <= y < y + height <= image.height
        assert 0 <= part.score <= 1
        assert part.label in made.labels[1:]
    assert b"null" not in msgspec.json.encode(made)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Segmented) == made
    assert as_palette(made).size == image.size
    assert overlaid(image, made).height > image.height
    return made


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", IMAGES)
def test_any_image_is_segmented(method: str, name: str) -> None:
    whole(segment(IMAGES[name], METHODS[method], pipeline()), IMAGES[name])


@pytest.mark.parametrize("method", METHODS)
def test_without_captions_all_is_unknown(method: str) -> None:
    made = whole(segment(halves(), METHODS[method], pipeline(())), halves())
    assert (made.labels, made.segments) == (("unknown",), ())


class Broken(Colours):
    """Gives no numbers for some of what it sees."""

    def __init__(self, bad: Callable[[int], bool]) -> None:
        super().__init__()
        self._bad = bad

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        vectors = super().encode(images)
        for row in range(len(images)):
            if self._bad(row):
                vectors[row, row % 3] = (NAN, np.inf)[row % 2]
        return vectors


@pytest.mark.parametrize("method", METHODS)
def test_an_encoder_that_gives_no_numbers_has_seen_nothing(method: str) -> None:
    one = replace(pipeline(), image_encoder=Broken(lambda _: True))
    made = whole(segment(halves(), METHODS[method], one), halves())
    assert made.segments == ()


@pytest.mark.parametrize("method", ["dense", "regions of cells"])
def test_crops_that_an_encoder_has_no_numbers_for_harm_no_others(method: str) -> None:
    one = replace(pipeline(), image_encoder=Broken(lambda row: row % 4 == 3))
    made = whole(segment(noisy(RED, 128, 128), METHODS[method], one), noisy(RED, 128, 128))
    assert {part.label for part in made.segments} == {"cat"}
    assert made.segments[0].area > 0.5


@pytest.mark.parametrize("name", PROPOSALS)
def test_any_proposals_are_borne(name: str) -> None:
    image = noisy(RED, 128, 128)
    made = whole(segment(image, Regions(Proposed(PROPOSALS[name])), pipeline()), image)
    assert made.encoded <= Regions(Cells()).most


@pytest.mark.parametrize("value", [NAN, np.inf, -np.inf, 7.0, -7.0])
def test_any_number_that_a_drawer_gives_is_borne(value: float) -> None:
    image = noisy(RED, 40, 30)
    made = whole(segment(image, Prompted(Drawn({"cat": [[value, 0.9]]})), pipeline()), image)
    assert {part.label for part in made.segments} == {"cat"}


def test_a_drawer_that_gives_no_numbers_at_all_has_drawn_nothing() -> None:
    image = noisy(RED, 40, 30)
    made = whole(segment(image, Prompted(Drawn({"cat": [[NAN, NAN]]})), pipeline()), image)
    assert made.segments == ()
