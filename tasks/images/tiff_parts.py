"""Finds TIFF files whose strips or tiles hold less than their size takes, which decoders fill without an error.

LZW and PackBits fail by themselves. Plain pixels are counted. Deflate, WebP, JPEG 2000 and JPEG XR decode the zeros
of a file that was allocated and not written, so their ends are looked at where they are zeros. JPEG tells its size,
and whether it is complete is found out as for files (``jpeg``). Fax has no sizes: it is decoded with several
continuations, of which the decoder reads none if the part is complete.
"""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from tasks.images import jpeg, truncation, webp
from tasks.images.errors import DamagedImage, TruncatedImage
from tasks.images.layouts import RGB, YCBCR, Layout
from tasks.images.structure import Directory, Structure

_ZEROS, _STEP = 64, 2**20
FAX, _JPEG = frozenset({2, 3, 4}), 7
_TABLES = 347
# of GDAL and GeoTIFF, which leave out parts without data
_GEOGRAPHIC = {33550, 33922, 34264, 34735, 42112, 42113}
# continuations; the codes of fax are found again after a few bits, so that two alone may look alike
_TAILS = (bytes(512), *(random.Random(seed).randbytes(512) for seed in range(3)))  # noqa: S311 - no secret


def sparse(structure: Structure, directory: Directory, layout: Layout) -> bool:
    """Whether parts are left out on purpose. Raises ``TruncatedImage`` for parts that are missing or short."""
    told = structure.integers(directory, 325 if 324 in directory.entries else 279)
    for at, offset in enumerate(layout.offsets[: layout.parts]):
        if offset == 0 or (any(told) and at < len(told) and told[at] == 0):
            if _GEOGRAPHIC & directory.entries.keys():
                return True
            raise TruncatedImage(f"the TIFF image is truncated: part {at + 1} of {layout.parts} was not written")
        if any(told) and at < len(layout.needed) and (held := layout.counts[at]) < layout.needed[at]:
            name, needed = f"part {at + 1} of {layout.parts}", layout.needed[at]
            raise TruncatedImage(f"the TIFF image is truncated: {name} holds {held:,} of {needed:,} bytes")
    return False


def check_ends(data: bytes, layout: Layout) -> None:
    """Raise ``TruncatedImage`` if a packed part ends in zeros that are not its own."""
    complete = _COMPLETE.get(layout.compression)
    if complete is None:
        return
    for at, (offset, count) in enumerate(zip(layout.offsets[: layout.parts], layout.counts, strict=False)):
        end = offset + count
        if count > _ZEROS and not any(data[end - _ZEROS : end]) and not complete(data[offset:end]):
            raise TruncatedImage(
                f"the TIFF image is truncated: part {at + 1} of {layout.parts} ends in zeros that were not written"
            )


def _inflates(part: bytes) -> bool:
    unpacker = zlib.decompressobj()
    try:
        while part and not unpacker.eof:
            unpacker.decompress(part, _STEP)
            part = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof


def _is_complete_webp(part: bytes) -> bool:
    return part[:4] != b"RIFF" or not webp.missing(part)


_COMPLETE: dict[int, Callable[[bytes], bool]] = {
    **dict.fromkeys((8, 32946), _inflates),
    **dict.fromkeys((50001, 34927), _is_complete_webp),
    **dict.fromkeys((33003, 33004, 33005, 34712), lambda part: not truncation.missing_of_jpeg2000(part)),
    **dict.fromkeys((34934, 22610), lambda _: False),
}


def check_decoded(structure: Structure, directory: Directory, layout: Layout, image: Image.Image) -> None:
    """Raise ``TruncatedImage`` if parts of an image that Pillow has decoded end before their last row."""
    if layout.compression in FAX:
        _check_fax(structure, directory, layout, image)
    if layout.compression != _JPEG or layout.bits != 8:
        return
    for at, (left, top, right, bottom) in enumerate(_places(structure, directory, layout)):
        whole = _joined(structure, directory, layout, at)
        _, width, height = jpeg.frame(whole)
        if 0 < height < bottom - top or 0 < width < right - left:
            raise TruncatedImage(
                f"the TIFF image is truncated: part {at + 1} of {layout.parts} has {width} x {height} pixels"
            )
        try:
            completed = jpeg.completed(whole)
            if not layout.planar and jpeg.seems_filled(image.crop((left, top, right, bottom))):
                jpeg.check_pixels(completed)
        except (TruncatedImage, DamagedImage) as exc:
            raise TruncatedImage(f"the TIFF image is truncated: part {at + 1} of {layout.parts}: {exc}") from exc
        except MemoryError:
            raise
        except Exception:  # noqa: S112 - a JPEG that Pillow opens in a TIFF only
            continue


