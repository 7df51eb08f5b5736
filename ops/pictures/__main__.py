"""Writes ``docs/images/segmentation.jpg``: photographs that scikit-image ships, segmented with two methods.

Uses the current settings and the active captions.
"""

from __future__ import annotations

import io
from importlib import resources
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from tasks.pipeline import Pipeline
from tasks.segmentation.rendering import overlaid
from tasks.segmentation.run import SegmentationMethod, segment
from workers.embedded.caption_access import captions_of
from workers.settings.settings import Settings
from workers.wiring.captions import prepare_captions
from workers.wiring.pipeline import pipeline as pipeline_of
from workers.wiring.segmentation import SegmentationMethods
from workers.wiring.wiring import Wiring

FILE = Path(__file__).parents[2] / "docs" / "images" / "segmentation.jpg"
METHODS = ("regions", "dense")
TILE = 440  # pixels of a picture's width
GAP, HEAD = 10, 30
TOGETHER = ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
QUALITY = 80


def main() -> None:
    """Segment, and write the page."""
    settings = Settings()
    prepare_captions(settings)
    wiring = Wiring(settings)
    methods = list(map(SegmentationMethods(settings), METHODS))
    with captions_of(wiring) as index:
        pipeline = pipeline_of(wiring, index, wiring.revision.captions_version)
        rows = [[_shown(image, method, pipeline) for method in methods] for image in _images()]
    _page(rows).save(FILE, quality=QUALITY, optimize=True)
    print(f"{FILE}: {FILE.stat().st_size / 1000:.0f} KB")


def _images() -> list[Image.Image]:
    """Four photographs side by side, and one alone, as wide as they are shown."""
    half = TILE // 2
    parts = [ImageOps.fit(_photograph(name), (half, half * 2 // 3)) for name in TOGETHER]
    together = Image.new("RGB", (2 * half, 2 * parts[0].height))
    for at, part in enumerate(parts):
        together.paste(part, (at % 2 * half, at // 2 * part.height))
    return [together, ImageOps.contain(_photograph("coffee.png"), (TILE, TILE))]


def _photograph(name: str) -> Image.Image:
    return Image.open(io.BytesIO(resources.files("skimage.data").joinpath(name).read_bytes())).convert("RGB")


def _shown(image: Image.Image, method: SegmentationMethod, pipeline: Pipeline) -> Image.Image:
    return overlaid(image, segment(image, method, pipeline))


def _page(rows: list[list[Image.Image]]) -> Image.Image:
    """A page with the rows one below the other, and the name of the method above each column."""
    heights = [max(tile.height for tile in row) for row in rows]
    page = Image.new("RGB", (len(METHODS) * (TILE + GAP) + GAP, HEAD + sum(heights) + GAP * len(rows)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(18)
    for column, name in enumerate(METHODS):
        pen.text((GAP + column * (TILE + GAP), 4), name, "black", font)
    top = HEAD
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            page.paste(tile, (GAP + column * (TILE + GAP), top))
        top += height + GAP
    return page


if __name__ == "__main__":
    main()
