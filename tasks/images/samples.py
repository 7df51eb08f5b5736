"""Converts decoded samples to RGB by their photometric interpretation: grey, palette, CMYK, LAB, with opacity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.images import limits
from tasks.images.colour import Profile, to_srgb
from tasks.images.depth import Bytes, opacity_to_bytes, to_bytes
from tasks.images.errors import DamagedImage
from tasks.images.layouts import CIELAB, CMYK, ICCLAB, PALETTE, WHITE_IS_ZERO, Layout
from tasks.images.srgb import encoded
from tasks.images.transparency import flattened

_D50 = (0.9642, 1.0, 0.8251)
# from XYZ (D50) to linear sRGB, Bradford's adaptation included (http://www.brucelindbloom.com, sRGB)
_TO_SRGB = np.array([
    [3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427],
])  # fmt: skip
_ROWS = 2**20


def finished(image: Image.Image, layout: Layout, profile: bytes | None) -> Image.Image:
    """An image that Pillow decoded from a TIFF of this layout, as RGB."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        array = np.asarray(image)
        if image.mode == "I" and layout.kind == 1 and layout.bits <= 16:
            array = array.astype(np.uint16)
        return assembled(array[..., None], layout, profile)
    if layout.multiplied and image.mode == "RGBA":  # Pillow has taken opacity for a plain one
        return assembled(np.asarray(image), layout, profile)
    if layout.photometric == PALETTE and image.mode == "P":  # Pillow takes a palette of 8 bits for black
        return assembled(np.asarray(image)[..., None], layout, profile)
    return to_rgb(image, profile)


