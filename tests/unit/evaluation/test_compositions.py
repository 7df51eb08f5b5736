"""Shows that made pictures are the same for the same seed, and that their truth is the cut-outs' transparency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.evaluation.compositions import LEAST, MOST, Composition, compositions
from tasks.evaluation.labelmaps import read, write
from tasks.evaluation.manifest import BadManifest, Item
from tasks.evaluation.manifest import read as read_manifest
from tests.unit.evaluation.cutouts import COLOURS, save_cutouts


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> tuple[Item, ...]:
    return read_manifest(save_cutouts(tmp_path_factory.mktemp("cutouts"))).items


def made(items: tuple[Item, ...], count: int = 12, seed: int = 0) -> list[Composition]:
    return list(compositions(items, count, seed=seed, size=(240, 180)))


def test_a_seed_gives_the_same_pictures_twice_and_another_one_others(items: tuple[Item, ...]) -> None:
    for one, same in zip(made(items), made(items), strict=True):
        assert np.array_equal(np.asarray(one.image), np.asarray(same.image))
        assert np.array_equal(one.target, same.target)
        assert one.classes == same.classes
    assert any(one.classes != other.classes for one, other in zip(made(items), made(items, seed=1), strict=True))


def test_more_pictures_begin_with_the_same_ones(items: tuple[Item, ...]) -> None:
    few, many = made(items, 3), made(items, 6)
    assert all(
        np.array_equal(np.asarray(one.image), np.asarray(other.image)) for one, other in zip(few, many, strict=False)
    )


def test_the_truth_is_where_the_cut_outs_are_opaque(items: tuple[Item, ...]) -> None:
    """Each shape is of one colour: its inside is that colour wherever the truth says so, and no background is."""
    for one in made(items):
        pixels = np.asarray(one.image).astype(int)
        assert LEAST <= len(one.classes) - 1 <= MOST
        assert len(set(one.classes)) == len(one.classes)
        assert set(np.unique(one.target)) == set(range(len(one.classes)))
        for number, label in enumerate(one.classes[1:], 1):
            apart = np.abs(pixels - COLOURS[label]).max(axis=2)
            inside = one.target == number
            assert np.median(apart[inside]) == 0
            assert (apart[inside] <= 130).all()  # half of the edge's pixels may be the background's
            assert inside[apart == 0].mean() > 0.99


def test_every_other_background_is_plain_the_rest_textured(items: tuple[Item, ...]) -> None:
    found = made(items, 20)
    assert {one.background for one in found[::2]} == {"plain"}
    assert "plain" not in {one.background for one in found[1::2]}
    assert len({one.background for one in found[1::2]}) > 1
    for one in found[::2]:
        _, counts = np.unique(np.asarray(one.image)[one.target == 0], axis=0, return_counts=True)
        assert counts.max() > 0.9 * counts.sum()  # the rest are the edges of cut-outs


def test_too_few_labels_or_no_transparency_is_told(items: tuple[Item, ...]) -> None:
    opaque = tuple(item for item in items if item.label in ("opaque", "nothing"))
    for wrong in (items[:2], opaque, (*opaque, *items[:3]), ()):
        with pytest.raises(BadManifest, match="compositions need images of 4 labels with a transparent background"):
            made(wrong)


def test_a_cut_out_that_cannot_be_read_is_passed_over(items: tuple[Item, ...], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    broken = Item(tmp_path / "text.png", "text", "line 2")
    assert {label for one in made((broken, *items)) for label in one.classes} <= {"background", *COLOURS}


def test_written_compositions_come_back_in_one_numbering(items: tuple[Item, ...], tmp_path: Path) -> None:
    pictures = made(items)
    written = write(tmp_path, pictures)
    assert written == read(tmp_path, "plain")
    assert (written.classes[0], len(written.items)) == ("background", 12)
    for item, picture in zip(written.items, pictures, strict=True):
        assert np.array_equal(np.asarray(Image.open(item.image)), np.asarray(picture.image))
        names = np.array(written.classes)[item.target(len(written.classes))]
        assert (names == np.array(picture.classes)[picture.target]).all()


def test_more_classes_than_a_byte_holds_are_written_and_read(tmp_path: Path) -> None:
    image = Image.new("RGB", (3, 2))
    many = [
        Composition(image, np.array([[0, 1, 2]] * 2, np.uint8), ("background", f"a {at}", f"b {at}"), "plain")
        for at in range(150)
    ]
    written = write(tmp_path, many)
    assert len(written.classes) == 301
    assert written.items[-1].target(301).tolist() == [[0, 299, 300]] * 2
