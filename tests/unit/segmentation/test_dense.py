"""Shows that dense says which colour is where, in one name a colour, and encodes no more than it must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tasks.message_parts import Floats
from tasks.pipeline import Pipeline
from tasks.segmentation.dense import CHUNK, Dense, contested
from tasks.segmentation.naming import Naming, batch_of
from tasks.segmentation.regions import Regions
from tasks.segmentation.results import Mask, Segmented
from tasks.segmentation.run import SegmentationMethod, segment
from tasks.segmenters.cells import Cells
from tests.unit.segmentation.world import BLUE, CHOICES, GREY, RED, Colours, halves, noisy, pipeline

DULL = (170, 30, 30)  # a red that ``Breeds`` takes for a cat of no breed


class Breeds(Colours):
    """Sees a tabby where red is bright, and a cat where it is not."""

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        vectors = super().encode(images)
        bright = np.array([np.asarray(image, np.float32)[:, :, 0].mean() > 195 for image in images])
        vectors[:, 4] = np.where(bright, 0.3, 0.0) * vectors[:, 0]
        unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def where(made: Segmented, label: str) -> Mask:
    mask: Mask = made.label_map() == made.labels.index(label)
    return mask


def images(one: Pipeline) -> Colours:
    assert isinstance(one.image_encoder, Colours)
    return one.image_encoder


def test_each_half_gets_the_name_of_its_colour() -> None:
    made = segment(halves(), Dense(), pipeline())
    assert set(made.labels) == {"unknown", "cat", "bridge"}
    assert where(made, "cat")[:, :60].all()
    assert where(made, "bridge")[:, 68:].all()
    assert [segment.evidence[0].caption for segment in made.segments if segment.label == "bridge"] == ["a bridge"]


def test_what_no_caption_is_near_to_is_unknown() -> None:
    made = segment(halves(RED, GREY), Dense(), pipeline())
    assert where(made, "cat")[:, :56].all()
    assert where(made, "unknown")[:, 96:].all()  # before that, crops show some of the cat


@pytest.mark.parametrize("method", [Dense(), Regions(Cells((2,)))])
def test_two_halves_of_a_cat_are_one_cat_though_each_would_have_another_name(method: SegmentationMethod) -> None:
    one = replace(pipeline(), image_encoder=Breeds())
    apart = replace(one, pipeline_options=replace(CHOICES, synonym_similarity=1.0))
    vectors = one.image_encoder.encode([noisy(DULL, 64, 64), noisy(RED, 64, 64)])
    assert [tags[0].label for tags in apart.score(apart.candidates(batch_of(vectors, one))).tags] == ["cat", "tabby"]
    (cat,) = segment(halves(DULL, RED), method, one).segments
    assert (cat.area, cat.box) == (1.0, (0, 0, 128, 128))


def test_all_283_crops_are_encoded_in_chunks() -> None:
    one = pipeline()
    made = segment(halves(), Dense(flat=None), one)
    assert made.encoded == images(one).seen == 283
    assert images(one).calls == -(-283 // CHUNK)


def test_crops_of_one_colour_are_not_encoded_and_cells_of_them_unknown() -> None:
    image = halves()
    image.paste(BLUE, (64, 0, 128, 128))  # now without the noise
    one, whole = pipeline(), pipeline()
    made = segment(image, Dense(), one)
    assert where(made, "unknown")[:, 72:].all()
    assert images(one).seen == made.encoded < 200
    assert where(segment(image, Dense(flat=None), whole), "bridge")[:, 72:].all()


def test_refined_only_where_neighbours_disagree_the_map_stays_nearly_the_same() -> None:
    coarse = segment(halves(), Dense(refine=True), pipeline())
    full = segment(halves(), Dense(), pipeline())
    assert coarse.encoded < full.encoded
    assert coarse.labels == full.labels
    assert (coarse.label_map() == full.label_map()).mean() > 0.95


def test_candidates_can_come_from_the_whole_image() -> None:
    one = pipeline()
    made = segment(noisy(RED, 64, 64), Dense(naming=Naming(source="image")), one)
    assert (made.labels, made.encoded, made.looked_up) == (("unknown", "cat"), 284, 1)


def test_a_map_may_be_finer_or_coarser_than_the_papers() -> None:
    for cells in (2, 8, 12, 32):
        made = segment(halves(), Dense(cells=cells), pipeline())
        assert where(made, "cat")[:, :40].all()
        assert where(made, "bridge")[:, 88:].all()


def test_a_map_whose_last_cells_no_crop_would_cover_is_refused() -> None:
    with pytest.raises(ValueError, match="5 cells per side are divisible by none of the grid sizes"):
        Dense(cells=5)


def test_neighbours_that_disagree_are_those_that_share_a_side() -> None:
    winners = np.array([[1, 1, 1], [1, 1, 2], [1, 1, 1]])
    assert contested(winners).astype(int).tolist() == [[0, 0, 1], [0, 1, 1], [0, 0, 1]]
