"""Creates the segmentation methods that the settings configure, and the segmenter of a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from tasks.encoders.requirements import MissingPackage, ModelNotLoaded
from tasks.pipeline import Pipeline
from tasks.segmentation.dense import Dense
from tasks.segmentation.naming import Naming
from tasks.segmentation.prompted import Prompted
from tasks.segmentation.regions import Proposer, Regions
from tasks.segmentation.run import SegmentationMethod
from vectordb.index import CaptionIndex
from workers.captions.versions import OPEN_MAX
from workers.segmentation.methods import MethodUnavailable, MethodUnknown
from workers.settings.settings import Settings
from workers.stages.caption_trials import CaptionTrials
from workers.stages.fetching import Fetcher
from workers.stages.handover import Handover
from workers.stages.segmenter import Segmenter, Segmenting
from workers.wiring.pipeline import pipeline as pipeline_of
from workers.wiring.wiring import Wiring


class SegmentationMethods:
    """The segmentation methods. Each is created, and its model loaded, at its first use."""

    def __init__(self, settings: Settings, used: Callable[[str], object] = lambda _: None) -> None:
        """``used``: called with the name of a method before it is created."""
        self._settings = settings
        self._used = used
        self._made: dict[str, SegmentationMethod] = {}
        self.models: dict[str, object] = {}
        """The models that are loaded, by their role."""

    def __call__(self, name: str) -> SegmentationMethod:
        """The method of this name.

        Raises ``MethodUnknown``, ``MethodUnavailable``, ``HubUnreachable`` and ``DeviceUnavailable``.
        """
        if (reason := self._settings.lacks(name)) is not None:
            raise MethodUnknown(reason)
        if name not in self._made:
            self._used(name)
            try:
                self._made[name] = self._make(name)
            except (MissingPackage, ModelNotLoaded) as exc:
                raise MethodUnavailable(str(exc)) from exc
        return self._made[name]

    def _make(self, name: str) -> SegmentationMethod:
        s = self._settings
        naming = Naming(source=s.segment_source)
        if name == "dense":
            return Dense(sizes=s.segment_grids, cells=s.segment_map, refine=s.segment_refine, naming=naming)
        if name == "regions":
            return Regions(self._proposer(), most=s.regions_max, dimming=s.background_dimming, naming=naming)
        from tasks.encoders.devices import choose  # noqa: PLC0415 -- only models need it
        from tasks.segmenters.clipseg import CLIPSeg  # noqa: PLC0415 -- loads torch

        segmenter = CLIPSeg(s.clipseg_model or "", threads=s.threads, device=choose(s.device))
        self.models["CLIPSeg"] = segmenter
        return Prompted(segmenter)

    def _proposer(self) -> Proposer:
        s = self._settings
        if s.proposals == "cells":
            from tasks.segmenters.cells import Cells  # noqa: PLC0415 -- only one of three is needed

            return Cells()
        if s.proposals == "superpixels":
            from tasks.segmenters.superpixels import Superpixels  # noqa: PLC0415 -- as above

            return Superpixels()
        from tasks.encoders.devices import choose  # noqa: PLC0415 -- as above
        from tasks.segmenters.segment_anything import SegmentAnything  # noqa: PLC0415 -- loads torch

        proposer = SegmentAnything(s.proposals, threads=s.threads, device=choose(s.device))
        self.models["Segment Anything"] = proposer
        return proposer


def segmenter(wiring: Wiring, methods: SegmentationMethods, captions: CaptionTrials) -> Segmenter:
    """A segmenter that searches through the retrieval worker or a Qdrant server. Loads models for the first image.

    ``captions``: finds those that are skipped.
    """

    remote = lru_cache(maxsize=OPEN_MAX)(wiring.remote_index)

    @lru_cache(maxsize=OPEN_MAX)  # making one reads a sample of the captions and their thresholds
    def made(version: str, index: CaptionIndex) -> Pipeline:
        found = pipeline_of(wiring, index, version)
        return replace(found, extractor=captions.extractor(found.extractor, found.revision))

    def pipeline(version: str) -> Pipeline:
        index = remote(version) if wiring.owned else wiring.indexes.open(version)
        return made(version, index)  # type: ignore[arg-type]  # the type of every index has the hash of objects

    s = wiring.settings
    return Segmenter(
        wiring.decoders, methods, pipeline, lambda: wiring.chosen(), wiring.artifacts, wiring.records,  # noqa: PLW0108 -- opens the captions
        wiring.segmentation_requests, wiring.inbox, s.max_pixels, video=s.video,
    )  # fmt: skip


def segmenting(wiring: Wiring, segmenter: Segmenter, fetcher: Fetcher, handover: Handover) -> Segmenting:
    """The work of the segmentation stage."""
    return Segmenting(fetcher, segmenter, wiring.health, handover, wiring.settings.deadline_s / 4)
