"""Shows that proposers and drawers keep their promises with small random models, and say what cannot be loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.encoders.requirements import ModelNotLoaded
from tasks.segmentation.prompted import Prompted
from tasks.segmentation.regions import Regions
from tasks.segmentation.run import segment
from tasks.segmenters.cells import Cells
from tasks.segmenters.clipseg import AT_ONCE, CLIPSeg
from tasks.segmenters.segment_anything import SegmentAnything
from tasks.segmenters.superpixels import SCALES, Superpixels
from tests.unit.encoders.models import save_model
from tests.unit.segmentation.models import save_clipseg, save_sam
from tests.unit.segmentation.world import halves, pipeline

ANY = float("-inf")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one folder a model."""
    folder = tmp_path_factory.mktemp("models")
    for name, save in {"sam": save_sam, "clipseg": save_clipseg}.items():
        save(folder / name)
    save_model(folder / "clip", "clip")
    return folder


def sam(models: Path, least: float = ANY) -> SegmentAnything:
    return SegmentAnything(str(models / "sam"), points=3, least_score=least, least_stable=ANY)


@pytest.mark.parametrize("size", [(64, 64), (97, 41), (300, 30), (1, 1)])
def test_segment_anything_gives_masks_of_the_images_size_each_once(models: Path, size: tuple[int, int]) -> None:
    image = halves().resize(size)
    masks = sam(models).propose(image)
    assert masks
    assert {(mask.shape, mask.dtype.name) for mask in masks} == {(size[::-1], "bool")}
    assert all(np.array_equal(*pair) for pair in zip(masks, sam(models).propose(image), strict=True))


def test_segment_anything_gives_none_where_the_model_is_sure_of_none(models: Path) -> None:
    unsure = sam(models, least=1e9)
    assert list(unsure.propose(halves())) == []
    assert segment(halves(), Regions(unsure), pipeline()).encoded == 1


def test_regions_can_be_those_of_segment_anything(models: Path) -> None:
    made = segment(halves(), Regions(sam(models)), pipeline())
    assert made.label_map().shape == (128, 128)


def test_clipseg_gives_a_plane_between_0_and_1_for_each_name_however_many_and_long(models: Path) -> None:
    segmenter = CLIPSeg(str(models / "clipseg"))
    names = ["cat", "a very long name " * 9, "", *[f"bridge {number}" for number in range(AT_ONCE)]]
    planes = segmenter.draw(halves().resize((200, 70)), names)
    assert (planes.shape[0], planes.dtype.name) == (len(names), "float32")
    assert 0 <= planes.min() <= planes.max() <= 1
    alone = segmenter.draw(halves().resize((200, 70)), ["cat"])
    assert alone.shape == (1, *planes.shape[1:])
    assert alone[0] == pytest.approx(planes[0], abs=1e-4)


def test_prompted_can_draw_with_clipseg(models: Path) -> None:
    made = segment(halves(), Prompted(CLIPSeg(str(models / "clipseg")), least=0.0), pipeline())
    assert {part.label for part in made.segments} == {"cat"}


@pytest.mark.parametrize("kind", [SegmentAnything, CLIPSeg])
def test_a_model_that_cannot_be_loaded_is_named_with_the_reason(
    models: Path, tmp_path: Path, kind: Callable[[str], object]
) -> None:
    (tmp_path / "empty").mkdir()
    other = {SegmentAnything: "clipseg", CLIPSeg: "sam"}[kind]  # type: ignore[index]  # the two of the list above
    for folder in (tmp_path / "nowhere", tmp_path / "empty", models / other, models / "clip"):
        with pytest.raises(ModelNotLoaded, match=str(folder)):
            kind(str(folder))


def test_a_drawer_without_a_tokenizer_is_told_apart(tmp_path: Path) -> None:
    save_clipseg(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    with pytest.raises(ModelNotLoaded, match="tokenizer"):
        CLIPSeg(str(tmp_path))


@pytest.mark.parametrize("size", [(128, 128), (1000, 90), (3, 200), (1, 1)])
def test_superpixels_of_each_scale_cover_the_image_the_largest_first(size: tuple[int, int]) -> None:
    masks = Superpixels().propose(halves().resize(size))
    assert {mask.shape for mask in masks} == {size[::-1]}
    assert (np.sum(masks, axis=0) == len(SCALES)).all()
    areas = [np.count_nonzero(mask) for mask in masks]
    assert areas[0] == max(areas)


def test_superpixels_part_what_has_two_colours() -> None:
    left = np.zeros((128, 128), bool)
    left[:, :64] = True
    shares = [(mask & left).sum() / max(1, (mask | left).sum()) for mask in Superpixels().propose(halves())]
    assert max(shares) > 0.95


@pytest.mark.parametrize("size", [(7, 5), (1, 1), (100, 3)])
def test_cells_cover_the_image_once_for_each_size(size: tuple[int, int]) -> None:
    masks = Cells((1, 3)).propose(Image.new("RGB", size))
    assert len(masks) == 1 + 9
    assert (np.sum(masks, axis=0) == 2).all()
