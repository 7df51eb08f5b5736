"""Compares segmentations with label maps: runs every method on every image and measures it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from PIL import Image

from tasks.evaluation.labelmaps import LabelMaps, Mapped
from tasks.evaluation.locating import Method
from tasks.evaluation.manifest import BadManifest, Skipped
from tasks.evaluation.overlaps import Compared, Encode, Overlaps, overlaps
from tasks.images import decode_with_media
from tasks.images.decoder import Decoder
from tasks.segmentation.results import LabelMap
from vectordb.errors import Permanent


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a method on a set. ``labels``: number of different names. ``encoded``: crops per image."""

    method: str
    images: int
    overlaps: Overlaps
    labels: int
    encoded: float


@dataclass
class _Tally:
    method: Method
    compared: list[Compared] = field(default_factory=list)
    encoded: int = 0


def measure(
    maps: LabelMaps,
    methods: Sequence[Method],
    encode: Encode,
    *,
    read: Callable[[Path], bytes],
    max_pixels: int,
    decode: Decoder = decode_with_media,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Measured], tuple[Skipped, ...]]:
    """Run all methods on all images.

    ``encode``: see ``overlaps``. ``on_progress``: receives the numbers of finished and all images. Unknown pixels
    count as background. Images that cannot be read are skipped; raises ``BadManifest`` if none is left.
    """
    background, count = maps.classes[0], len(maps.classes)
    tallies = [_Tally(method) for method in methods]
    skipped = [Skipped(path.name, "it has no label map") for path in maps.missing]
    for number, item in enumerate(maps.items, 1):
        try:
            image = decode(read(item.image), max_pixels=max_pixels)[0][0]
            target = _target(item, image, count)
        except Permanent as exc:
            skipped.append(Skipped(item.image.name, str(exc)))
        else:
            for tally in tallies:
                found = tally.method.locate(image)
                names = (background, *found.names[1:])
                tally.compared.append(Compared.of(names, found.label_map, target, count))
                tally.encoded += found.encoded
        if on_progress:
            on_progress(number, len(maps.items))
    if len(skipped) == len(maps.missing) + len(maps.items):
        raise BadManifest(f"none of {len(maps.items)} images can be used: {'; '.join(map(str, skipped[:5]))}")
    return [_measured(tally, maps.classes, encode) for tally in tallies], tuple(skipped)


def _target(item: Mapped, image: Image.Image, classes: int) -> LabelMap:
    target = item.target(classes)
    if target.shape != (image.height, image.width):
        raise BadManifest(
            f"its label map has {target.shape[1]} × {target.shape[0]} pixels, but the image has"
            f" {image.width} × {image.height}"
        )
    return target


def _measured(tally: _Tally, classes: Sequence[str], encode: Encode) -> Measured:
    count = len(tally.compared)
    return Measured(
        method=tally.method.name,
        images=count,
        overlaps=overlaps(tally.compared, classes, encode),
        labels=len({name for one in tally.compared for name in _shown(one)}),
        encoded=round(tally.encoded / count, 2),
    )


def _shown(compared: Compared) -> list[str]:
    """The names in an image, except the background's."""
    return [name for name, row in zip(compared.names[1:], compared.pixels[1:], strict=True) if row.any()]
