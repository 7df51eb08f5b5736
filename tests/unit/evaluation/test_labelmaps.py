"""Shows that label maps are read as VOC, Context and ADE20K come, and that errors are reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.evaluation.labelmaps import CONTEXT, VOC, Layout, layout_of, read
from tasks.evaluation.manifest import BadManifest

VALUES = np.array([[0, 1, 20], [255, 2, 1]], np.uint8)


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 2), "red").save(path)


def label_map(path: Path, mode: str = "P") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.fromarray(VALUES)
    if mode == "P":
        made.putpalette([at % 256 for at in range(768)])
    made.save(path)


def lines(path: Path, *texts: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def voc(folder: Path) -> None:
    lines(folder / "ImageSets/Segmentation/val.txt", "b", "a", "gone")
    lines(folder / "ImageSets/Segmentation/train.txt", "c")
    for stem in "abc":
        image(folder / f"JPEGImages/{stem}.jpg")
        label_map(folder / f"SegmentationClass/{stem}.png")


def context(folder: Path) -> None:
    voc(folder)  # Context's label maps are added to VOC's
    lines(folder / "ImageSets/SegmentationContext/val.txt", "a")
    label_map(folder / "SegmentationClassContext/a.png", mode="L")


def ade20k(folder: Path) -> None:
    lines(
        folder / "objectInfo150.txt", "Idx\tRatio\tTrain\tVal\tStuff\tName", "1\t0.1\t2\t3\t1\twall",
        "2\t0.1\t2\t3\t1\tbuilding, edifice",
    )  # fmt: skip
    for split in ("training", "validation"):
        image(folder / f"images/{split}/ADE_{split}_1.jpg")
        label_map(folder / f"annotations/{split}/ADE_{split}_1.png", mode="L")


def plain(folder: Path) -> None:
    lines(folder / "classes.txt", "background", "cat", "", "moka pot")
    image(folder / "images/1.png")
    image(folder / "images/2.png")
    label_map(folder / "annotations/1.png", mode="L")


LAYOUTS: dict[Layout, Callable[[Path], None]] = {"voc": voc, "context": context, "ade20k": ade20k, "plain": plain}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_shows_its_layout(layout: Layout, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    assert layout_of(tmp_path) == layout


def test_voc_lists_its_pictures(tmp_path: Path) -> None:
    voc(tmp_path)
    found = read(tmp_path, "voc")
    assert [item.image.name for item in found.items] == ["b.jpg", "a.jpg"]
    assert [path.name for path in found.missing] == ["gone.jpg"]
    assert (found.classes, len(found.classes)) == (VOC, 21)
    assert found.items[0].target(21).tolist() == [[0, 1, 20], [0, 2, 1]]  # 255 is what nobody labelled
    assert [item.image.name for item in read(tmp_path, "voc", "train").items] == ["c.jpg"]


def test_context_is_read_from_vocs_folder_and_from_one_of_its_own(tmp_path: Path) -> None:
    context(tmp_path / "voc")
    image(tmp_path / "own/images/val/a.jpg")
    label_map(tmp_path / "own/annotations/val/a.png", mode="L")
    for folder in ("voc", "own"):
        found = read(tmp_path / folder, "context")
        assert [item.image.name for item in found.items] == ["a.jpg"]
        assert (found.classes, len(found.classes)) == (CONTEXT, 60)


def test_ade20k_names_its_classes_and_its_splits_in_its_own_way(tmp_path: Path) -> None:
    ade20k(tmp_path)
    for given, named in {None: "validation", "val": "validation", "train": "training"}.items():
        found = read(tmp_path, "ade20k", given)
        assert [item.image.name for item in found.items] == [f"ADE_{named}_1.jpg"]
    assert found.classes == ("background", "wall", "building")
    assert found.items[0].target(3).tolist() == [[0, 1, 0], [0, 2, 1]]


def test_plain_has_its_classes_in_a_file_and_may_have_splits(tmp_path: Path) -> None:
    plain(tmp_path)
    found = read(tmp_path, "plain")
    assert found.classes == ("background", "cat", "moka pot")
    assert [item.image.name for item in found.items] == ["1.png"]
    assert [path.name for path in found.missing] == ["2.png"]
    image(tmp_path / "images/test/3.jpg")
    label_map(tmp_path / "annotations/test/3.png")
    assert [item.image.name for item in read(tmp_path, "plain", "test").items] == ["3.jpg"]


def test_a_set_is_thinned_evenly(tmp_path: Path) -> None:
    voc(tmp_path)
    found = read(tmp_path, "voc")
    assert [item.image.name for item in found.spread(1).items] == ["b.jpg"]
    assert found.spread(None) == found.spread(9) == found


def test_what_is_no_label_map_is_told(tmp_path: Path) -> None:
    plain(tmp_path)
    (item,) = read(tmp_path, "plain").items
    whole = item.label_map.read_bytes()
    image(item.label_map)
    with pytest.raises(BadManifest, match="3 channels instead of one"):
        item.target(3)
    for bad in (b"", b"text", whole[:40]):
        item.label_map.write_bytes(bad)
        with pytest.raises(BadManifest, match=r"1\.png cannot be read"):
            item.target(3)


@pytest.mark.parametrize(
    ("layout", "gone", "message"),
    [
        ("voc", "ImageSets/Segmentation/val.txt", "val.txt cannot be read"),
        ("ade20k", "objectInfo150.txt", "objectInfo150.txt cannot be read"),
        ("plain", "classes.txt", "classes.txt cannot be read"),
        ("plain", "annotations/1.png", "contains no image with a label map; 2 have none"),
    ],
)
def test_what_a_layout_lacks_is_named(layout: Layout, gone: str, message: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(BadManifest, match=message):
        read(tmp_path, layout)


def test_a_folder_of_no_layout_or_split_and_empty_classes_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"contains none of classes.txt \(plain\), .*with --layout"):
        layout_of(tmp_path)
    with pytest.raises(BadManifest, match="there is no folder"):
        layout_of(tmp_path / "nowhere")
    plain(tmp_path)
    with pytest.raises(BadManifest, match=r"there is no folder .*images/dev"):
        read(tmp_path, "plain", "dev")
    lines(tmp_path / "classes.txt", "", " ")
    with pytest.raises(BadManifest, match="is empty"):
        read(tmp_path, "plain")
