"""The names of the stages and of the queues of workers."""

from __future__ import annotations

STAGES = ("embedding", "retrieval", "extraction", "scoring")
SEGMENTATION = "segmentation"  # of objects that are to be segmented, after the stages that all go through
INGESTION = "ingestion"  # captions to be encoded for an import
QUEUES = (*STAGES, SEGMENTATION, INGESTION)
