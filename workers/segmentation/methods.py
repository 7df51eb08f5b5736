"""What a record says of a segmentation."""

from __future__ import annotations

from tasks.segmentation.rendering import colours
from tasks.segmentation.results import Segmented
from vectordb.errors import Permanent
from workers.lifecycle.record import Label, Pictured, Segmentation


class WayUnknown(Permanent):
    """There is no such way to segment with these settings."""

    code = "no-such-way"


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
