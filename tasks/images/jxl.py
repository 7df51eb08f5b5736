"""JPEG XL, by imagecodecs (extra ``jxl``). libjxl turns the image as its header says; EXIF's value is not applied."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.images.box_items import MOST_EXIF, exif_payload
from tasks.images.boxes import boxes
from tasks.images.colour import to_srgb
from tasks.images.depth import to_bytes
from tasks.images.errors import BadImage, DamagedImage, TruncatedImage, check_size
from tasks.images.jxl_header import Header, header_of
from tasks.images.orientation import swaps
from tasks.images.source import Source
from tasks.images.structure import exif_structure
from tasks.images.transparency import flattened, one_colour

_CONTAINER = b"\0\0\0\x0cJXL "
_FRAMES = 32  # of an animation that are looked at, as of others
_FRAME_PIXELS = 120_000_000  # of these together: each is decoded with those before it
_BLANK = 10  # levels that the noise of lossy compression spans


def opened(data: bytes, max_pixels: int) -> Source:
    """The image, with its size from the header of the codestream. Raises a ``BadImage``."""
    codestream, exif = data, None
    if data.startswith(_CONTAINER):
        parts: list[bytes] = []
        for kind, begin, end in boxes(data):
            if kind == b"jxlc":
                parts.append(data[begin:end])
            elif kind == b"jxlp":
                parts.append(data[begin + 4 : end])
            elif kind == b"Exif":
                exif = exif_payload(data[begin:end])
            elif kind == b"brob" and data[begin : begin + 4] == b"Exif":
                exif = exif_payload(_unpacked(data[begin + 4 : end]))
        codestream = b"".join(parts)
    header = header_of(codestream)
    width, height = header.width, header.height
    check_size(width, height, max_pixels)
    if swaps(header.turned):
        width, height = height, width
    return Source("JPEG XL", width, height, lambda: _shown(data, header), exif=exif_structure(exif))


def _profile(data: bytes) -> bytes | None:
    """The ICC profile of an image that was a JPEG, which can be had again. For others imagecodecs tells none."""
    import imagecodecs  # noqa: PLC0415 - an extra

    restore: Any = imagecodecs.jpegxl_decode_jpeg  # typed wrongly
    try:
        with Image.open(io.BytesIO(restore(data)), formats=("JPEG",)) as image:
            profile: bytes | None = image.info.get("icc_profile")
            return profile
    except Exception:  # the library raises several types; the pixels are valid without it
        return None


def _unpacked(packed: bytes) -> bytes:
    """A box that is packed by Brotli, as cjxl does; empty if it cannot be read or is larger than EXIF can be."""
    import imagecodecs  # noqa: PLC0415 - an extra

    try:
        return bytes(imagecodecs.brotli_decode(packed, out=MOST_EXIF))
    except Exception:  # the library raises several types; the pixels are valid without it
        return b""


def _shown(data: bytes, header: Header) -> Image.Image:
    """The first frame that is not of one colour; the first one if there is none."""
    samples = _samples(data, 0)
    first = _image(data, header, samples)
    if not header.animated or not one_colour(first, _BLANK):
        return first
    # behind the last frame imagecodecs returns the memory that it was given, as it is
    untouched = np.full_like(samples, 7 if samples.dtype.kind == "u" else 0.0123)
    pixels = max(1, header.width * header.height)
    for index in range(1, _FRAMES):
        if pixels * index * (index + 1) // 2 > _FRAME_PIXELS:
            break
        try:
            samples = _samples(data, index, untouched.copy())
            if np.array_equal(samples, untouched):
                break
            frame = _image(data, header, samples)
        except BadImage:  # a damaged later frame does not matter
            break
        if not one_colour(frame, _BLANK):
            return frame
    return first


def _samples(data: bytes, index: int, into: NDArray[Any] | None = None) -> NDArray[Any]:
    import imagecodecs  # noqa: PLC0415 - an extra

    try:
        array: NDArray[Any] = imagecodecs.jpegxl_decode(data, index=index, numthreads=1, out=into)
    except Exception as exc:  # its errors tell little; a stream that ends early is the most frequent
        if "NEED_MORE_INPUT" in str(exc):
            raise TruncatedImage("the JPEG XL image is truncated") from exc
        raise DamagedImage(f"the JPEG XL image cannot be decoded: {exc}") from exc
    return array


def _image(data: bytes, header: Header, array: NDArray[Any]) -> Image.Image:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise DamagedImage(f"the JPEG XL image has the shape {array.shape}")
    channels = array.shape[2]
    bits = header.bits if array.dtype.kind == "u" else None
    colours = to_bytes(np.ascontiguousarray(array[..., : 3 if channels >= 3 else 1]), bits)
    profile = _profile(data) if header.profile else header.colours
    image = to_srgb(Image.fromarray(colours[..., 0] if colours.shape[2] == 1 else colours), profile)
    if channels in {1, 3}:
        return image
    opacity = array[..., -1]
    top = 1.0 if opacity.dtype.kind == "f" else float(2 ** (bits or 8 * opacity.dtype.itemsize) - 1)
    alpha = np.rint(np.clip(opacity.astype(np.float64) / top, 0, 1) * 255).astype(np.uint8)
    return flattened(image, Image.fromarray(alpha), animated=header.animated)
