"""Generates images with known segmentation: cut-outs pasted on backgrounds.

A cut-out's transparency defines which of its pixels it covers, so labelled images with an alpha channel (such as
those of a manifest) are sufficient. The result depends only on the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.evaluation.manifest import BadManifest, Item

BACKGROUND = "background"
OPAQUE = 128  # minimum alpha of a pixel that belongs to the cut-out
MOST = 4  # maximum number of cut-outs per image
LEAST = 2
_SMALLEST, _LARGEST = 0.55, 0.95  # a cut-out's longer side, relative to its part of the image

Paint = Callable[[np.random.Generator, int, int], NDArray[np.float64]]


@dataclass(frozen=True)
class Composition:
    """``target`` (h, w) holds positions in ``classes``; 0 is the background."""

    image: Image.Image
    target: NDArray[np.uint8]
    classes: tuple[str, ...]
    background: str


def compositions(
    items: Sequence[Item], count: int, *, seed: int = 0, size: tuple[int, int] = (480, 360)
) -> Iterator[Composition]:
    """``count`` images of ``size`` (width, height), each with two to four cut-outs of different labels.

    Items without transparency, or that cannot be read, are skipped. Every other background is plain, the others
    textured. Raises ``BadManifest`` if too few labels are left.
    """
    draw = random.Random(seed)  # noqa: S311 -- for reproducibility, not for security
    shuffled = list(items)
    draw.shuffle(shuffled)
    waiting = cycle(_cut_outs(shuffled))
    for number in range(count):
        wanted = draw.randint(LEAST, MOST)
        chosen: dict[str, Item] = {}
        while len(chosen) < wanted:
            item = next(waiting)
            chosen.setdefault(item.label, item)
        kind = "plain" if number % 2 == 0 else draw.choice(tuple(_TEXTURES))
        yield _composed(tuple(chosen.values()), kind, draw, size)


def _composed(items: Sequence[Item], kind: str, draw: random.Random, size: tuple[int, int]) -> Composition:
    width, height = size
    noise = np.random.default_rng(draw.getrandbits(32))
    image = _background(kind, noise, width, height)
    target = np.zeros((height, width), np.uint8)
    for number, (item, (left, top, right, bottom)) in enumerate(zip(items, _parts(len(items), size), strict=True), 1):
        cut = Image.open(item.path).convert("RGBA")
        cut = cut.crop(cut.getchannel("A").point(lambda a: 255 * (a >= OPAQUE)).getbbox())
        scale = draw.uniform(_SMALLEST, _LARGEST) * min((right - left) / cut.width, (bottom - top) / cut.height)
        cut = cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale))))
        x = left + draw.randint(0, right - left - cut.width)
        y = top + draw.randint(0, bottom - top - cut.height)
        image.paste(cut, (x, y), cut)
        target[y : y + cut.height, x : x + cut.width][np.asarray(cut.getchannel("A")) >= OPAQUE] = number
    return Composition(image, target, (BACKGROUND, *[item.label for item in items]), kind)


def _parts(count: int, size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """One part of the image per cut-out: side by side, or in two rows from the fourth on."""
    width, height = size
    rows = 2 if count > 3 else 1
    columns = -(-count // rows)
    boxes = [
        (width * x // columns, height * y // rows, width * (x + 1) // columns, height * (y + 1) // rows)
        for y in range(rows)
        for x in range(columns)
    ]
    return boxes[:count]


def _cut_outs(items: Sequence[Item]) -> list[Item]:
    found = [item for item in items if _is_cut_out(item)]
    labels = len({item.label for item in found})
    if labels < MOST:
        raise BadManifest(
            f"compositions need images of {MOST} labels with a transparent background; there are only"
            f" {labels} among {len(items)} images"
        )
    return found


def _is_cut_out(item: Item) -> bool:
    try:
        with Image.open(item.path) as image:
            if not image.has_transparency_data:
                return False
            inside = np.asarray(image.convert("RGBA").getchannel("A")) >= OPAQUE
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # Pillow's errors for damaged files
        return False
    return bool(inside.any() and not inside.all())


def _background(kind: str, noise: np.random.Generator, width: int, height: int) -> Image.Image:
    """One colour, or two colours mixed by a texture."""
    one, other = (noise.integers(90, 256, size=3) for _ in range(2))
    mix = _TEXTURES[kind](noise, width, height) if kind in _TEXTURES else np.zeros((height, width))
    pixels = one + mix[:, :, None] * (other - one)
    return Image.fromarray(pixels.round().astype(np.uint8))


def _clouds(noise: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    """Noise of three scales, from coarse to fine."""
    layers = []
    for cells in (4, 12, 36):
        coarse = Image.fromarray(noise.random((cells, cells)).astype(np.float32))
        fine = coarse.resize((width, height), Image.Resampling.BICUBIC)
        layers.append(np.asarray(fine, np.float64) / cells)
    mixed = np.sum(layers, axis=0)
    mixes: NDArray[np.float64] = (mixed - mixed.min()) / (np.ptp(mixed) or 1.0)
    return mixes


def _stripes(noise: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    y, x = np.indices((height, width))
    angle, period = noise.uniform(0, np.pi), noise.uniform(12, 40)
    waves: NDArray[np.float64] = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    return (waves + 1) / 2


def _checks(noise: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    y, x = np.indices((height, width))
    side = int(noise.integers(12, 40))
    return ((y // side + x // side) % 2).astype(np.float64)


def _grain(noise: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    return noise.random((height, width))


_TEXTURES: dict[str, Paint] = {"clouds": _clouds, "stripes": _stripes, "checks": _checks, "grain": _grain}
