"""Segmenting one image in one process."""

from __future__ import annotations

from typing import Protocol

from PIL import Image

from tasks.pipeline import Pipeline
from tasks.segmentation.drawing import SPECK, Drawing, segmented
from tasks.segmentation.results import Segmented


class SegmentationMethod(Protocol):
    """A way to segment: ``Dense``, ``Regions`` or ``Prompted``, with its choices."""

    @property
    def name(self) -> str: ...

    def draw(self, image: Image.Image, pipeline: Pipeline) -> Drawing:
        """What is where, as a plane of scores a label."""
        ...


def segment(image: Image.Image, way: SegmentationMethod, pipeline: Pipeline, *, speck: float = SPECK) -> Segmented:
    """What is where in an RGB image, in words that come from the pipeline's captions.

    The pipeline's adapters and choices name the parts; its cache keeps words and parsed captions from one image to
    the next. Connected pieces below the share ``speck`` of the image go to what is around them.
    """
    return segmented(way.draw(image, pipeline), way.name, image.size, speck=speck)
