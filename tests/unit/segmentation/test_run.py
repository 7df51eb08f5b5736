"""Shows that segments are named without confidences, which are fitted on whole images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tasks.confidence import Numbers
from tasks.pipeline import Pipeline
from tasks.segmentation.drawing import Drawing
from tasks.segmentation.run import segment
from tests.unit.segmentation.world import pipeline


class Seen(Exception):
    """Ends the method when it has seen its pipeline."""


class Method:
    name = "made up"

    def draw(self, image: Image.Image, pipeline: Pipeline) -> Drawing:  # noqa: ARG002 -- nothing is drawn
        assert pipeline.judge is None
        assert pipeline.background_vectors is None
        raise Seen


class Always:
    def confidences(self, features: Numbers) -> Numbers:
        return np.ones(len(features))


def test_segments_are_named_without_confidences() -> None:
    judged = replace(pipeline(), judge=Always(), background_vectors=np.ones((1, 1), np.float32))
    with pytest.raises(Seen):
        segment(Image.new("RGB", (2, 2)), Method(), judged)
