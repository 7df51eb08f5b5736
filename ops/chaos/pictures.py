"""The files of a run: pictures made from scikit-image's photographs, and files that are no good images."""

from __future__ import annotations

import io
import random
from functools import cache
from importlib import resources

from PIL import Image

NAMES = ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "astronaut.png")
PICTURES = 40  # few, so that many objects have the same content and must have the same tags


@cache
def picture(number: int) -> bytes:
    """A JPEG of 256 pixels, always the same for a number."""
    chance = random.Random(number)
    data = resources.files("skimage.data").joinpath(NAMES[number % len(NAMES)]).read_bytes()
    whole = Image.open(io.BytesIO(data)).convert("RGB")
    side = min(whole.size) - 40
    left, top = (chance.randrange(length - side + 1) for length in whole.size)
    out = io.BytesIO()
    whole.crop((left, top, left + side, top + side)).resize((256, 256)).save(out, "JPEG", quality=85)
    return out.getvalue()


def bad_files() -> list[bytes]:
    """Files that end as ``failed``: empty, text, a JPEG that is cut off, a PNG that announces too many pixels."""
    announced = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (100_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0" + bytes(4)
    return [b"", b"this is no image", picture(0)[:200], announced]


def content(number: int) -> bytes:
    """The file of an act: a picture, or for a negative number one of the bad files."""
    return picture(number) if number >= 0 else bad_files()[-1 - number]
