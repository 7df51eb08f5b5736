"""The settings of segmentation: which objects are segmented, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

WAYS = ("dense", "regions", "prompted")  # to segment


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
    """What can be chosen of segmentation; a part of ``Settings``."""

    model_config = SettingsConfigDict(env_prefix="WILDTAG_", frozen=True, env_ignore_empty=True)

    segment_prefixes: Words = Field(
        (), description="objects that are segmented without being asked for: as photos/=dense,scans/=regions"
    )
    segmenting_max: PositiveInt = Field(4, description="objects that are segmented at once; the rest wait")
    segment_source: Literal["part", "image"] = Field(
        "part", description="the captions near to each part name the parts, or those near to the whole image"
    )
    segment_grids: Numbers = Field(
        (2, 4, 8), min_length=1, max_length=8, description="dense: cells a side of its grids"
    )
    segment_map: PositiveInt = Field(16, le=128, validate_default=True, description="dense: cells a side of its map")
    segment_refine: bool = Field(
        default=False, description="dense: its finest grid is looked at in full only where neighbours disagree"
    )
    proposals: str = Field(
        "superpixels", description="regions: superpixels, cells, or a Segment Anything model: hub name or folder"
    )
    regions_max: PositiveInt = Field(64, le=512, description="regions: of an image at the most")
    dimmed: float = Field(0.5, ge=0, le=1, description="regions: how much is taken from what is outside of one")
    drawer: str | None = Field(
        None, validate_default=True,
        description="prompted: a CLIPSeg model, hub name or folder; there is no prompted way without",
    )  # fmt: skip

    @field_validator("drawer")
    @classmethod
    def _all_known(cls, drawer: str | None, info: ValidationInfo) -> str | None:
        for rule in info.data.get("segment_prefixes", ()):
            way = rule.rpartition("=")[2]
            if way == "prompted" and drawer is None:
                raise ValueError(f"is needed for {rule} in WILDTAG_SEGMENT_PREFIXES: name a CLIPSeg model")
        return drawer

    @field_validator("segment_map")
    @classmethod
    def _covered(cls, cells: int, info: ValidationInfo) -> int:
        sizes = info.data.get("segment_grids", (1,))
        if not any(cells % size == 0 for size in sizes):
            raise ValueError("needs a grid that divides it: WILDTAG_SEGMENT_GRIDS is " + ",".join(map(str, sizes)))
        return cells

    @field_validator("segment_prefixes")
    @classmethod
    def _rules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        for rule in rules:
            _, equals, way = rule.rpartition("=")
            if not equals or way not in WAYS:
                raise ValueError(f"{rule} is not PREFIX=WAY with a way of {', '.join(WAYS)}")
        return rules

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways to segment that there are with these settings."""
        return tuple(way for way in WAYS if way != "prompted" or self.drawer is not None)

    def lacks(self, way: str) -> str | None:
        """Why there is no such way with these settings; ``None`` where there is."""
        if way in self.ways:
            return None
        more = "; it needs a CLIPSeg model: WILDTAG_DRAWER" if way == "prompted" else ""
        return f"there is no way {way!r} to segment; there are {', '.join(self.ways)}{more}"

    def segmented(self, key: str) -> str:
        """How objects of this key are segmented without being asked for; empty where they are not.

        The longest prefix decides.
        """
        rules = (rule.rpartition("=")[::2] for rule in self.segment_prefixes)
        return max(((prefix, way) for prefix, way in rules if key.startswith(prefix)),
                   key=lambda rule: len(rule[0]), default=("", ""))[1]  # fmt: skip
