"""Renders a segmentation: the label map with a palette, and an overlay of the image with a legend."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tasks.segmentation.results import LabelMap, Segmented

STRENGTH = 0.5  # opacity of the overlay's colours
EDGE = 2  # width in pixels of the opaque edge between segments
_TURN = 0.618033988749895  # step on the circle of hues per label (golden ratio), to keep hues apart
_PALETTE = 256  # maximum number of colours of a PNG with a palette
_BACKGROUND, _INK = (255, 255, 255), (20, 20, 20)


def colours(count: int) -> NDArray[np.uint8]:
    """RGB colours for ``count`` labels, (count, 3). They depend on the index alone; 0, unknown, is black."""
    found = np.zeros((count, 3), np.uint8)
    for at in range(1, count):
        rgb = colorsys.hsv_to_rgb(at * _TURN % 1.0, (0.85, 0.6)[at // 8 % 2], (1.0, 0.75)[at // 4 % 2])
        found[at] = [round(255 * part) for part in rgb]
    return found


def as_palette(segmented: Segmented) -> Image.Image:
    """The label map as an image whose pixel values are label indexes, with a palette of the labels' colours.

    With more than 256 labels it is a 16-bit grey image without a palette.
    """
    labels = segmented.label_map()
    image = Image.fromarray(labels)
    if labels.dtype == np.uint8:
        image.putpalette(colours(min(_PALETTE, len(segmented.labels))).tobytes())
    return image


def overlaid(image: Image.Image, segmented: Segmented, *, strength: float = STRENGTH) -> Image.Image:
    """The image with each segment in the colour of its label, and a legend below.

    The image may have another size than the segmented one. Unknown pixels keep their colour.
    """
    labels = fitted(segmented.label_map(), image.size)
    tint = colours(len(segmented.labels))[labels]
    share = np.where(labels > 0, np.float32(strength), np.float32(0))
    share[_edges(labels) & (labels > 0)] = 1
    pixels = np.asarray(image.convert("RGB"), np.float32)
    mixed = pixels + share[:, :, None] * (tint - pixels)
    return _with_legend(Image.fromarray(mixed.round().astype(np.uint8)), segmented)


def fitted(labels: LabelMap, size: tuple[int, int]) -> LabelMap:
    """A label map resized to ``size`` (width, height) by nearest neighbour."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(size[::-1], labels.shape, strict=True))
    return labels[np.ix_(rows, columns)]


def _edges(labels: LabelMap) -> NDArray[np.bool_]:
    """Pixels with another label at most ``EDGE`` pixels to the right or below."""
    found = np.zeros(labels.shape, dtype=bool)
    for step in range(1, EDGE + 1):
        found[:, :-step] |= labels[:, step:] != labels[:, :-step]
        found[:-step] |= labels[step:] != labels[:-step]
    return found


def _with_legend(image: Image.Image, segmented: Segmented) -> Image.Image:
    """Add a legend: each label with its share of the image, largest first, in as many columns as fit."""
    shares: dict[str, float] = {}
    for segment in segmented.segments:
        shares[segment.label] = shares.get(segment.label, 0.0) + segment.area
    palette = colours(len(segmented.labels))
    size = max(14, min(28, image.width // 40))
    font = ImageFont.load_default(size)
    entries = [
        (tuple(palette[segmented.labels.index(label)].tolist()), f"{label} {share:.0%}")
        for label, share in sorted(shares.items(), key=lambda pair: -pair[1])
    ] or [(_INK, segmented.labels[0])]
    gap, line = size // 2, size + size // 2
    widths = [line + gap + round(font.getlength(text)) for _, text in entries]
    width = max(image.width, max(widths) + 2 * gap)
    columns = max(1, (width - gap) // (max(widths) + gap))
    rows = -(-len(entries) // columns)
    page = Image.new("RGB", (width, image.height + rows * line + gap), _BACKGROUND)
    page.paste(image)
    pen = ImageDraw.Draw(page)
    for number, (colour, text) in enumerate(entries):
        x = gap + number % columns * (max(widths) + gap)
        y = image.height + gap + number // columns * line
        pen.rectangle((x, y, x + size, y + size - gap // 2), fill=colour, outline=_INK)
        pen.text((x + line, y - gap // 4), text, fill=_INK, font=font)
    return page
