"""Distinct photographs for benchmarks, made from those of scikit-image: cut, mirrored, brightened, as JPEG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from ops.bench.pictures import photographs

SIDE = 640  # of the longer side, in pixels
LEAST = 0.6  # of a side that a cut keeps
QUALITY = 88


class Varied:
    """Draws photographs, the same for the same ``seed``; no two are equal."""

    def __init__(self, side: int = SIDE, seed: int = 7) -> None:
        self._side = side
        self._random = np.random.default_rng(seed)
        # larger ones are halved once, not for every picture; as colour, whatever they are
        self._sources = [_reduced(image.convert("RGB"), 2 * side) for _, image in photographs(12)]
        self._made = 0

    def write(self, folder: Path, count: int) -> list[Path]:
        """``count`` more JPEG files in a folder, in the order in which they were made."""
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for _ in range(count):
            files.append(folder / f"{self._made:06}.jpg")
            files[-1].write_bytes(self.jpeg())
        return files

    def jpeg(self) -> bytes:
        """The next photograph as a JPEG file."""
        file = io.BytesIO()
        self.picture().save(file, "JPEG", quality=QUALITY)
        return file.getvalue()

    def picture(self) -> Image.Image:
        """The next photograph, RGB, with a longer side of ``side`` pixels."""
        source = self._sources[self._made % len(self._sources)]
        self._made += 1
        draw = self._random
        width, height = (round(length * draw.uniform(LEAST, 1.0)) for length in source.size)
        left, top = (round(draw.uniform(0, whole - part)) for whole, part in
                     zip(source.size, (width, height), strict=True))  # fmt: skip
        scale = self._side / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        cut = source.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))
        if draw.random() < 0.5:
            cut = ImageOps.mirror(cut)
        return ImageEnhance.Brightness(cut).enhance(float(draw.uniform(0.7, 1.3)))


def _reduced(image: Image.Image, side: int) -> Image.Image:
    image.thumbnail((side, side))
    return image
