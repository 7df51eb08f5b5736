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
_NO_MEMORY = re.compile(
    r"out of memory|insufficient memory|not enough memory|cannot allocate|unable to allocate|bad_alloc|memory limit",
    re.IGNORECASE,
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


class TooComplex(BadImage):
    """The image has more parts than images have, so that decoding it would take very long (``limits``)."""

    code: ClassVar[str] = "too-complex"


class TooMuchMemory(BadImage):
    """Decoding the image takes more memory than allowed."""

    code: ClassVar[str] = "too-much-memory"
    TEXT: ClassVar[str] = "decoding the image takes more memory than allowed"


class MemoryShort(TooMuchMemory):
    """The system has ended the decoder for lack of memory. The same image may be decoded later."""


class TooSlow(BadImage):
    """Decoding the image takes more time than allowed."""

    code: ClassVar[str] = "too-slow"


class DecoderCrashed(BadImage):
    """The decoder ended while it read the image."""

    code: ClassVar[str] = "decoder-crashed"


class UnexpectedFault(BadImage):
    """The decoder raised an error that has no other code."""

    code: ClassVar[str] = "decoder-fault"
    TEXT: ClassVar[str] = "an unexpected error occurred while decoding the image"


def of_code(code: str, reason: str) -> BadImage:
    """The error with this code."""
    found = next((kind for kind in BadImage.__subclasses__() if kind.code == code), UnexpectedFault)
    return found(reason)


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
    if isinstance(exc, MemoryError) or _NO_MEMORY.search(text):
        return TooMuchMemory(f"{TooMuchMemory.TEXT}: {text or name}")
    if "truncated" in text.lower() or text == "not enough image data" or isinstance(exc, EOFError):
        return TruncatedImage(f"the {name} is truncated: {text or 'it ends too early'}")
    if _UNSUPPORTED.search(text):
        return UnsupportedImage(f"{kind or 'image'}: {text}")
    return DamagedImage(f"the {name} cannot be decoded: {text or type(exc).__name__}")
