"""The composition root of the segmentation worker."""

from __future__ import annotations

from tasks.pipeline import Pipeline
from workers.captions.remote_index import RemoteIndex
from workers.segmentation.methods import SegmentationMethods
from workers.stages.segmenter import Segmenter
from workers.wiring.wiring import Wiring


def segmenter(wiring: Wiring) -> Segmenter:
    """A segmenter that searches through the retrieval worker or a Qdrant server. Loads models for the first image."""

    def pipeline(version: str) -> Pipeline:
        if wiring.owned:
            return wiring.pipeline(RemoteIndex(wiring.rpc, version, wiring.space.dimension), version)
        return wiring.pipeline(wiring.indexes.open(version), version)

    s = wiring.settings
    return Segmenter(
        SegmentationMethods(s), pipeline, wiring.chosen, wiring.pictures, wiring.records,
        wiring.segmentation_requests, wiring.inbox, s.max_pixels,
    )  # fmt: skip
