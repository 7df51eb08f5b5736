"""Tries segmentation on something harmless. See ``workers.stages.self_test``."""

from __future__ import annotations

from collections.abc import Callable, Collection

from PIL import Image

from tasks.pipeline import Pipeline
from tasks.segmentation.run import SegmentationMethod, segment
from workers.segmentation.methods import MethodUnavailable, MethodUnknown
from workers.stages.self_test import SelfTest

LEFT, RIGHT, SIDE = (200, 90, 40), (40, 90, 200), 64


def of_segmentation(
    names: Collection[str], methods: Callable[[str], SegmentationMethod], pipeline: Callable[[], Pipeline]
) -> SelfTest:
    """Segments a small picture by the methods of these names. ``pipeline``: with harmless captions.

    A method that cannot be loaded fails the objects that ask for it, and no others.
    """

    def test() -> None:
        for name in sorted(names):
            try:
                method = methods(name)
            except (MethodUnavailable, MethodUnknown):
                continue
            segment(_picture(), method, pipeline())

    return test


def _picture() -> Image.Image:
    picture = Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB")  # a crop of one colour is not encoded
    picture.paste(LEFT, (0, 0, SIDE // 2, SIDE // 2))
    picture.paste(RIGHT, (SIDE // 2, 0, SIDE, SIDE // 2))
    return picture
