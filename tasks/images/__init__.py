"""Images: from untrusted bytes to upright RGB pixels.

``decode`` is the entry: ``formats`` says what the bytes are, ``bitmap``, ``netpbm``, ``tiff``, ``heif``, ``jxl``,
``raw`` and ``video`` open them, ``depth``, ``samples``, ``colour``, ``transparency`` and ``orientation`` turn what
was stored into what is to be seen, ``media`` tells about the file.
"""

from tasks.images.decode import MAX_PIXELS, decode, decode_with_media
from tasks.images.errors import (
    BadImage,
    DamagedImage,
    EmptyImage,
    ImageTooLarge,
    NotAnImage,
    TruncatedImage,
    UnsupportedImage,
)
from tasks.images.formats import FORMATS, HEAD, read_formats, recognised, refusal

__all__ = [
    "FORMATS", "HEAD", "MAX_PIXELS", "BadImage", "DamagedImage", "EmptyImage", "ImageTooLarge", "NotAnImage",
    "TruncatedImage", "UnsupportedImage", "decode", "decode_with_media", "read_formats", "recognised", "refusal",
]  # fmt: skip
