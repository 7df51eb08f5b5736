"""Images that show nothing, drawn from random numbers with a fixed seed: the same in every process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

EACH = 12  # images of each kind
LEAST_SIDE = 64  # pixels; on smaller pages no line of text fits
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def null_images(side: int) -> dict[str, list[Image.Image]]:
    """``EACH`` square RGB images of each kind, by its name. ``side``: input side of the encoder, in pixels."""
    side = max(side, LEAST_SIDE)
    draw = np.random.default_rng(24)
    kinds: dict[str, Callable[[int, np.random.Generator], Image.Image]] = {
        "noise": _noise, "one colour": _colour, "blur": _blur, "shuffled patches": _patches,
        "blank page": _blank, "text page": _text,
    }  # fmt: skip
    return {kind: [make(side, draw) for _ in range(EACH)] for kind, make in kinds.items()}


def _noise(side: int, draw: np.random.Generator) -> Image.Image:
    grain = int(draw.integers(1, 5))  # pixels
    cells = -(-side // grain)
    pixels = draw.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return Image.fromarray(pixels.repeat(grain, axis=0).repeat(grain, axis=1)[:side, :side])


def _colour(side: int, draw: np.random.Generator) -> Image.Image:
    red, green, blue = draw.integers(0, 256, 3).tolist()
    return Image.new("RGB", (side, side), (red, green, blue))


def _blur(side: int, draw: np.random.Generator) -> Image.Image:
    return _shapes(side, draw).filter(ImageFilter.GaussianBlur(side / 6))


def _patches(side: int, draw: np.random.Generator) -> Image.Image:
    """Shapes, cut into 8 by 8 patches that are shuffled."""
    size = side // 8
    pixels = (
        np.asarray(_shapes(size * 8, draw)).reshape(8, size, 8, size, 3).swapaxes(1, 2).reshape(64, size, size, 3)
    )
    shuffled = draw.permutation(pixels).reshape(8, 8, size, size, 3).swapaxes(1, 2).reshape(8 * size, 8 * size, 3)
    return Image.fromarray(np.ascontiguousarray(shuffled))


def _blank(side: int, draw: np.random.Generator) -> Image.Image:
    paper = draw.uniform(225, 255) + draw.normal(0, 1.5, (side, side, 1)) + draw.uniform(-6, 0, 3)
    return Image.fromarray(np.clip(paper, 0, 255).astype(np.uint8))


def _text(side: int, draw: np.random.Generator) -> Image.Image:
    """Lines of random letters: they say nothing."""
    page = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(page)
    size = max(8, side // int(draw.integers(14, 25)))
    font = ImageFont.load_default(size)
    margin = side // 12
    for top in range(margin, side - margin - size, round(size * 1.4)):
        words = ["".join(draw.choice(list(_LETTERS), int(draw.integers(2, 10)))) for _ in range(12)]
        pen.text((margin, top), " ".join(words), fill=(30, 30, 30), font=font)
    right = side - margin
    pen.rectangle((right, 0, side, side), fill="white")
    return page


def _shapes(side: int, draw: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (side, side), _rgb(draw))
    pen = ImageDraw.Draw(image)
    for number in range(12):
        left, top = draw.integers(-side // 4, side, 2).tolist()
        width, height = draw.integers(side // 8, side // 2, 2).tolist()
        box = (left, top, left + width, top + height)
        (pen.ellipse if number % 2 else pen.rectangle)(box, fill=_rgb(draw))
    return image


def _rgb(draw: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = draw.integers(0, 256, 3).tolist()
    return red, green, blue
