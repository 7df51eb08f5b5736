"""Decodes untrusted bytes to upright RGB images, one for all but videos, or raises an error with the reason.

Only formats that are recognised by their signature are tried, each with one decoder. The size is read from the header
and checked before pixels are decoded.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

from PIL import Image

from tasks.images import bitmap, heif, icons, jpeg2000, jxl, limits, netpbm, raw, tiff, truncation, webp
from tasks.images.box_limits import check_items
from tasks.images.containers import VIDEOS
from tasks.images.containers import check as check_video
from tasks.images.errors import DamagedImage, EmptyImage, TruncatedImage, UnsupportedImage, named, translated
from tasks.images.formats import HEAD, HEIC, JXL, RAW, kind_of, missing_extra, refusal
from tasks.images.media import media_of
from tasks.images.orientation import upright
from tasks.images.samples import smaller
from tasks.images.source import Source
from tasks.images.structure import Structure
from tasks.message_parts import Media

_ZEROS = 512  # bytes of zeros at the end of a file that was allocated and not written
MAX_PIXELS = 120_000_000  # the largest phone cameras produce 108 million


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, near: int | None = None, video: bool = False) -> Image.Image:
    """An encoded image, upright, RGB in sRGB, transparency on a background.

    Of an animation the first frame that shows something, of a multi-page TIFF the first page, of a camera raw file
    its preview, of a video the first view. ``near`` is the input side of a model in pixels. A JPEG is then decoded at
    a reduced size of at least twice this side; of other formats, very large images are reduced so. ``video``: decode
    videos, too. Raises a ``BadImage``.
    """
    return decode_with_media(data, max_pixels=max_pixels, near=near, video=video)[0][0]


def decode_with_media(
    data: bytes, *, max_pixels: int = MAX_PIXELS, near: int | None = None, gps: bool = False, video: bool = False,
    max_bytes: int | None = None,
) -> tuple[list[Image.Image], Media]:  # fmt: skip
    """The views, and what is known about the file. Raises a ``BadImage``.

    The views are one image, as ``decode`` returns it; of a video one or two frames (``tasks.images.video``).
    ``max_bytes``: memory that decoding may take, as told by the headers (``tasks.images.limits``).
    """
    if not data:
        raise EmptyImage("the file is empty")
    # Pillow warns about large sizes (checked here) and odd metadata (irrelevant); keep both out of logs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = kind_of(data, video=video)
        if kind is None or missing_extra(kind):
            raise refusal(data[:HEAD], video=video)
        try:
            source = _opened(kind, data, max_pixels, near)
            limits.check_memory(source.memory, max_bytes, (source.width, source.height))
            loaded = source.load()
            views = loaded if isinstance(loaded, list) else [loaded]
            del loaded
            for at, one in enumerate(views):
                views[at] = upright(smaller(one, near), source.turned)
        except Exception as exc:  # decoders may raise any error for damaged bytes
            error = translated(exc, kind)
            undecoded = isinstance(error, DamagedImage) or (error is not exc and isinstance(error, UnsupportedImage))
            if undecoded and data.endswith(bytes(_ZEROS)):
                error = TruncatedImage(f"the {named(kind)} is truncated: its end is nothing but zeros ({error})")
            raise error from exc
        return views, media_of(source, len(data), gps=gps)


def _check_parts(kind: str, data: bytes, max_pixels: int) -> None:
    """Judge what decoders would decode, or take memory for, while they open a file. Raises a ``BadImage``."""
    if kind == "ICO":
        icons.check(data, max_pixels)
    elif kind == "WEBP":
        webp.check(data, max_pixels)
    elif kind in {"AVIF", "HEIC"}:
        check_items(data, kind)
    elif kind == "JPEG2000":
        jpeg2000.check(data)


def _opened(kind: str, data: bytes, max_pixels: int, near: int | None) -> Source:
    if kind in VIDEOS:
        from tasks.images import video  # noqa: PLC0415 - an extra, and off by default

        check_video(kind, data)
        return video.opened(data, kind, max_pixels)
    _check_parts(kind, data, max_pixels)
    truncation.check(kind, data)
    if kind == "TIFF" and (structure := Structure.of(data)):
        if not raw.is_raw(structure):
            return tiff.opened(data, structure, max_pixels)
        kind = RAW
    openers: dict[str, Callable[[], Source]] = {
        "JPEG": lambda: bitmap.opened_jpeg(data, max_pixels, near),
        "PNG": lambda: bitmap.opened_png(data, max_pixels, near),
        RAW: lambda: raw.opened(data, lambda part: bitmap.opened_jpeg(part, max_pixels, near), max_pixels),
        HEIC: lambda: heif.opened(data, max_pixels, near),
        "PPM": lambda: netpbm.opened(data, max_pixels),
        JXL: lambda: jxl.opened(data, max_pixels),
    }
    return openers.get(kind, lambda: bitmap.opened_other(data, kind, max_pixels, near))()
