"""Shows that a label map survives its PNG, and that an overlay shows the colours and says what they mean."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tasks.segmentation.rendering import as_palette, colours, overlaid
from tasks.segmentation.results import RunLengths, Segment, Segmented


def segmented(*names: str, width: int = 200, height: int = 80) -> Segmented:
    """Names side by side in the left half, nothing in the right one."""
    parts = []
    for at, name in enumerate(names):
        mask = np.zeros((height, width), bool)
        mask[:, at * width // 2 // len(names) : (at + 1) * width // 2 // len(names)] = True
        parts.append(
            Segment(label=name, score=1.0, box=(0, 0, 1, 1), area=float(mask.mean()), mask=RunLengths.of(mask))
        )
    return Segmented(
        method="dense", width=width, height=height, shape=(height, width), labels=("unknown", *names),
        segments=tuple(parts), encoded=1, looked_up=1,
    )  # fmt: skip


def reopened(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "PNG")
    return Image.open(file)


@pytest.mark.parametrize("count", [0, 1, 5, 99])
def test_a_label_map_comes_back_from_its_png_with_a_colour_a_label(count: int) -> None:
    made = segmented(*[f"label {number}" for number in range(count)])
    image = reopened(as_palette(made))
    assert (image.mode, image.size) == ("P", (200, 80))
    assert np.array_equal(np.asarray(image), made.label_map())
    assert np.array_equal(np.asarray(image.convert("RGB")), colours(count + 1)[made.label_map()])


def test_beyond_256_labels_the_png_has_16_bits() -> None:
    made = segmented(*[f"label {number}" for number in range(300)], width=600, height=2)
    assert np.array_equal(np.asarray(reopened(as_palette(made))), made.label_map())
    assert made.label_map().max() == 300


def test_colours_of_an_image_are_told_apart() -> None:
    some = colours(33)[1:].astype(int)
    apart = np.abs(some[:, None] - some[None]).sum(axis=2)[np.triu_indices(32, 1)]
    assert apart.min() >= 20
    assert colours(1).tolist() == [[0, 0, 0]]


def test_an_overlay_leaves_what_is_unknown_and_tints_the_rest() -> None:
    image = Image.new("RGB", (200, 80), (100, 100, 100))
    page = np.asarray(overlaid(image, segmented("cat", "dog"), strength=0.5)).astype(int)
    assert page.shape[1] == 200
    assert page.shape[0] > 80
    assert (page[:80, 102:] == 100).all()
    for x, number in ((20, 1), (70, 2)):
        assert np.abs(page[40, x] - (colours(3)[number].astype(int) + 100) / 2).max() <= 1
    assert page[40, 49].tolist() == colours(3)[1].tolist()  # the edge between them


def test_the_legend_shows_the_colour_of_each_label_that_is_there_and_grows_with_them() -> None:
    image = Image.new("RGB", (200, 80), (100, 100, 100))
    few, many = (overlaid(image, segmented(*(f"label {at}" for at in range(count)))) for count in (2, 30))
    legend = np.asarray(many)[80:].reshape(-1, 3)
    for colour in colours(31)[1:]:
        assert (legend == colour).all(axis=1).any()
    assert many.height > few.height


def test_a_long_name_widens_the_page_and_an_odd_one_does_no_harm() -> None:
    page = overlaid(Image.new("RGB", (60, 40)), segmented("a name that is far wider than its image", "猫\n\t\0🐈"))
    assert page.width > 60


def test_where_all_is_unknown_the_legend_says_so() -> None:
    page = overlaid(Image.new("RGB", (200, 80), (9, 9, 9)), segmented())
    assert page.height > 80
    assert (np.asarray(page)[:80] == 9).all()


@pytest.mark.parametrize("size", [(1, 1), (400, 160), (30, 500)])
def test_an_overlay_fits_an_image_of_another_size(size: tuple[int, int]) -> None:
    page = overlaid(Image.new("RGB", size), segmented("cat"))
    assert page.width >= size[0]
    assert page.height > size[1]
