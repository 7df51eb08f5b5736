"""Opens the formats that Pillow decodes, and chooses the frame of an animation."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

from PIL import Image, UnidentifiedImageError

from tasks.images import jpeg, jpeg2000, limits, plain_rows, png, webp, wide_jpeg
from tasks.images.box_items import branded, colour_item, exif_item
from tasks.images.colour import Profile
from tasks.images.errors import DamagedImage, ImageTooLarge, TruncatedImage, check_size, translated
from tasks.images.frames import first_shown
from tasks.images.gif import check_frame, gif_frames
from tasks.images.orientation import orientation
from tasks.images.png_rows import check_rows, seems_short
from tasks.images.samples import smaller, to_rgb
from tasks.images.source import Source
from tasks.images.structure import exif_structure
from tasks.images.wide_png import deepened
from tasks.message_parts import MediaWarning

_FILL = b"\xff" * 2**16
# bytes of a pixel that the decoder itself takes: planes, and a canvas for each of two frames
_DECODERS: dict[str, Callable[[bytes], int]] = {
    "AVIF": lambda _: 4, "WEBP": lambda _: 9, "GIF": lambda _: 4,
    "JPEG2000": lambda data: 4 * jpeg2000.components(data),
}  # fmt: skip
_META = 2**16  # bytes at the beginning of an AVIF in which its table of contents is


def opened_jpeg(data: bytes, max_pixels: int, near: int | None) -> Source:
    """A JPEG; of several pictures in one file (MPO) the first. ``near``: see ``tasks.images.decode``."""
    if len(data) > len(_FILL) and _FILL in data:  # longer than any segment; Pillow takes minutes for megabytes of it
        raise DamagedImage("the JPEG image cannot be decoded: it holds nothing but fill bytes over a long distance")
    scans = jpeg.scan_count(data)
    exif = jpeg.exif_of(data)
    if data.endswith(bytes(16)):  # libjpeg would decode zeros as pixels
        data = jpeg.completed(data)
    try:
        image = _image(data, "JPEG", max_pixels)
    except DamagedImage:
        header = jpeg.frame(data)
        if header[0] in range(9, 17):
            jpeg.check_work(data, header[1:])
            return wide_jpeg.opened(data, header, exif, max_pixels)
        data = jpeg.without_metadata(data)
        image = _image(data, "JPEG", max_pixels)
    width, height = image.size
    jpeg.check_work(data, image.size)
    if near is not None:
        image.draft(None, (2 * near, 2 * near))
    profile, xmp = image.info.get("icc_profile"), image.info.get("xmp")

    def load() -> Image.Image:
        return to_rgb(_whole(image, data, max_pixels, near), profile)

    # of several scans the coefficients are kept, in two bytes, at full size, and the picture is decoded twice
    needs = limits.BYTES * image.width * image.height
    if scans > 1:
        across, down = jpeg.components(data)[1]
        needs += image.width * image.height + 2 * width * height * (across * down + 2) // (across * down)
    return Source("JPEG", width, height, load, turned=orientation(exif, xmp), exif=exif, needs=needs)


def _whole(image: Any, data: bytes, max_pixels: int, near: int | None) -> Any:
    """A JPEG with its pixels. Raises ``TruncatedImage`` if some are missing."""
    try:
        image.load()
    except OSError as exc:
        if "truncated" not in str(exc):
            raise
        image = _image(jpeg.completed(data), "JPEG", max_pixels)
        if near is not None:
            image.draft(None, (2 * near, 2 * near))
        image.load()
    jpeg.check_scans(data, image, near)
    if jpeg.seems_filled(image):
        jpeg.check_pixels(data)
    return image


def opened_png(data: bytes, max_pixels: int, near: int | None = None) -> Source:
    """A PNG or APNG. ``near``: see ``tasks.images.decode``."""
    parts = png.cleaned(data)
    try:
        image = _image(parts.data, "PNG", max_pixels)
    except DamagedImage:  # the animation may be: viewers show the picture without it
        parts = png.cleaned(data, still=True)
        image = _image(parts.data, "PNG", max_pixels)
    exif = exif_structure(parts.exif)
    frames = _frames(image)

    def check(at: int) -> None:
        if frames > 1 or seems_short(image, interlaced=parts.interlaced):
            check_rows(parts.chunks(), at)

    def load() -> Image.Image:
        if parts.bits == 16:
            return _shown(image, frames, parts.profile, lambda: deepened(image, parts, animated=frames > 1), check)
        return _shown(image, frames, parts.profile, check=check, near=near)

    width, height = image.size
    limits.check("PNG frames", frames)
    source = Source(
        "PNG", width, height, load, turned=orientation(exif, parts.xmp), exif=exif, frames=frames,
        needs=len(data) + width * height * _needed(image, near, deep=parts.bits == 16, frames=frames),
    )  # fmt: skip
    if parts.frames_missing:
        reason = f"the file lacks {parts.frames_missing:,} of the frames that it says to have"
        source.warn(MediaWarning("frames-missing", reason))
    return source


def opened_other(data: bytes, kind: str, max_pixels: int, near: int | None = None) -> Source:
    """AVIF, BMP, GIF, ICO, JPEG 2000, PPM or WebP. ``near``: see ``tasks.images.decode``."""
    if kind == "WEBP":
        data = webp.mended(data)
    elif kind == "AVIF":
        data = branded(data, b"avif", frozenset({b"avif"}))
    try:
        image = _image(data, kind, max_pixels)
    except DamagedImage:
        if kind != "AVIF" or b"Exif" not in data[:_META]:
            raise
        # Pillow reads all of EXIF here: rename the item in the table of contents, so that it finds none
        image = _image(data[:_META].replace(b"Exif", b"free") + data[_META:], kind, max_pixels)
    # Pillow reports irot and imir of AVIF as EXIF's orientation, in place of EXIF's own
    exif = exif_structure(image.info.get("exif"))
    turned = orientation(exif, None if kind == "AVIF" else image.info.get("xmp"))
    if kind == "AVIF":
        exif = exif_structure(exif_item(data)) or exif
    profile = _profile(image, kind, data)
    # Pillow would walk through a GIF to count, frame by frame
    frames = gif_frames(data)[0] if kind == "GIF" else _frames(image)
    name = {"JPEG2000": "JPEG 2000", "WEBP": "WebP"}.get(kind, kind)
    width, height = image.size

    def load() -> Image.Image:
        if kind == "JPEG2000":
            return jpeg2000.loaded(image, data)
        if kind == "ICO":
            _check_icon(image, data)
        check = (lambda at: check_frame(data, at)) if kind == "GIF" else None
        return _shown(image, frames, profile, check=check, near=near)

    each = _needed(image, near, frames=frames) + (_DECODERS[kind](data) if kind in _DECODERS else 0)
    source = Source(name, width, height, load, turned=turned, exif=exif, frames=frames, needs=width * height * each)
    source.warn(plain_rows.check_opened(kind, image, data))
    return source


def _image(data: bytes, kind: str, max_pixels: int) -> Any:
    """The image, not decoded. Its types know more than ``Image.Image`` (draft, frames)."""
    try:
        image = Image.open(io.BytesIO(data), formats=(kind,))
    except Image.DecompressionBombError as exc:
        raise ImageTooLarge(f"the image far exceeds the limit of {max_pixels:,} pixels: {exc}") from exc
    except UnidentifiedImageError as exc:
        if kind == "JPEG" and jpeg.ends_in_header(data):
            raise TruncatedImage("the JPEG image is truncated: it ends within its header") from exc
        raise DamagedImage(f"the file starts like a {kind} image, but its header cannot be read") from exc
    except Exception as exc:  # decoders may raise any error for damaged bytes
        raise translated(exc, kind) from exc
    check_size(*image.size, max_pixels)
    return image


def _needed(image: Any, near: int | None, *, deep: bool = False, frames: int = 1) -> int:
    """Bytes of a pixel from decoding to RGB, in Pillow. ``deep``: 16 bits per sample."""
    held = {"1": 1, "L": 1, "P": 1, "I;16": 2}.get(image.mode, 4)
    plain = not image.has_transparency_data and frames <= 1
    if (
        plain
        and not deep
        and limits.smaller_by(image.size, near) > 1
        and image.mode in {"1", "L", "P", "RGB", "CMYK"}
    ):
        return held + 1
    return held + (4 if plain else 9) + (3 if deep else 0)


def _profile(image: Any, kind: str, data: bytes) -> Profile | None:
    if kind == "BMP":
        return _in_bmp(data)
    found: Profile | None = image.info.get("icc_profile")
    return found or (colour_item(data) if kind == "AVIF" else None)


def _in_bmp(data: bytes) -> bytes | None:
    """The ICC profile of a BMP whose header (BITMAPV5HEADER) says that it has one."""
    if len(data) < 138 or data[14:18] != b"\x7c\0\0\0" or data[70:74] != b"DEBM":
        return None
    at, size = struct.unpack_from("<II", data, 126)
    return data[14 + at : 14 + at + size] or None


def _frames(image: Any) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except MemoryError:
        raise
    except Exception:  # counting reads all frames, of which a later one may be damaged
        return 1


def _check_icon(image: Any, data: bytes) -> None:
    """Raise ``TruncatedImage`` if the PNG that an icon of this size holds lacks rows."""
    (count,) = struct.unpack_from("<H", data, 4)
    for index in range(count):
        size, at = struct.unpack_from("<II", data, 6 + 16 * index + 8)
        part = data[at : at + size]
        if part.startswith(png.SIGNATURE) and part[16:24] == struct.pack(">II", *image.size):
            check_rows(png.cleaned(part).chunks())


def _shown(
    image: Any, frames: int, profile: Profile | None, convert: Callable[[], Image.Image] | None = None,
    check: Callable[[int], None] | None = None, near: int | None = None,
) -> Image.Image:  # fmt: skip
    """The first frame that is not of one colour, as ``first_shown`` chooses it.

    ``convert``: makes RGB of the frame that is loaded, in place of ``to_rgb``. ``check``: raises if the frame with
    this number, which is loaded, is not complete. ``near``: see ``tasks.images.decode``.
    """
    if frames <= 1 or image.format == "ICO":
        image.load()
        if check:
            check(0)
        return convert() if convert else to_rgb(smaller(image, near), profile)

    def read(at: int) -> Image.Image:
        image.seek(at)
        image.load()
        if check:
            check(at)
        return convert() if convert else to_rgb(image, profile, animated=True)

    return first_shown(frames, image.width * image.height, read)
