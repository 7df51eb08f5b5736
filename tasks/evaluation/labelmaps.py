"""Reads images with label maps, in the layouts of common data sets.

``voc``: JPEGImages, SegmentationClass and ImageSets/Segmentation (Everingham et al., IJCV 2010). ``context``: the 59
classes of PASCAL Context (Mottaghi et al., CVPR 2014), in VOC's layout with SegmentationClassContext and
ImageSets/SegmentationContext, or as images/SPLIT and annotations/SPLIT. ``ade20k``: images/SPLIT, annotations/SPLIT
and objectInfo150.txt (Zhou et al., CVPR 2017). ``plain``: images, annotations and classes.txt, one class per line
with the background first; ``write`` creates it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.evaluation.compositions import BACKGROUND, Composition
from tasks.evaluation.manifest import BadManifest, spread

Layout = Literal["voc", "context", "ade20k", "plain"]
# files that identify a layout; the first match counts, because Context is stored in VOC's folder
MARKS: dict[Layout, str] = {
    "plain": "classes.txt", "ade20k": "objectInfo150.txt", "context": "SegmentationClassContext",
    "voc": "SegmentationClass",
}  # fmt: skip

VOC = (
    BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table",
    "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv monitor",
)  # fmt: skip
CONTEXT = (
    BACKGROUND, "aeroplane", "bag", "bed", "bedclothes", "bench", "bicycle", "bird", "boat", "book", "bottle",
    "building", "bus", "cabinet", "car", "cat", "ceiling", "chair", "cloth", "computer", "cow", "cup", "curtain",
    "dog", "door", "fence", "floor", "flower", "food", "grass", "ground", "horse", "keyboard", "light", "motorbike",
    "mountain", "mouse", "person", "plate", "platform", "potted plant", "road", "rock", "sheep", "shelves",
    "sidewalk", "sign", "sky", "snow", "sofa", "table", "track", "train", "tree", "truck", "tv monitor", "wall",
    "water", "window", "wood",
)  # fmt: skip
_IMAGES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Mapped:
    """An image and its label map, both as files."""

    image: Path
    label_map: Path

    def target(self, classes: int) -> NDArray[np.uint16]:
        """The label map (h, w). Values that are no class, such as 255 for "not labelled", become background.

        Raises ``BadManifest``.
        """
        try:
            with Image.open(self.label_map) as image:
                values = np.asarray(image)
        # Pillow's errors for damaged files
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
            raise BadManifest(f"the label map {self.label_map} cannot be read: {exc}") from exc
        if values.ndim != 2:
            raise BadManifest(
                f"{self.label_map} is not a label map: it has {values.shape[-1]} channels instead of one"
            )
        return np.where(values < classes, values, 0).astype(np.uint16)


@dataclass(frozen=True)
class LabelMaps:
    """Images with label maps. ``classes[0]`` is the background. ``missing``: images without a map."""

    classes: tuple[str, ...]
    items: tuple[Mapped, ...]
    missing: tuple[Path, ...] = ()

    def spread(self, limit: int | None) -> LabelMaps:
        """The same set with at most ``limit`` images, evenly spaced."""
        return replace(self, items=spread(self.items, limit))


def layout_of(folder: Path) -> Layout:
    """The layout of a folder. Raises ``BadManifest`` if it is not a known one."""
    for layout, mark in MARKS.items():
        if (folder / mark).exists():
            return layout
    if not folder.is_dir():
        raise BadManifest(f"there is no folder {folder}")
    marks = ", ".join(f"{mark} ({layout})" for layout, mark in MARKS.items())
    raise BadManifest(
        f"{folder} contains none of {marks}; choose a layout with --layout {'|'.join(get_args(Layout))}"
    )


def read(folder: Path, layout: Layout, split: str | None = None) -> LabelMaps:
    """The images of a split and their label maps. By default ``val``; for ``plain`` the images in no split's folder.

    Raises ``BadManifest`` if nothing of the layout is found.
    """
    if layout == "plain":
        names = tuple(line.strip() for line in _lines(folder / "classes.txt") if line.strip())
        if not names:
            raise BadManifest(
                f"{folder / 'classes.txt'} is empty; it must have one class per line, the background first"
            )
        return _paired(folder, names, split or "")
    split = split or "val"
    if layout == "voc":
        return _listed(folder, VOC, "SegmentationClass", "Segmentation", split)
    if layout == "context":
        if (folder / "SegmentationClassContext").is_dir():
            return _listed(folder, CONTEXT, "SegmentationClassContext", "SegmentationContext", split)
        return _paired(folder, CONTEXT, split)
    whole = {"val": "validation", "train": "training"}.get(split, split)
    return _paired(folder, (BACKGROUND, *_object_names(folder / "objectInfo150.txt")), whole)


def write(folder: Path, pictures: Iterable[Composition]) -> LabelMaps:
    """Store images in the ``plain`` layout, in their own folder."""
    for part in ("images", "annotations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    classes = [BACKGROUND]
    for number, picture in enumerate(pictures):
        classes += [name for name in picture.classes if name not in classes]
        places = [classes.index(name) for name in picture.classes]
        lookup = np.array(places, np.uint8 if max(places) < 256 else np.uint16)
        picture.image.save(folder / "images" / f"{number:04}.png")
        Image.fromarray(lookup[picture.target]).save(folder / "annotations" / f"{number:04}.png")
    # a name must not contain line breaks or tabs
    (folder / "classes.txt").write_text("".join(f"{' '.join(name.split())}\n" for name in classes), encoding="utf-8")
    return read(folder, "plain")


def _listed(folder: Path, classes: Sequence[str], maps: str, sets: str, split: str) -> LabelMaps:
    """VOC: the images in the split's list."""
    stems = [line.split()[0] for line in _lines(folder / "ImageSets" / sets / f"{split}.txt") if line.strip()]
    pairs = [Mapped(folder / "JPEGImages" / f"{stem}.jpg", folder / maps / f"{stem}.png") for stem in stems]
    return _found(pairs, classes, folder)


def _paired(folder: Path, classes: Sequence[str], split: str) -> LabelMaps:
    """Two folders, with an image and its map of the same name."""
    images = folder / "images" / split
    if not images.is_dir():
        raise BadManifest(f"there is no folder {images}")
    files = sorted(path for path in images.iterdir() if path.suffix.lower() in _IMAGES)
    pairs = [Mapped(path, folder / "annotations" / split / f"{path.stem}.png") for path in files]
    return _found(pairs, classes, folder)


def _found(pairs: Sequence[Mapped], classes: Sequence[str], folder: Path) -> LabelMaps:
    there = tuple(pair for pair in pairs if pair.image.is_file() and pair.label_map.is_file())
    if not there:
        raise BadManifest(f"{folder} contains no image with a label map; {len(pairs)} have none")
    missing = tuple(pair.image for pair in pairs if not (pair.image.is_file() and pair.label_map.is_file()))
    return LabelMaps(tuple(classes), there, missing)


def _object_names(path: Path) -> list[str]:
    """The last column of ADE20K's table; of several names of one class the first."""
    return [line.split("\t")[-1].split(",")[0].strip() for line in _lines(path)[1:] if line.strip()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadManifest(f"{path} cannot be read: {exc}") from exc
