"""Tries segmentation on something harmless. See ``workers.stages.self_test``."""

from __future__ import annotations

from collections.abc import Callable, Collection

from PIL import Image

from tasks.encoders.protocols import ImageEncoder, TextEncoder
from tasks.extraction.stage import Extractor
from tasks.pipeline import Pipeline
from tasks.segmentation.run import SegmentationMethod, segment
from vectordb.captions import Caption
from vectordb.exact import ExactIndex
from workers.segmentation.methods import MethodUnavailable, MethodUnknown
from workers.stages.self_test import WORDS, SelfTest

LEFT, RIGHT, SIDE = (200, 90, 40), (40, 90, 200), 64
VERSION = "self-test"


def of_segmentation(
    names: Collection[str],
    methods: Callable[[str], SegmentationMethod],
    image_encoder: Callable[[], ImageEncoder],
    text_encoder: Callable[[], TextEncoder],
    extractor: Callable[[], Extractor],
) -> SelfTest:
    """Segments a small picture by the methods of these names, with one harmless caption.

    A method that cannot be loaded fails the objects that ask for it, and no others.
    """

    def test() -> None:
        pipeline: Pipeline | None = None
        for name in sorted(names):
            try:
                method = methods(name)
            except (MethodUnavailable, MethodUnknown):
                continue
            pipeline = pipeline or _pipeline(image_encoder(), text_encoder(), extractor())
            segment(_picture(), method, pipeline)

    return test


def _picture() -> Image.Image:
    picture = Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB")  # a crop of one colour is not encoded
    picture.paste(LEFT, (0, 0, SIDE // 2, SIDE // 2))
    picture.paste(RIGHT, (SIDE // 2, 0, SIDE, SIDE // 2))
    return picture


def _pipeline(image_encoder: ImageEncoder, text_encoder: TextEncoder, extractor: Extractor) -> Pipeline:
    """Names whatever it is shown after the caption."""
    index = ExactIndex(image_encoder.space.dimension)
    index.add([Caption.of(words) for words in WORDS], text_encoder.encode(WORDS))
    return Pipeline(image_encoder, text_encoder, index, VERSION, extractor=extractor)
