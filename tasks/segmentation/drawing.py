"""Turns the score planes of a method into segments of the image.

A drawing has one plane of scores per label, on any raster. The planes are resized to the image; each pixel takes the
label with the highest score; small pieces take the label around them; connected pixels of one label are a segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage  # type: ignore[import-untyped]  # scipy has no stubs of its own

from tasks.message_parts import Floats, Hit
from tasks.segmentation.results import UNKNOWN, Evidence, Mask, RunLengths, Segment, Segmented

SIDE = 1024  # pixels of the longer side of the label map
SPECK = 0.004  # share of the image; smaller pieces are merged
SHOWN = 5  # captions per segment
_CORNERS = np.ones((3, 3), dtype=bool)  # 8-connectivity

Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Drawing:
    """The output of a method.

    ``labels``: without ``unknown``. ``planes``: (1 + labels, rows, columns), the first for ``unknown``. ``parts``:
    (n, rows, columns), the masks of the named parts. ``hits``: for each part the captions that contain a label, by
    label. ``encoded``, ``looked_up``: see ``Segmented``.
    """

    labels: tuple[str, ...]
    planes: Floats
    parts: Mask
    hits: Sequence[Mapping[str, Sequence[Hit]]]
    encoded: int
    looked_up: int


def segmented(drawing: Drawing, method: str, size: tuple[int, int], *, speck: float = SPECK) -> Segmented:
    """The segments of an image of ``size`` (width, height). Pieces below the share ``speck`` of it are merged.

    The label map's longer side is at most ``SIDE`` pixels.
    """
    winners, scores = stretched(drawing.planes, working(size))
    winners = without_specks(winners, speck)
    pieces, labels = pieces_of(winners)
    means = ndimage.mean(scores, pieces, np.arange(1, len(labels) + 1)) if labels else []
    pieces = np.asfortranarray(pieces)  # run lengths are column by column
    found = []
    for number, (label, mean, box) in enumerate(zip(labels, means, ndimage.find_objects(pieces), strict=True), 1):
        mask = pieces == number
        name = drawing.labels[label - 1]
        found.append(
            Segment(
                label=name,
                score=round(min(1.0, max(0.0, float(mean))), 6),
                box=_on_image(box, pieces.shape, size),
                area=round(float(np.count_nonzero(mask)) / mask.size, 6),
                mask=RunLengths.of(mask),
                evidence=_evidence(drawing, name, mask),
            )
        )
    return Segmented(
        method=method, width=size[0], height=size[1], shape=winners.shape, labels=(UNKNOWN, *drawing.labels),
        segments=tuple(sorted(found, key=lambda segment: -segment.area)),
        encoded=drawing.encoded, looked_up=drawing.looked_up,
    )  # fmt: skip


def working(size: tuple[int, int], side: int = SIDE) -> tuple[int, int]:
    """The size (width, height) scaled down so that the longer side is at most ``side``."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def stretched(planes: Floats, size: tuple[int, int]) -> tuple[Numbers, Floats]:
    """The index of the highest plane at each pixel of ``size``, and its score: (height, width) each.

    The first plane wins a tie. Planes are resized one by one to limit memory.
    """
    winners = np.zeros((size[1], size[0]), np.intp)
    best = np.full(winners.shape, -np.inf, np.float32)
    for number, plane in enumerate(planes):
        wide = np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR))
        higher = wide > best
        winners[higher] = number
        best[higher] = wide[higher]
    return winners, best


def without_specks(winners: Numbers, share: float) -> Numbers:
    """Give connected pieces below this share, including unknown ones, the label of the nearest other pixel.

    The largest piece always stays.
    """
    pieces, _ = pieces_of(winners + 1)
    sizes = np.bincount(pieces.ravel())[1:]
    small = sizes < share * winners.size
    small[sizes.argmax()] = False
    if not small.any():
        return winners
    specks = np.concatenate([[False], small])[pieces]
    rows, columns = ndimage.distance_transform_edt(specks, return_distances=False, return_indices=True)
    absorbed: Numbers = winners[rows, columns]
    return absorbed


def pieces_of(winners: Numbers) -> tuple[NDArray[np.int32], list[int]]:
    """The connected pieces of each label except 0, numbered from 1, and the label of each number."""
    pieces = np.zeros(winners.shape, np.int32)
    labels: list[int] = []
    for label in np.unique(winners):
        if label == 0:
            continue
        inside = winners == label
        numbered, count = ndimage.label(inside, structure=_CORNERS)
        pieces[inside] = numbered[inside] + len(labels)
        labels += [int(label)] * count
    return pieces, labels


def _on_image(box: tuple[slice, slice], shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box on a raster of ``shape`` as x, y, width, height on an image of ``size`` (width, height)."""
    spans = []
    for span, cells, pixels in zip(box[::-1], shape[::-1], size, strict=True):
        first, end = span.start * pixels // cells, -(-span.stop * pixels // cells)
        spans.append((first, end - first))
    (x, width), (y, height) = spans
    return x, y, width, height


def _evidence(drawing: Drawing, label: str, inside: NDArray[np.bool_]) -> tuple[Evidence, ...]:
    """The captions of the parts that overlap the segment, or of all parts if none of these has the label."""
    height, width = drawing.parts.shape[1:]
    rows = (2 * np.arange(height) + 1) * inside.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * inside.shape[1] // (2 * width)
    met = np.flatnonzero((drawing.parts & inside[np.ix_(rows, columns)]).any(axis=(1, 2)))
    here = [drawing.hits[part][label] for part in met.tolist() if label in drawing.hits[part]]
    anywhere = here or [hits[label] for hits in drawing.hits if label in hits]
    best: dict[int, Hit] = {}
    for hit in (hit for hits in anywhere for hit in hits):
        if hit.id not in best or best[hit.id].similarity < hit.similarity:
            best[hit.id] = hit
    ranked = sorted(best.values(), key=lambda hit: (-hit.similarity, hit.id))[:SHOWN]
    return tuple(Evidence(id=hit.id, caption=hit.caption, similarity=round(hit.similarity, 6)) for hit in ranked)
