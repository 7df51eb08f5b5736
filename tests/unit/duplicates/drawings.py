"""Pictures drawn at random, and pages of text of one layout."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

Size = tuple[int, int]
SIZE = (320, 240)
TURNS = {
    "same": (),
    "mirrored": (Image.Transpose.FLIP_LEFT_RIGHT,),
    "rotated 90°": (Image.Transpose.ROTATE_270,),  # Pillow's angles are counter-clockwise
    "rotated 180°": (Image.Transpose.ROTATE_180,),
    "rotated 270°": (Image.Transpose.ROTATE_90,),
    "mirrored, rotated 90°": (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_270),
    "mirrored, rotated 180°": (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180),
    "mirrored, rotated 270°": (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90),
}


def drawn(seed: int, size: Size = SIZE) -> Image.Image:
    """Twelve ellipses of random place, size and colour."""
    draw = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(draw.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = (draw.integers(0, side) for side in size)
        wide, high = draw.integers(20, 120, 2)
        pen.ellipse((x - wide, y - high, x + wide, y + high), fill=tuple(draw.integers(0, 256, 3).tolist()))
    return image


def form(seed: int) -> Image.Image:
    """A form: a heading, lines, and numbers that differ."""
    draw = np.random.default_rng(seed)
    image = Image.new("RGB", (850, 1100), (255, 255, 255))
    pen = ImageDraw.Draw(image)
    pen.rectangle((60, 50, 790, 90), fill=(40, 70, 130))
    for line in range(14):
        y = 200 + 60 * line
        pen.line((60, y + 40, 790, y + 40), fill=(120, 120, 120), width=2)
        pen.text((70, y), f"Field {line}:", fill=(0, 0, 0), font_size=18)
        pen.text((400, y), str(draw.integers(1, 10 ** int(draw.integers(2, 9)))), fill=(0, 0, 0), font_size=18)
    return image


def turned(image: Image.Image, transform: str) -> Image.Image:
    for one in TURNS[transform]:
        image = image.transpose(one)
    return image


def compressed(image: Image.Image, quality: int) -> Image.Image:
    """The image as a JPEG shows it."""
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Without this share of its width and height, at all borders alike."""
    wide, high = (round(side * share / 2) for side in image.size)
    return image.crop((wide, high, image.width - wide, image.height - high))


def halved(image: Image.Image, times: int = 1) -> Image.Image:
    return image.resize((image.width >> times, image.height >> times), Image.Resampling.LANCZOS)