def stored_colours(structure: Structure, directory: Directory, layout: Layout) -> tuple[int, tuple[int, int]]:
    """The photometric interpretation, and how many pixels share colours, of a TIFF whose pixels are JPEG.

    libtiff and tifffile believe the tag. It is wrong where the JPEG names its colours: YCbCr by JFIF, by Adobe's
    marker or by colours that pixels share, RGB by Adobe's marker or the letters R, G and B. A JPEG that says nothing
    is what the tag says, as scanners of slides write RGB.
    """
    told = layout.photometric, layout.subsampled
    if layout.compression != _JPEG or layout.photometric not in {RGB, YCBCR} or layout.samples != 3 or layout.planar:
        return told
    first = _joined(structure, directory, layout, 0)
    names, shared = jpeg.components(first)
    if len(names) != 3:
        return told
    transform = jpeg.transform(first)
    if layout.photometric == RGB and (transform == 1 or (transform is None and shared != (1, 1))):
        return YCBCR, shared
    if layout.photometric == YCBCR and (transform == 0 or (transform is None and bytes(names) == b"RGB")):
        return RGB, (1, 1)
    return told


def _joined(structure: Structure, directory: Directory, layout: Layout, at: int) -> bytes:
    """A part that is a JPEG, with the tables that all parts share."""
    offset, count = layout.offsets[at], layout.counts[at]
    part = structure.data[offset : offset + count]
    tables = structure.raw(directory, _TABLES)
    whole = part[:2] + tables[2:-2] + part[2:] if len(tables) > 4 else part
    jpeg.scan_count(whole)
    return whole


def _check_fax(structure: Structure, directory: Directory, layout: Layout, image: Image.Image) -> None:
    ends = [
        image.crop((left, bottom - 1, right, bottom))
        for left, _, right, bottom in _places(structure, directory, layout)
    ]
    if all(low != high for low, high in (end.getextrema() for end in ends)):
        return
    if len({_with_tails(structure, directory, layout, tail) for tail in _TAILS}) > 1:
        raise TruncatedImage("the TIFF image is truncated: the data of a part end before its last row")


def _with_tails(structure: Structure, directory: Directory, layout: Layout, tail: bytes) -> bytes:
    """The pixels with bytes behind each part; empty if they cannot be decoded."""
    more, places, sizes = bytearray(), [], []
    for offset, count in zip(layout.offsets[: layout.parts], layout.counts, strict=False):
        part = structure.data[offset : offset + count]
        part = (part.rstrip(b"\0") if part.endswith(bytes(16)) else part) + tail
        places.append(len(structure.data) + len(more))
        sizes.append(len(part))
        more += part
    tags = (324, 325) if 324 in directory.entries else (273, 279)
    kept = frozenset(directory.entries) - {*tags}
    data = structure.alone(directory, kept, {tags[0]: places, tags[1]: sizes}, bytes(more))
    try:
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as other:
            return other.tobytes()
    except MemoryError:
        raise
    except Exception:  # decoders may raise any error for damaged bytes
        return tail


def _places(structure: Structure, directory: Directory, layout: Layout) -> Iterator[tuple[int, int, int, int]]:
    """What can be seen of each part: left, top, right, bottom."""
    width, height = layout.width, layout.height
    across, down = width, max(1, structure.integer(directory, 278, height))
    if 324 in directory.entries:
        across, down = (max(1, structure.integer(directory, tag, 1)) for tag in (322, 323))
    rows, columns = -(-height // down), -(-width // across)
    for at in range(min(layout.parts, len(layout.offsets), len(layout.counts))):
        row, column = divmod(at % (rows * columns), columns)
        yield (
            column * across, row * down, min(width, (column + 1) * across), min(height, (row + 1) * down),
        )  # fmt: skip
