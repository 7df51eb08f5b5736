"""The ways to segment that the settings choose, and what a record says of a segmentation."""

from __future__ import annotations

from tasks.segmentation.dense import Dense
from tasks.segmentation.naming import Naming
from tasks.segmentation.prompted import Prompted
from tasks.segmentation.regions import Proposer, Regions
from tasks.segmentation.rendering import colours
from tasks.segmentation.results import Segmented
from tasks.segmentation.run import SegmentationMethod
from vectordb.errors import Permanent
from workers.lifecycle.record import Label, Pictured, Segmentation
from workers.settings.settings import Settings


class WayUnknown(Permanent):
    """There is no such way to segment with these settings."""

    code = "no-such-way"


class SegmentationMethods:
    """The ways to segment that the settings choose. Models are loaded when they are first asked for, and once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, SegmentationMethod] = {}

    def __call__(self, name: str) -> SegmentationMethod:
        """The way of this name. Raises ``WayUnknown``, ``ModelNotLoaded``, ``MissingPackage``."""
        if (reason := self._settings.lacks(name)) is not None:
            raise WayUnknown(reason)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> SegmentationMethod:
        s = self._settings
        naming = Naming(source=s.segment_source)
        if name == "dense":
            return Dense(sizes=s.segment_grids, cells=s.segment_map, refine=s.segment_refine, naming=naming)
        if name == "regions":
            return Regions(self._proposer(), most=s.regions_max, dimmed=s.dimmed, naming=naming)
        from tasks.segmenters.clipseg import CLIPSeg  # noqa: PLC0415 -- loads torch

        return Prompted(CLIPSeg(s.drawer or "", threads=s.threads))

    def _proposer(self) -> Proposer:
        s = self._settings
        if s.proposals == "cells":
            from tasks.segmenters.cells import Cells  # noqa: PLC0415 -- of three, one is needed

            return Cells()
        if s.proposals == "superpixels":
            from tasks.segmenters.superpixels import Superpixels  # noqa: PLC0415 -- as above

            return Superpixels()
        from tasks.segmenters.segment_anything import SegmentAnything  # noqa: PLC0415 -- loads torch

        return SegmentAnything(s.proposals, threads=s.threads)


def recorded(segmented: Segmented, pictures: Pictured | None) -> Segmentation:
    """What a record says of a segmentation."""
    palette = colours(len(segmented.labels)).tolist()
    return Segmentation(
        way=segmented.way, width=segmented.width, height=segmented.height,
        labels=tuple(
            Label(label, f"#{r:02x}{g:02x}{b:02x}")
            for label, (r, g, b) in zip(segmented.labels, palette, strict=True)
        ),
        segments=segmented.segments, pictures=pictures,
    )  # fmt: skip
