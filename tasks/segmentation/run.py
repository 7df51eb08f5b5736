"""Segments one image in this process."""

from __future__ import annotations

from typing import Protocol

from PIL import Image

from tasks.pipeline import Pipeline
from tasks.segmentation.drawing import SPECK, Drawing, segmented
from tasks.segmentation.results import Segmented


class SegmentationMethod(Protocol):
    """A segmentation method with its options: ``Dense``, ``Regions`` or ``Prompted``."""

    @property
    def name(self) -> str: ...

    def draw(self, image: Image.Image, pipeline: Pipeline) -> Drawing:
        """Score planes, one per label."""
        ...


def segment(image: Image.Image, method: SegmentationMethod, pipeline: Pipeline, *, speck: float = SPECK) -> Segmented:
    """Segment an RGB image, with labels from the pipeline's captions.

    The pipeline's adapters and options name the parts; its cache keeps words and parsed captions between images.
    Connected pieces below the share ``speck`` of the image are merged into their surroundings.
    """
    return segmented(method.draw(image, pipeline), method.name, image.size, speck=speck)
