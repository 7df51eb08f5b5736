"""Segmentation: which objects are segmented, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from workers.settings.topic import Numbers, Topic, Words

METHODS = ("dense", "regions", "prompted")
"""The segmentation methods, by name."""


class SegmentSettings(Topic):
    """Segmentation methods and their parameters."""

    segment_prefixes: Words = Field(
        (),
        description="Key prefixes whose objects are segmented without a request, each with its method: for example"
        " photos/=dense,scans/=regions.",
    )
    segmenting_max: PositiveInt = Field(4, description="Objects segmented at the same time. The others wait.")
    segment_source: Literal["part", "image"] = Field(
        "part",
        description="Captions that name a segment. part: those nearest to the segment; image: those nearest to the"
        " whole image.",
    )
    segment_grids: Numbers = Field(
        (2, 4, 8), min_length=1, max_length=8,
        description="dense: cells on each side of its grids, separated by commas.",
    )  # fmt: skip
    segment_map: PositiveInt = Field(
        16, le=128, validate_default=True, description="dense: cells on each side of its score map."
    )
    segment_refine: bool = Field(
        default=False,
        description="dense: encode the cells of the finest grid only where neighbouring cells of the coarser grids"
        " disagree.",
    )
    proposals: str = Field(
        "superpixels",
        description="regions: source of the regions: superpixels, cells, or the hub name or the folder of a Segment"
        " Anything model.",
    )
    regions_max: PositiveInt = Field(64, le=512, description="regions: regions of an image at most.")
    background_dimming: float = Field(
        0.5, ge=0, le=1,
        description="regions: how far a region's background is blended to grey, from 0 (not at all) to 1 (fully).",
    )  # fmt: skip
    clipseg_model: str | None = Field(
        None, validate_default=True,
        description="prompted: hub name or folder of a CLIPSeg model. Default: none, and the method prompted is not"
        " available.",
    )  # fmt: skip

    @field_validator("clipseg_model")
    @classmethod
    def _all_known(cls, clipseg_model: str | None, info: ValidationInfo) -> str | None:
        for rule in info.data.get("segment_prefixes", ()):
            method = rule.rpartition("=")[2]
            if method == "prompted" and clipseg_model is None:
                raise ValueError(f"a CLIPSeg model is required for {rule} in WILDTAG_SEGMENT_PREFIXES")
        return clipseg_model

    @field_validator("segment_map")
    @classmethod
    def _covered(cls, cells: int, info: ValidationInfo) -> int:
        sizes = info.data.get("segment_grids", (1,))
        if not any(cells % size == 0 for size in sizes):
            raise ValueError("not a multiple of any grid in WILDTAG_SEGMENT_GRIDS=" + ",".join(map(str, sizes)))
        return cells

    @field_validator("segment_prefixes")
    @classmethod
    def _rules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        for rule in rules:
            _, equals, method = rule.rpartition("=")
            if not equals or method not in METHODS:
                raise ValueError(f"{rule} is not PREFIX=METHOD with a method of {', '.join(METHODS)}")
        return rules

    @property
    def segmentation_methods(self) -> tuple[str, ...]:
        """The segmentation methods that are available with these settings."""
        return tuple(method for method in METHODS if method != "prompted" or self.clipseg_model is not None)

    def lacks(self, method: str) -> str | None:
        """Why a method is not available with these settings; ``None`` if it is."""
        if method in self.segmentation_methods:
            return None
        more = "; it requires a CLIPSeg model in WILDTAG_CLIPSEG_MODEL" if method == "prompted" else ""
        known = ", ".join(self.segmentation_methods)
        return f"the segmentation method {method!r} is not available{more}; available methods: {known}"

    def segmented(self, key: str) -> str:
        """The method for objects of this key without a request; empty if they are not segmented.

        The longest matching prefix decides.
        """
        rules = (rule.rpartition("=")[::2] for rule in self.segment_prefixes)
        return max(((prefix, method) for prefix, method in rules if key.startswith(prefix)),
                   key=lambda rule: len(rule[0]), default=("", ""))[1]  # fmt: skip
