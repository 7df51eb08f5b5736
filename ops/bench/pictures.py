"""Images for the segmentation benchmark: photographs of scikit-image, and images of a manifest."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from importlib import resources

from PIL import Image

from tasks.encoders.requirements import need
from tasks.evaluation.compositions import compositions
from tasks.evaluation.manifest import Item
from tasks.images import decode

# the photographs that its package contains, in no order
PHOTOGRAPHS = (
    "chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg", "motorcycle_left.png", "coins.png", "retina.jpg",
    "hubble_deep_field.jpg", "ihc.png", "camera.png", "motorcycle_right.png", "moon.png",
)  # fmt: skip

Picture = tuple[str, Image.Image]


def photographs(count: int) -> Iterator[Picture]:
    """The first ``count`` photographs of scikit-image. Raises ``MissingPackage``."""
    need("skimage.data", "scikit-image")
    for name in PHOTOGRAPHS[:count]:
        yield name, decode(resources.files("skimage.data").joinpath(name).read_bytes())


def of_manifest(items: Sequence[Item], made: int, whole: int, seed: int) -> Iterator[Picture]:
    """``made`` compositions of the cut-outs among these images, and ``whole`` images unchanged, on white."""
    if made:
        for number, composition in enumerate(compositions(items, made, seed=seed)):
            yield f"made {number}", composition.image
    for item in random.Random(seed).sample(list(items), min(whole, len(items))):
        yield item.path.name, decode(item.path.read_bytes())
