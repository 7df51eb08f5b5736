"""TIFF: reads each layout with the library that reads it right, and refuses all others by name.

The layout is read from the directory first. Pillow decodes the common layouts with 8 bits and single channels of any
depth. It opens several others as noise without an error (16-bit planes one after another), so the rest is left to
tifffile with imagecodecs (extra ``tiff``). A file that neither reads is ``unsupported``, with what was met.

Either library gets the file with a new only directory, which holds nothing but the tags that describe pixels:
malformed metadata cannot disturb it, a page or sub-directory can be chosen, and nothing is turned twice.
"""

from __future__ import annotations

import io
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from tasks.images import limits, plain_rows, tiff_parts
from tasks.images.errors import DamagedImage, ImageTooLarge, TruncatedImage, UnsupportedImage, check_size, translated
from tasks.images.layouts import CIELAB, COMPRESSIONS, YCBCR, Layout, layout_of
from tasks.images.orientation import orientation
from tasks.images.samples import assembled, finished
from tasks.images.source import Source
from tasks.images.structure import Directory, Structure
from tasks.images.truncation import strips

_PIXEL_TAGS = frozenset({
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332, 333, 334, 336,
    338, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 34675, 50674,
})  # fmt: skip
_SAMPLE_BYTES = 16  # of a pixel, on average: more take too much memory
ICC = 34675
XMP = 700
_PAGE_NUMBER, _EXTRA, _FORMATS, _PHOTOMETRIC, _SUBSAMPLING = 297, 338, 339, 262, 530
_KIND, _OLD_KIND, _OLD_REDUCED = 254, 255, 2
_CHECKED = 32  # pages at either end of a document whose strips are checked
_REDUCED, _MASK = 1, 4


@dataclass(frozen=True)
class Page:
    """The page to be read: its structure, directory and layout, and the file with this directory only (``data``).

    ``sparse``: parts of it are left out on purpose.
    """

    structure: Structure
    directory: Directory
    layout: Layout
    data: bytes
    profile: bytes | None
    sparse: bool = False


def opened(data: bytes, structure: Structure, max_pixels: int) -> Source:
    """The first page with pixels, or the largest if the first is a thumbnail. Raises a ``BadImage``."""
    directories = structure.all_directories()
    if not directories:
        if structure.first + 2 > len(data):
            raise TruncatedImage("the TIFF image is truncated: its directory is behind the end of the file")
        raise DamagedImage("the file starts like a TIFF image, but its directory cannot be read")
    directory = _chosen(structure, directories)
    layout = layout_of(structure, directory)
    if structure.cut(directory, (258, 273, 279, 324, 325)):
        raise TruncatedImage("the TIFF image is truncated: it ends within its directory")
    check_size(layout.width, layout.height, max_pixels)
    if layout.compression not in COMPRESSIONS:
        raise UnsupportedImage(f"{layout.text} is not read")
    if len(layout.offsets) < layout.parts:
        raise TruncatedImage(
            f"the TIFF image is truncated: it lacks {layout.parts - len(layout.offsets)} of its {layout.parts} parts"
        )
    if layout.width * layout.height * layout.samples * layout.bits // 8 > _SAMPLE_BYTES * max_pixels:
        raise ImageTooLarge(f"{layout.text}, of {layout.width} x {layout.height} is too large to be decoded")
    limits.check("TIFF parts", layout.parts)
    limits.check("TIFF bytes of parts", sum(layout.counts[: layout.parts]))
    strips(layout.offsets, layout.counts, len(data), "TIFF")
    sparse = tiff_parts.sparse(structure, directory, layout)
    _check_other_pages(structure, len(data))
    profile = structure.raw(directory, ICC) or None
    plain = layout.photometric == YCBCR and layout.compression == 1 and layout.subsampled != (1, 1)
    # Pillow would divide by opacity, also where it is 0 everywhere
    others: dict[int, Sequence[int]] = {_EXTRA: (2,)} if layout.multiplied else {}
    if layout.photometric == CIELAB:  # a and b are signed, whether the file says so or not
        others[_FORMATS] = (1,) * layout.samples
    if (stored := tiff_parts.stored_colours(structure, directory, layout)) != (layout.photometric, layout.subsampled):
        layout = replace(layout, photometric=stored[0], subsampled=stored[1])
        others |= {_PHOTOMETRIC: stored[:1], _SUBSAMPLING: stored[1]}
    alone = _deflated(structure, directory, layout) if plain else structure.alone(directory, _PIXEL_TAGS, others)
    page = Page(structure, directory, layout, alone, profile, sparse)
    frames = sum(1 for one in structure.directories() if not _beside(structure, one))
    source = Source(
        "TIFF", layout.width, layout.height, lambda: _loaded(page), frames=max(1, frames), exif=structure,
        turned=orientation(structure, structure.raw(directories[0], XMP)), needs=_needed(layout, len(alone)),
    )  # fmt: skip
    if not sparse:
        tiff_parts.check_ends(data, layout)
        source.warn(plain_rows.check_layout(data, layout))
    return source


