"""JPEG XL, by imagecodecs (extra ``jxl``). libjxl turns the image as its header says; EXIF's value is not applied."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.images.box_items import MOST_EXIF, exif_payload
from tasks.images.boxes import boxes
from tasks.images.colour import Profile, to_srgb
from tasks.images.depth import opacity_to_bytes, to_bytes
from tasks.images.errors import BadImage, DamagedImage, TruncatedImage, check_size
from tasks.images.frames import FRAMES, first_shown
from tasks.images.jxl_header import header_of
from tasks.images.orientation import swaps
from tasks.images.source import Source
from tasks.images.structure import exif_structure
from tasks.images.transparency import flattened
from tasks.message_parts import MediaWarning

_CONTAINER = b"\0\0\0\x0cJXL "
_PIXEL, _WIDE_PIXEL = 16, 32  # bytes: values of the decoder, samples, two images
_MOST_JPEG = 2**14  # bytes that describe a JPEG: each of its markers may unpack to as much
_FRAME_PIXELS = 120_000_000  # of the frames of an animation together: each is decoded with those before it
_SHAPE = re.compile(r", shape=\(([\d, ]+)\)")  # of all frames, in its message

_NOT_APPLIED = MediaWarning("profile-not-applied", "its colour profile is packed in a way that is not read here")


def opened(data: bytes, max_pixels: int) -> Source:
    """The image, with its size from the header of the codestream. Raises a ``BadImage``."""
    codestream, exif, is_jpeg = _parts(data)
    header = header_of(codestream)
    width, height = header.width, header.height
    check_size(width, height, max_pixels)
    if swaps(header.turned):
        width, height = height, width

    def load() -> Image.Image:
        first = _frame(data, 0)
        profile = _profile(data) if header.profile and is_jpeg else None
        colours = profile or header.colours
        if header.profile and profile is None:
            source.warn(_NOT_APPLIED)
        if not header.animated:
            return _image(first, header.bits, colours)
        source.frames = frames = _count(data, first)
        if frames > 1:
            _frame(data, frames - 1)  # raises if the file ends before; behind the last one would be unset memory

        def read(at: int) -> Image.Image:
            return _image(_frame(data, at) if at else first, header.bits, colours, animated=frames > 1)

        return first_shown(min(frames, _most(width * height)), width * height, read)

    source = Source(
        "JPEG XL", width, height, load, exif=exif_structure(exif),
        needs=width * height * (_PIXEL if (header.bits or 32) <= 8 else _WIDE_PIXEL),
    )  # fmt: skip
    return source


def _parts(data: bytes) -> tuple[bytes, bytes | None, bool]:
    """The codestream, EXIF, and whether it is a JPEG that was packed without loss."""
    if not data.startswith(_CONTAINER):
        return data, None, False
    parts: list[bytes] = []
    exif, is_jpeg = None, False
    for kind, begin, end in boxes(data):
        if kind == b"jxlc":
            parts.append(data[begin:end])
        elif kind == b"jxlp":
            parts.append(data[begin + 4 : end])
        elif kind == b"Exif":
            exif = exif_payload(data[begin:end])
        elif kind == b"brob" and data[begin : begin + 4] == b"Exif":
            exif = exif_payload(_unpacked(data[begin + 4 : end]))
        elif kind == b"jbrd":
            is_jpeg = end - begin <= _MOST_JPEG
    return b"".join(parts), exif, is_jpeg


def _unpacked(packed: bytes) -> bytes:
    """A box that is packed by Brotli, as cjxl does; empty if it cannot be read or is larger than EXIF can be."""
    import imagecodecs  # noqa: PLC0415 - an extra

    try:
        return bytes(imagecodecs.brotli_decode(packed, out=MOST_EXIF))
    except MemoryError:
        raise
    except Exception:  # the library raises several types; the pixels are valid without it
        return b""


def _profile(data: bytes) -> bytes | None:
    """The colour profile of a JPEG that was packed without loss: imagecodecs gives no profile of other files."""
    import imagecodecs  # noqa: PLC0415 - an extra

    try:
        with Image.open(io.BytesIO(imagecodecs.jpegxl_decode_jpeg(data, numthreads=1)), formats=("JPEG",)) as jpeg:
            found: bytes | None = jpeg.info.get("icc_profile")
            return found
    except MemoryError:
        raise
    except Exception:  # the library raises several types; the pixels are valid without it
        return None


def _most(pixels: int) -> int:
    """How many frames of so many pixels are looked at."""
    return next((at for at in range(1, FRAMES) if pixels * at * (at + 1) // 2 > _FRAME_PIXELS), FRAMES)


def _count(data: bytes, first: NDArray[Any]) -> int:
    """The number of frames like the first. imagecodecs tells it where it refuses to put them without room."""
    import imagecodecs  # noqa: PLC0415 - an extra

    try:
        imagecodecs.jpegxl_decode(data, numthreads=1, out=np.empty(0, first.dtype))
    except ValueError as exc:
        found = _SHAPE.search(str(exc))
        numbers = [int(number) for number in found[1].split(",") if number] if found else []
        return max(1, numbers[0]) if numbers[1:] == [*first.shape] else 1
    except Exception as exc:
        raise _error(exc) from exc
    return 1


def _frame(data: bytes, at: int) -> NDArray[Any]:
    """A frame, of shape (height, width) or (height, width, samples)."""
    import imagecodecs  # noqa: PLC0415 - an extra

    try:
        array: NDArray[Any] = imagecodecs.jpegxl_decode(data, index=at, numthreads=1)
    except Exception as exc:  # its errors tell little; a stream that ends early is the most frequent
        raise _error(exc) from exc
    return array


def _error(exc: Exception) -> BadImage:
    if "NEED_MORE_INPUT" in str(exc):
        return TruncatedImage("the JPEG XL image is truncated")
    return DamagedImage(f"the JPEG XL image cannot be decoded: {exc}")


def _image(array: NDArray[Any], bits: int | None, profile: Profile | None, *, animated: bool = False) -> Image.Image:
    """``bits``: of unsigned integers, which are stored in 8 or 16."""
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise DamagedImage(f"the JPEG XL image has the shape {array.shape}")
    channels = array.shape[2]
    deep = bits if array.dtype.kind == "u" else None
    values = np.ascontiguousarray(array[..., : 3 if channels >= 3 else 1])
    colours = to_bytes(values, deep)
    image = to_srgb(Image.fromarray(colours[..., 0] if colours.shape[2] == 1 else colours), profile)
    if channels in {1, 3}:
        return image
    opacity = array[..., -1]
    if opacity.dtype.kind == "f":  # compression with loss may exceed the range
        opacity = np.clip(opacity, 0, 1)
    return flattened(image, Image.fromarray(opacity_to_bytes(opacity, values, deep)), animated=animated)
