"""Decodes untrusted bytes to an upright RGB image, or raises an error with the reason.

Only the formats in ``FORMATS`` are tried, so that no decoder is used that runs another program (EPS) or has no
signature (TGA). The size is read from the header and checked before pixels are decoded. All errors are ``Permanent``,
because the bytes do not change, and have a ``code`` for machines and a text for users.
"""

from __future__ import annotations

import io
import warnings
from functools import cache
from typing import ClassVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vectordb.errors import Permanent

FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 120_000_000  # the largest phone cameras produce 108 million
_SIGNATURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n": "PNG", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_WHITE = (255, 255, 255, 255)


class BadImage(Permanent):
    """These bytes cannot be tagged; ``code`` gives the reason."""

    code: ClassVar[str] = "bad-image"


class EmptyImage(BadImage):
    """There are no bytes."""

    code: ClassVar[str] = "empty"


class NotAnImage(BadImage):
    """The bytes have none of ``FORMATS``."""

    code: ClassVar[str] = "not-an-image"


class TruncatedImage(BadImage):
    """The image ends too early."""

    code: ClassVar[str] = "truncated"


class DamagedImage(BadImage):
    """The format is known, but the data cannot be decoded."""

    code: ClassVar[str] = "damaged"


class ImageTooLarge(BadImage):
    """The image has more pixels than allowed, according to its header."""

    code: ClassVar[str] = "too-many-pixels"


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, near: int | None = None) -> Image.Image:
    """The first frame of an encoded image, upright, RGB, with transparency over white.

    ``near`` is the input side of a model in pixels. A JPEG is then decoded at a reduced size of at least twice this
    side; other formats ignore it. Raises a ``BadImage``.
    """
    if not data:
        raise EmptyImage("the file is empty")
    # Pillow warns about large sizes (checked here) and odd metadata (irrelevant); keep both out of logs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _open(data, max_pixels)
        if near is not None:
            image.draft(None, (2 * near, 2 * near))
        try:
            image.load()
            return _rgb(_upright(image))
        except Exception as exc:  # decoders may raise any error for damaged bytes
            raise _translated(exc, image.format) from exc


def recognised(head: bytes) -> str | None:
    """The media type of an image with these first bytes (at least 16), ``None`` if it is not a known one.

    Decodes nothing, so the rest may be damaged.
    """
    for name in _formats():
        accept = Image.OPEN[name][1]
        if accept and accept(head[:16]) is True:
            return Image.MIME[name]
    return None


def _open(data: bytes, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError as exc:
        raise ImageTooLarge(f"the image far exceeds the limit of {max_pixels:,} pixels: {exc}") from exc
    except UnidentifiedImageError as exc:
        for signature, name in _SIGNATURES.items():
            if data.startswith(signature):
                raise DamagedImage(f"the file starts like a {name} image, but its header cannot be read") from exc
        raise NotAnImage(f"not an image in a supported format ({', '.join(FORMATS)})") from exc
    except Exception as exc:  # as above
        raise _translated(exc, None) from exc
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"the image is {width} x {height}, {width * height:,} pixels; the limit is {max_pixels:,}"
        )
    return image


@cache
def _formats() -> tuple[str, ...]:
    """Those of ``FORMATS`` that this build of Pillow can open."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _translated(exc: Exception, kind: str | None) -> BadImage:
    text = str(exc)
    name = f"{kind} image" if kind else "image"
    if "truncated" in text.lower() or isinstance(exc, EOFError):
        return TruncatedImage(f"the {name} is truncated: {text or 'it ends too early'}")
    return DamagedImage(f"the {name} cannot be decoded: {text or type(exc).__name__}")


def _upright(image: Image.Image) -> Image.Image:
    """Rotate according to the EXIF orientation; unreadable EXIF data is ignored."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are valid; damaged metadata is not an error
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _from_wide(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")
    return image.convert("RGB")


def _from_wide(image: Image.Image) -> Image.Image:
    """Convert grey images with more than 8 bits. Pillow's own conversion would clip instead of scaling.

    16-bit values are scaled by their full range, and floats within 0 and 1 by 255. Types without a natural range
    (32-bit integers, other floats) are stretched from their smallest to their largest value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode != "F" and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    elif image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (values - low) / ((high - low) or 1.0) * 255.0
    return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")