def _needed(layout: Layout, length: int) -> int:
    """Bytes from decoding to RGB: the file with its new directory, samples of other libraries, two images."""
    apart = 0 if layout.suits_pillow and layout.bits <= 8 else layout.samples * max(1, layout.bits // 8)
    return length + layout.width * layout.height * (apart + limits.BYTES)


def _beside(structure: Structure, directory: Directory) -> bool:
    """Whether it is a thumbnail or a mask."""
    if _KIND not in directory.entries:
        return structure.integer(directory, _OLD_KIND, 0) == _OLD_REDUCED
    return bool(structure.integer(directory, _KIND, 0) & (_REDUCED | _MASK))


def _deflated(structure: Structure, directory: Directory, layout: Layout) -> bytes:
    """The file with its pixels as deflate, for YCbCr whose pixels share colours: Pillow reads it by libtiff then.

    Where it is not compressed, Pillow expects three bytes for each pixel.
    """
    more, places, sizes = bytearray(), [], []
    for offset, count in zip(layout.offsets[: layout.parts], layout.counts, strict=False):
        packed = zlib.compress(structure.data[offset : offset + count], 0)
        places.append(len(structure.data) + len(more))
        sizes.append(len(packed))
        more += packed
    tags = (324, 325) if 324 in directory.entries else (273, 279)
    others = {259: [8], tags[0]: places, tags[1]: sizes}
    return structure.alone(directory, _PIXEL_TAGS, others, bytes(more))


def _check_other_pages(structure: Structure, length: int) -> None:
    """Raise ``TruncatedImage`` if a later page is behind the end of the file, as in half of a document.

    A link of the last page that leads nowhere is no fault of the file if its pages tell how many there are
    (PageNumber), and if as many are here.
    """
    pages = list(structure.directories())
    for at, page in enumerate(pages):
        if _CHECKED < at < len(pages) - _CHECKED:
            continue
        cut = not page.complete and not structure.suspicious(page)
        behind = structure.furthest(page) > length and layout_of(structure, page).furthest > length
        if cut or (behind and not structure.suspicious(page)):
            raise TruncatedImage(f"the TIFF image is truncated: it ends within page {at + 1}")
    last = pages[-1]
    numbers = structure.integers(pages[0], _PAGE_NUMBER)
    told = numbers[1] if len(numbers) == 2 else 0
    if (
        last.complete
        and last.following + 2 > length
        and not 0 < told <= len(pages)
        and not structure.suspicious(last)
    ):
        raise TruncatedImage(f"the TIFF image is truncated: page {len(pages) + 1} is behind the end of the file")


def _chosen(structure: Structure, directories: list[Directory]) -> Directory:
    pages = [one for one in directories if structure.integer(one, 256, 0) and structure.integer(one, 257, 0)]
    if not pages:
        raise DamagedImage("the TIFF image has no page with a width and a height")
    first = pages[0]
    if not _beside(structure, first):
        return first
    whole = [one for one in pages if not _beside(structure, one)]
    return max(whole or [first], key=lambda one: structure.integer(one, 256, 0) * structure.integer(one, 257, 0))


def _loaded(page: Page) -> Image.Image:
    # Pillow takes packed samples of 32 bits for little-endian
    swapped = page.layout.bits == 32 and page.layout.compression != 1 and page.data.startswith(b"MM")
    if page.layout.suits_pillow and not swapped and not page.sparse:
        try:
            image = _by_pillow(page)
            tiff_parts.check_decoded(page.structure, page.directory, page.layout, image)
            return finished(image, page.layout, page.profile)
        except TruncatedImage:
            raise
        except Exception as exc:  # decoders may raise any error for damaged bytes
            if page.layout.compression in tiff_parts.FAX:  # imagecodecs would fill what is missing
                raise
            other = _by_tifffile(page, or_raise=translated(exc, "TIFF"))
    else:
        other = _by_tifffile(page)
    return assembled(other, page.layout, page.profile)


def _by_pillow(page: Page) -> Image.Image:
    image = Image.open(io.BytesIO(page.data), formats=("TIFF",))
    image.load()
    if image.size != (page.layout.width, page.layout.height):
        raise DamagedImage(f"the TIFF image is {image.width} x {image.height}, unlike its header")
    return image


def _by_tifffile(page: Page, or_raise: Exception | None = None) -> Any:
    """The samples as an array of shape (height, width, samples). ``or_raise``: instead of ``UnsupportedImage``."""
    layout = page.layout
    if not layout.suits_tifffile:
        raise or_raise or UnsupportedImage(f"{layout.text} is not read")
    try:
        import imagecodecs  # noqa: F401, PLC0415 - an extra, which tifffile loads itself
        import tifffile  # noqa: PLC0415 - as above
    except ImportError as exc:
        raise or_raise or UnsupportedImage(f"{layout.text}: pip install 'wildtag[tiff]'") from exc
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it logs each odd tag; what matters is in the reason
    try:
        with tifffile.TiffFile(io.BytesIO(page.data)) as file:
            found = file.pages.first
            array = found.asarray(maxworkers=1)
            axes = found.axes
    except Exception as exc:  # codecs raise their own errors for damaged bytes
        raise _failure(exc, layout, or_raise) from exc
    if axes == "SYX":
        array = array.transpose(1, 2, 0)
    elif axes == "YX":
        array = array[..., None]
    elif axes != "YXS":
        raise or_raise or UnsupportedImage(f"{layout.text} with the axes {axes} is not read")
    if array.shape != (layout.height, layout.width, layout.samples):
        raise UnsupportedImage(f"{layout.text} is not read: it holds {array.shape}")
    return array


def _failure(exc: Exception, layout: Layout, other: Exception | None) -> Exception:
    """The error for one of tifffile or its codecs. ``other``: instead of all but ``TruncatedImage``."""
    text = str(exc)
    if "corrupted" in text:  # a part that unpacks to fewer pixels than it should
        return TruncatedImage(f"the TIFF image is truncated: {text}")
    unread = isinstance(exc, NotImplementedError) or type(exc).__name__ == "TiffFileError"
    if unread or "requires the" in text or "unsupported" in text.lower():
        return other or UnsupportedImage(f"{layout.text} is not read: {text}")
    return other or translated(exc, "TIFF")
