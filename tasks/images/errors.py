"""Errors of decoding. All are ``Permanent``, because the bytes do not change.

``code`` is for machines; the text is for users and names the format that was found.
"""

from __future__ import annotations

import re
from typing import ClassVar

from vectordb.errors import Permanent

_UNSUPPORTED = re.compile(
    r"unsupported|not supported|not been built in|unknown (?:compression|pixel mode|raw mode)", re.IGNORECASE
)


class BadImage(Permanent):
    """These bytes cannot be tagged; ``code`` gives the reason."""

    code: ClassVar[str] = "bad-image"


class EmptyImage(BadImage):
    """There are no bytes."""

    code: ClassVar[str] = "empty"


class NotAnImage(BadImage):
    """The bytes are not an image."""

    code: ClassVar[str] = "not-an-image"


class UnsupportedImage(BadImage):
    """An image that this installation does not read: its format, or its layout."""

    code: ClassVar[str] = "unsupported"


class TruncatedImage(BadImage):
    """The image ends too early."""

    code: ClassVar[str] = "truncated"


class DamagedImage(BadImage):
    """The format is known, but the data cannot be decoded."""

    code: ClassVar[str] = "damaged"


class ImageTooLarge(BadImage):
    """The image has more pixels than allowed, according to its header."""

    code: ClassVar[str] = "too-many-pixels"


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ``ImageTooLarge`` if the image has more than ``max_pixels``, and ``DamagedImage`` if it has none."""
    if width <= 0 or height <= 0:
        raise DamagedImage(f"the image is {width} x {height}")
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"the image is {width} x {height}, {width * height:,} pixels; the limit is {max_pixels:,}"
        )


def named(kind: str | None) -> str:
    """The format for a sentence: "PNG image", "MP4 video"."""
    return "image" if kind is None else kind if kind.endswith(("video", "stream")) else f"{kind} image"


def translated(exc: Exception, kind: str | None) -> BadImage:
    """The ``BadImage`` for an error of a decoder, which may be of any type."""
    if isinstance(exc, BadImage):
        return exc
    text = str(exc)
    name = named(kind)
    if "truncated" in text.lower() or text == "not enough image data" or isinstance(exc, EOFError):
        return TruncatedImage(f"the {name} is truncated: {text or 'it ends too early'}")
    if _UNSUPPORTED.search(text):
        return UnsupportedImage(f"{kind or 'image'}: {text}")
    return DamagedImage(f"the {name} cannot be decoded: {text or type(exc).__name__}")
