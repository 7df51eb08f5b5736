"""Vocabulary-free semantic segmentation (arXiv 2404.10864): what is where, in words that nobody had to choose.

Three ways, as in the paper. ``Dense`` names the cells of a map that crops of several grids are accumulated into;
``Regions`` names class-agnostic proposals; ``Prompted`` names the whole image and lets an open-vocabulary segmenter
draw those names. Each part goes through the same stages as an image. ``segment`` runs a way; what proposes and draws
is in ``tasks.segmenters``.
"""

from __future__ import annotations

from tasks.segmentation.dense import Dense
from tasks.segmentation.naming import Naming
from tasks.segmentation.prompted import Drawer, Prompted
from tasks.segmentation.regions import Proposer, Regions
from tasks.segmentation.results import UNKNOWN, Evidence, RunLengths, Segment, Segmented
from tasks.segmentation.run import Way, segment

__all__ = [
    "UNKNOWN", "Dense", "Drawer", "Evidence", "Naming", "Prompted", "Proposer", "Regions", "RunLengths", "Segment",
    "Segmented", "Way", "segment",
]  # fmt: skip
