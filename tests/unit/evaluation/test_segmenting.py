"""Shows that every method sees every picture once, that baselines are what they say, and what is skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.evaluation.compositions import compositions
from tasks.evaluation.labelmaps import LabelMaps, write
from tasks.evaluation.locating import BySegmentationMethod, ByTopTag, CachingEncoder, Method, of_vocabulary
from tasks.evaluation.manifest import BadManifest, Skipped
from tasks.evaluation.manifest import read as read_manifest
from tasks.evaluation.segmenting import Measured, measure
from tasks.images import MAX_PIXELS
from tasks.message_parts import Floats
from tasks.segmentation.dense import Dense
from tasks.segmentation.regions import Regions
from tasks.segmentation.run import segment
from tasks.segmenters.cells import Cells
from tests.unit.evaluation.cutouts import save_cutouts
from tests.unit.segmentation.world import BLUE, GREY, RED, Colours, halves, noisy, pipeline, vector_of

REGIONS = Regions(Cells((4,)))


@pytest.fixture
def maps(tmp_path: Path) -> LabelMaps:
    items = read_manifest(save_cutouts(tmp_path / "cutouts")).items
    return write(tmp_path / "set", compositions(items, 4, size=(160, 120)))


def encode(texts: Sequence[str]) -> Floats:
    return np.stack([vector_of(text) for text in texts])


def run(
    maps: LabelMaps, methods: Sequence[Method], progress: list[tuple[int, int]] | None = None
) -> tuple[list[Measured], tuple[Skipped, ...]]:
    def on_progress(done: int, total: int) -> None:
        if progress is not None:
            progress.append((done, total))

    return measure(maps, methods, encode, read=Path.read_bytes, max_pixels=MAX_PIXELS, on_progress=on_progress)


def test_methods_and_baselines_are_measured_side_by_side(maps: LabelMaps) -> None:
    one = replace(pipeline(), image_encoder=CachingEncoder(Colours()))
    progress: list[tuple[int, int]] = []
    methods: list[Method] = [
        BySegmentationMethod("regions", REGIONS, one),
        BySegmentationMethod("dense", Dense(), one),
        ByTopTag(one),
    ]
    results, skipped = run(maps, methods, progress)
    assert [result.method for result in results] == ["regions", "dense", "top-tag"]
    assert {result.images for result in results} == {4}
    assert (skipped, progress) == ((), [(1, 4), (2, 4), (3, 4), (4, 4)])
    regions, _, top = results
    assert regions.overlaps.jaccard_nearest > top.overlaps.jaccard_nearest > 0
    assert (regions.encoded, top.encoded) == (16, 1)


def test_the_top_tag_is_everywhere_and_unknown_where_there_is_none() -> None:
    red, grey = (ByTopTag(pipeline()).locate(noisy(colour, 9, 7)) for colour in (RED, GREY))
    assert (red.names, red.label_map.tolist()) == (("unknown", "cat"), [[1] * 9] * 7)
    assert grey.names == ("unknown",)
    assert not grey.label_map.any()


def test_a_fixed_vocabulary_says_its_nearest_name_and_nothing_else() -> None:
    fixed = of_vocabulary(pipeline(), ["a red tabby cat", "a bridge", "unheard of"])
    made = segment(halves(), REGIONS, fixed)
    assert set(made.labels) == {"unknown", "a red tabby cat", "a bridge"}
    named = segment(noisy(GREY, 64, 64), REGIONS, fixed)
    assert [part.area for part in named.segments] == [1.0]  # the least far of them


def test_a_fixed_vocabulary_leaves_the_captions_pipeline_alone() -> None:
    one = pipeline()
    of_vocabulary(one, ["a bridge"])
    assert set(segment(halves(), REGIONS, one).labels) == {"unknown", "cat", "bridge"}


def test_what_was_encoded_lately_is_not_encoded_again() -> None:
    inner = Colours()
    remembering = CachingEncoder(inner)
    pictures = [noisy(RED, 8, 8), noisy(BLUE, 8, 8), noisy(RED, 8, 8), noisy(RED, 4, 16)]
    first = remembering.encode(pictures)
    assert inner.seen == 3
    assert np.array_equal(first, Colours().encode(pictures))
    assert np.array_equal(remembering.encode(pictures[::-1]), first[::-1])
    assert inner.seen == 3
    assert (remembering.space, remembering.side) == (inner.space, inner.side)
    assert remembering.encode([]).shape == (0, inner.space.dimension)


def test_pictures_that_cannot_be_used_are_skipped_with_their_reason(maps: LabelMaps) -> None:
    first, second, third, _ = maps.items
    first.image.write_bytes(b"text")
    second.label_map.unlink()
    Image.new("L", (7, 5)).save(third.label_map)
    progress: list[tuple[int, int]] = []
    (result,), skipped = run(replace(maps, missing=(Path("gone.jpg"),)), [ByTopTag(pipeline())], progress)
    assert (result.images, progress[-1]) == (1, (4, 4))
    assert [one.where for one in skipped] == ["gone.jpg", "0000.png", "0001.png", "0002.png"]
    assert "not an image" in str(skipped[1])
    assert "cannot be read" in str(skipped[2])
    assert "its label map has 7 × 5 pixels, but the image has 160 × 120" in str(skipped[3])


def test_where_no_picture_can_be_used_the_reasons_are_told(maps: LabelMaps) -> None:
    for item in maps.items:
        item.image.write_bytes(b"text")
    with pytest.raises(BadManifest, match=r"none of 4 images can be used: 0000\.png: not an image"):
        run(maps, [ByTopTag(pipeline())])
