"""The thresholds in force, as ``captions stats`` and ``doctor`` show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Origin = Literal["setting", "encoder", "captions", "confidence model", "off"]
NOT_DERIVED = "not derived for these captions; run wildtag captions thresholds"


@dataclass(frozen=True)
class ThresholdInForce:
    """A threshold as tagging uses it. ``name``: of the setting. ``value``: ``None`` if it is off; ``detail``: why.

    ``numbers``: what it was derived from.
    """

    name: str
    value: float | None
    origin: Origin
    detail: str
    numbers: Mapping[str, float] = field(default_factory=dict)
