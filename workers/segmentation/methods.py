"""The segmentation part of a record."""

from __future__ import annotations

from tasks.segmentation.rendering import colours
from tasks.segmentation.results import Segmented
from vectordb.errors import Permanent
from workers.lifecycle.record import ArtifactKeys, Label, Segmentation


class MethodUnknown(Permanent):
    """The segmentation method is not available with these settings."""

    code = "no-such-method"


class MethodUnavailable(Permanent):
    """The model of a segmentation method cannot be loaded. Other methods, and all other work, do without it."""


def recorded(segmented: Segmented, artifacts: ArtifactKeys | None) -> Segmentation:
    """The segmentation as it is stored in a record."""
    palette = colours(len(segmented.labels)).tolist()
    return Segmentation(
        method=segmented.method, width=segmented.width, height=segmented.height,
        labels=tuple(
            Label(label, f"#{r:02x}{g:02x}{b:02x}")
            for label, (r, g, b) in zip(segmented.labels, palette, strict=True)
        ),
        segments=segmented.segments, artifacts=artifacts,
    )  # fmt: skip
