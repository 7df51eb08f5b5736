"""Shows that segments are named by the rules of tags: what is not sure enough stays unknown."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tasks.confidence import Numbers
from tasks.segmentation.naming import Naming, Source
from tasks.segmentation.prompted import Prompted
from tasks.segmentation.regions import Regions
from tasks.segmentation.run import segment
from tests.unit.segmentation.world import AXES, CHOICES, Drawn, Proposed, halves, pipeline, vector_of

LEFT = np.zeros((128, 128), bool)
LEFT[:, :64] = True
BEHIND = np.stack([vector_of(word) for word in AXES])


@dataclass
class NearOnly:
    """A judge that is sure of tags whose similarity to the picture, the first feature, is at least ``least``."""

    least: float
    asked: int = 0

    def confidences(self, features: Numbers) -> Numbers:
        self.asked += len(features)
        return np.where(features[:, 0] >= self.least, 0.9, 0.1)


@pytest.mark.parametrize("source", ["part", "image"])
def test_a_segment_that_is_not_sure_is_unknown(source: Source) -> None:
    method = Regions(Proposed([LEFT, ~LEFT]), naming=Naming(source=source))
    plain = segment(halves(), method, pipeline())
    assert plain.segments
    judge = NearOnly(0.0)
    judged = replace(
        pipeline(pipeline_options=replace(CHOICES, min_confidence=0.5)), judge=judge, background_vectors=BEHIND
    )
    assert segment(halves(), method, judged).labels == plain.labels
    assert judge.asked
    unsure = segment(halves(), method, replace(judged, judge=NearOnly(2.0)))
    assert (unsure.segments, unsure.labels) == ((), ("unknown",))
    assert not unsure.label_map().any()


def test_prompts_are_the_tags_that_the_image_shows() -> None:
    planes = {"cat": [[1.0, 0.0]], "bridge": [[0.0, 1.0]]}
    judged = replace(
        pipeline(pipeline_options=replace(CHOICES, min_confidence=0.5)),
        judge=NearOnly(2.0), background_vectors=BEHIND,
    )  # fmt: skip
    assert segment(halves(), Prompted(Drawn(planes)), judged).segments == ()
    assert segment(halves(), Prompted(Drawn(planes)), replace(judged, judge=NearOnly(0.0))).segments
