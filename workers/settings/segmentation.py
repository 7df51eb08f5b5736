"""The settings of segmentation."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from workers.settings.renamed import refuse_renamed

METHODS = ("dense", "regions", "prompted")


def _words(value: object) -> object:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def _ports(value: object) -> object:
    return (value,) if isinstance(value, int) else _words(value)


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
"""Words separated by commas."""
Numbers = Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], NoDecode, BeforeValidator(_words)]
"""Numbers separated by commas."""
Ports = Annotated[tuple[Annotated[int, Field(ge=0, le=65535)], ...], NoDecode, BeforeValidator(_ports)]
"""Ports separated by commas."""


class SegmentSettings(BaseSettings):
    """The settings of segmentation, a part of ``Settings``. Raises ``SettingRenamed`` for a variable's old name."""

    model_config = SettingsConfigDict(env_prefix="WILDTAG_", frozen=True, env_ignore_empty=True)

    segment_prefixes: Words = Field(
        (), description="objects that are segmented without a request, by prefix, as photos/=dense,scans/=regions"
    )
    segmenting_max: PositiveInt = Field(
        4, description="maximum number of objects in segmentation at once; the others wait"
    )
    segment_source: Literal["part", "image"] = Field(
        "part", description="name the parts of an image by the captions nearest to each part, or to the whole image"
    )
    segment_grids: Numbers = Field(
        (2, 4, 8), min_length=1, max_length=8, description="dense: cells per side of each grid"
    )
    segment_map: PositiveInt = Field(
        16, le=128, validate_default=True, description="dense: cells per side of the map"
    )
    segment_refine: bool = Field(
        default=False, description="dense: encode all crops of the finest grid only where neighbouring cells disagree"
    )
    proposals: str = Field(
        "superpixels", description="regions: superpixels, cells, or a Segment Anything model (hub name or folder)"
    )
    regions_max: PositiveInt = Field(64, le=512, description="regions: maximum number of regions per image")
    background_dimming: float = Field(
        0.5, ge=0, le=1, description="regions: how far the background of a region is blended to grey"
    )
    clipseg_model: str | None = Field(
        None, validate_default=True,
        description="prompted: a CLIPSeg model (hub name or folder); without it the method is not available",
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _current_names(cls, data: Any) -> Any:
        refuse_renamed(os.environ)
        return data

    @field_validator("clipseg_model")
    @classmethod
    def _all_known(cls, clipseg_model: str | None, info: ValidationInfo) -> str | None:
        for rule in info.data.get("segment_prefixes", ()):
            method = rule.rpartition("=")[2]
            if method == "prompted" and clipseg_model is None:
                raise ValueError(f"{rule} in WILDTAG_SEGMENT_PREFIXES requires a CLIPSeg model")
        return clipseg_model

    @field_validator("segment_map")
    @classmethod
    def _covered(cls, cells: int, info: ValidationInfo) -> int:
        sizes = info.data.get("segment_grids", (1,))
        if not any(cells % size == 0 for size in sizes):
            raise ValueError(
                "must be divisible by a number in WILDTAG_SEGMENT_GRIDS, which is " + ",".join(map(str, sizes))
            )
        return cells

    @field_validator("segment_prefixes")
    @classmethod
    def _rules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        for rule in rules:
            _, equals, method = rule.rpartition("=")
            if not equals or method not in METHODS:
                raise ValueError(f"{rule} is not PREFIX=METHOD; the methods are {', '.join(METHODS)}")
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