def smaller(image: Image.Image, near: int | None) -> Image.Image:
    """A very large image without transparency at a smaller size, for a model with this side (``limits.smaller_by``).

    It has its mode, or RGB in place of a palette. Others are returned as they are: they are reduced as RGB.
    """
    factor = limits.smaller_by(image.size, near)
    if factor == 1 or image.has_transparency_data:
        return image
    if image.mode in {"L", "RGB", "CMYK"}:
        return image.reduce(factor)
    if image.mode not in {"1", "P"}:
        return image
    width, height = (-(-side // factor) for side in image.size)
    made = Image.new("RGB", (width, height))
    rows = max(1, _ROWS // image.width // factor) * factor
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(image.height, top + rows))).convert("RGB")
        made.paste(band.reduce(factor), (0, top // factor))
    return made


def to_rgb(
    image: Image.Image, profile: Profile | None, *, animated: bool = False, fewer: int | None = None
) -> Image.Image:
    """An image of any of Pillow's modes as RGB in sRGB, on a background if it has transparency.

    ``fewer``: bits in use of 16, if the file says so.
    """
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        values = np.asarray(image)
        made = to_srgb(Image.fromarray(to_bytes(values, fewer=fewer)), profile)
        clear = image.info.get("transparency")  # one value of a grey PNG
        if not isinstance(clear, int):
            return made
        return flattened(made, Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)), animated=animated)
    if image.has_transparency_data:
        grey = image.mode in {"L", "LA", "La"}
        mode = "LA" if grey and image.mode != "L" else "RGBA"
        layer = image if image.mode == mode else image.convert(mode)
        made = to_srgb(layer.convert("L" if layer.mode == "LA" else "RGB"), profile)
        return flattened(made, layer.getchannel("A"), animated=animated)
    if image.mode in {"1", "P", "PA", "YCbCr", "HSV", "RGBX", "LAB"}:
        return to_srgb(image.convert("RGB"), profile)
    made = to_srgb(image, profile)
    return made.copy() if made is image else made


def assembled(array: NDArray[Any], layout: Layout, profile: bytes | None) -> Image.Image:
    """Samples of shape (height, width, samples) of a TIFF of this layout, as RGB."""
    at = layout.opacity
    colours = array[..., : layout.colours]
    opacity = None if at is None or at >= array.shape[2] else opacity_to_bytes(array[..., at], colours, layout.bits)
    if layout.photometric == PALETTE:
        image = Image.fromarray(_from_palette(colours[..., 0], layout))
    elif layout.photometric in {CIELAB, ICCLAB}:
        image = Image.fromarray(_from_lab(colours, icc=layout.photometric == ICCLAB))
    else:
        if opacity is not None and layout.multiplied:
            colours = _divided(colours, opacity)
        if layout.photometric == CMYK and colours.dtype == np.uint16:  # ink is sparse: never fewer bits than declared
            scaled = (colours >> (layout.bits - 8)).astype(np.uint8)
        else:
            scaled = to_bytes(colours, layout.bits if colours.dtype.kind == "u" else None)
        if layout.photometric == WHITE_IS_ZERO:
            scaled = ~scaled
        if layout.photometric == CMYK:
            image = Image.frombytes("CMYK", scaled.shape[1::-1], np.ascontiguousarray(scaled).tobytes())
        else:
            image = Image.fromarray(np.ascontiguousarray(scaled[..., 0] if scaled.shape[2] == 1 else scaled))
        image = to_srgb(image, profile)
    return image if opacity is None else flattened(image, Image.fromarray(opacity))


def _divided(colours: NDArray[Any], opacity: Bytes) -> NDArray[Any]:
    """Colours that were multiplied by opacity (TIFF's "associated alpha"), as they were before."""
    made = colours.copy()
    step = max(1, _ROWS // max(1, colours.shape[1]))
    for begin in range(0, len(made), step):
        share = opacity[begin : begin + step, :, None] / np.float64(255)
        part = made[begin : begin + step] / np.where(share > 0, share, 1)
        if colours.dtype.kind != "f":
            part = np.clip(np.rint(part), 0, np.iinfo(colours.dtype).max)
        made[begin : begin + step] = part.astype(colours.dtype)
    return made


def _from_palette(indices: NDArray[Any], layout: Layout) -> Bytes:
    colours = np.array(layout.palette, dtype=np.int64)
    if not colours.size or colours.size % 3:
        raise DamagedImage("the TIFF image has a palette without colours")
    table = colours.reshape(3, -1).T
    if table.max() > 255:  # some programs write 8 bits
        table = table >> 8
    made: Bytes = table.clip(0, 255).astype(np.uint8)[np.minimum(indices, len(table) - 1)]
    return made


def _from_lab(samples: NDArray[Any], *, icc: bool) -> Bytes:
    """CIE L*a*b* (D50) → sRGB. a and b are signed, or shifted by half of the range in ICC's encoding."""
    made = np.empty(samples.shape, dtype=np.uint8)
    wide = samples.dtype.itemsize == 2
    step = max(1, _ROWS // max(1, samples.shape[1]))
    for begin in range(0, len(samples), step):
        part = samples[begin : begin + step]
        unsigned = part.astype(np.uint16 if wide else np.uint8)
        lightness = unsigned[..., 0].astype(np.float64) * (
            100.0 / (65280.0 if wide and icc else 65535.0 if wide else 255.0)
        )
        unit = 256.0 if wide else 1.0
        if icc:
            chroma = unsigned[..., 1:].astype(np.float64) / unit - 128.0
        else:
            chroma = unsigned[..., 1:].view(np.int16 if wide else np.int8).astype(np.float64) / unit
        made[begin : begin + step] = _srgb_of_lab(lightness, chroma)
    return made


def _srgb_of_lab(lightness: NDArray[np.float64], chroma: NDArray[np.float64]) -> Bytes:
    y = (lightness + 16.0) / 116.0
    xyz = np.stack([y + chroma[..., 0] / 500.0, y, y - chroma[..., 1] / 200.0], axis=-1)
    xyz = np.where(xyz > 6 / 29, xyz**3, (xyz - 16 / 116) * 3 * (6 / 29) ** 2) * np.array(_D50)
    return encoded(np.clip(xyz @ _TO_SRGB.T, 0.0, 1.0))
