"""Bytes of unknown origin → an upright RGB picture, or an error that says why not.

Nothing here trusts its input. Only the formats in ``FORMATS`` are tried, so that no byte reaches a decoder
that runs another program (EPS) or guesses without a signature (TGA). The size is read from the header and
judged before a pixel is decoded. Everything that can be wrong with the bytes is wrong for ever: all errors
are ``Permanent`` and carry a ``code`` for machines beside the text for people.
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
MAX_PIXELS = 120_000_000  # the largest telephone cameras give 108 million
_SIGNATURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n": "PNG", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_WHITE = (255, 255, 255, 255)


class BadImage(Permanent):
    """These bytes can never be tagged; ``code`` says which way they are bad."""

    code: ClassVar[str] = "bad-image"


class EmptyImage(BadImage):
    """There are no bytes at all."""

    code: ClassVar[str] = "empty"


class NotAnImage(BadImage):
    """The bytes belong to none of ``FORMATS``."""

    code: ClassVar[str] = "not-an-image"


class TruncatedImage(BadImage):
    """The picture begins well and ends too early."""

    code: ClassVar[str] = "truncated"


class DamagedImage(BadImage):
    """The format is known and its decoder gives up."""

    code: ClassVar[str] = "damaged"


class ImageTooLarge(BadImage):
    """The header promises more pixels than are allowed."""

    code: ClassVar[str] = "too-many-pixels"


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, near: int | None = None) -> Image.Image:
    """The first frame of an encoded image, upright, RGB, transparent parts over white.

    ``near`` is the side in pixels that a model wants. A JPEG is then decoded at a fraction of its size where
    that leaves both sides at least twice as long; other formats ignore it. Raises a ``BadImage``.
    """
    if not data:
        raise EmptyImage("the file is empty")
    # Pillow warns about large sizes (judged here) and odd metadata (of no concern); neither may reach a log
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _open(data, max_pixels)
        if near is not None:
            image.draft(None, (2 * near, 2 * near))
        try:
            image.load()
            return _rgb(_upright(image))
        except Exception as exc:  # decoders raise whatever damaged bytes lead them to
            raise _translated(exc, image.format) from exc


def recognised(head: bytes) -> str | None:
    """The media type of the image that these first 16 bytes or more begin, ``None`` where they begin none.

    Nothing is decoded, so what follows may still be damaged.
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
        raise ImageTooLarge(f"the image is far beyond the {max_pixels:,} pixels allowed: {exc}") from exc
    except UnidentifiedImageError as exc:
        for signature, name in _SIGNATURES.items():
            if data.startswith(signature):
                raise DamagedImage(f"it begins like a {name} image, but its header cannot be read") from exc
        raise NotAnImage(f"not an image of a kind that is read ({', '.join(FORMATS)})") from exc
    except Exception as exc:  # as above
        raise _translated(exc, None) from exc
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooLarge(f"the image is {width} x {height}, {width * height:,} pixels; {max_pixels:,} are allowed")
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
        return TruncatedImage(f"the {name} is cut off: {text or 'it ends too early'}")
    return DamagedImage(f"the {name} cannot be decoded: {text or type(exc).__name__}")


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; unreadable EXIF data turns nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are good; metadata of any brokenness is no reason to refuse them
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _from_wide(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")
    return image.convert("RGB")


def _from_wide(image: Image.Image) -> Image.Image:
    """More than 8 bits a channel, always grey. Pillow's own conversion would clip instead of scaling.

    16-bit values are scaled by their full range and floats within 0 and 1 by 255. What has no natural range
    (32-bit integers, other floats) is stretched from its smallest to its largest value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode != "F" and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    elif image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (values - low) / ((high - low) or 1.0) * 255.0
    return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")
