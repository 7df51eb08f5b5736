"""Camera raw files: their largest embedded preview (CR2, CR3, NEF, ARW, DNG, ORF, PEF, RAF, RW2).

Cameras store a JPEG of the developed picture in nearly every raw file, often in full size. It is found by the
structure of the file. Only where there is none, or none that can be read, the sensor's data are developed by rawpy
(extra ``raw``). The record says that a preview was seen.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from functools import partial

from PIL import Image

from tasks.images import layouts
from tasks.images.boxes import boxes
from tasks.images.errors import BadImage, DamagedImage, TruncatedImage, UnsupportedImage, check_size, translated
from tasks.images.orientation import orientation
from tasks.images.source import Source
from tasks.images.structure import Directory, Structure

_DNG_VERSION = 50706
_STRIPS, _COUNTS, _JPEG, _JPEG_LENGTH = 273, 279, 513, 514
_PANASONIC_JPEG = 0x002E
_MAKER_NOTE, _EXIF = 0x927C, 0x8769
_MOST = 64  # previews of one file
_SWAPPING = {5, 6}  # LibRaw's values for a quarter turn
_PIXEL = 12  # bytes of a pixel of the sensor: its values, and four for each of the half size
_SMALLEST = 160 * 120  # pixels; smaller previews are not worth an answer

Opener = Callable[[bytes], Source]


def is_raw(structure: Structure) -> bool:
    """Whether a TIFF structure belongs to a camera raw file: it is a DNG, or a directory holds sensor data."""
    directories = structure.all_directories()
    for directory in directories:
        if _DNG_VERSION in directory.entries:
            return True
        if structure.integer(directory, 262, -1) in {layouts.CFA, layouts.LINEAR_RAW}:
            return True
    first = structure.directory(structure.first)
    maker = structure.text(first, 271).upper() if first else ""
    # Nikon and Sony: the first directory is a thumbnail of a file whose sensor data another directory holds
    if first is None or not maker.startswith(("NIKON", "SONY", "PENTAX")) or 330 not in first.entries:
        return False
    return bool(structure.integer(first, 254, 0) & 1) and not any(map(partial(_is_picture, structure), directories))


def _is_picture(structure: Structure, directory: Directory) -> bool:
    """Whether a directory holds a developed picture in full size, as that of a scanner."""
    whole = 254 in directory.entries and not structure.integer(directory, 254, 0) & 1
    return whole and structure.integer(directory, 262, -1) in {layouts.BLACK_IS_ZERO, layouts.RGB, layouts.YCBCR}


def opened(data: bytes, jpeg: Opener, max_pixels: int) -> Source:
    """The largest preview; ``jpeg`` opens a JPEG. Raises a ``BadImage``."""
    structure = Structure.of(data)
    if structure is not None and structure.directory(structure.first) is None:
        raise TruncatedImage("the RAW image is truncated: its directory is behind the end of the file")
    best: Source | None = None
    cut = False
    for begin, end in _previews(data, structure):
        if end > len(data):
            cut = True
            continue
        try:
            source = jpeg(data[begin:end])
        except BadImage:
            continue
        if best is None or source.width * source.height > best.width * best.height:
            best = source
    if best is None or (not cut and best.width * best.height < _SMALLEST):
        if cut:
            raise TruncatedImage("the RAW image is truncated: it ends within its preview")
        return best if best and not _has_rawpy() else _developed(data, max_pixels)
    if cut and best.width * best.height < _SMALLEST:
        raise TruncatedImage("the RAW image is truncated: it ends within its largest preview")
    exif = structure or _in_cr3(data)
    if best.turned == 1:
        best.turned = orientation(exif)
    best.format, best.preview = "RAW", True
    best.exif = exif or best.exif
    return best


def _previews(data: bytes, structure: Structure | None) -> Iterator[tuple[int, int]]:
    """Ranges of embedded JPEGs; some may be of another kind, such as the lossless JPEG of sensor data."""
    if data.startswith(b"FUJIFILMCCD-RAW"):
        if len(data) >= 92:
            at, length = struct.unpack_from(">II", data, 84)
            yield at, at + length
        return
    if structure is None:
        yield from _in_boxes(data)
        return
    count = 0
    for directory in structure.all_directories():
        for begin, length in _in_directory(data, structure, directory):
            if length > 0 and data[begin : begin + 3] == b"\xff\xd8\xff" and count < _MOST:
                count += 1
                yield begin, begin + length


def _in_directory(data: bytes, structure: Structure, directory: Directory) -> Iterator[tuple[int, int]]:
    at, length = structure.integer(directory, _JPEG, 0), structure.integer(directory, _JPEG_LENGTH, 0)
    yield at, length
    offsets, counts = structure.integers(directory, _STRIPS), structure.integers(directory, _COUNTS)
    sensor = structure.integer(directory, 262, -1) in {layouts.CFA, layouts.LINEAR_RAW}
    if len(offsets) == 1 and len(counts) == 1 and not sensor:
        yield offsets[0], counts[0]
    if entry := directory.entries.get(_PANASONIC_JPEG):
        yield entry.at, entry.count
    for exif_at in structure.integers(directory, _EXIF)[:1]:
        if (exif := structure.directory(exif_at)) and (note := exif.entries.get(_MAKER_NOTE)):
            yield from _in_maker_note(data, structure, note.at, note.count)


def _in_maker_note(data: bytes, structure: Structure, at: int, length: int) -> Iterator[tuple[int, int]]:
    """Olympus and Nikon keep their large preview in the maker's note, a structure of its own."""
    note = bytes(data[at : at + length])
    if note.startswith((b"OLYMPUS\0", b"OM SYSTEM\0")):
        inner, base = Structure(note, structure.order, 16 if note.startswith(b"OM") else 12, big=False), at
    elif note.startswith(b"Nikon\0") and (found := Structure.of(note[10:])):
        inner, base = found, at + 10
    else:
        return
    first = inner.directory(inner.first)
    if first is None:
        return
    places = [*inner.integers(first, 0x2020)[:1], *inner.integers(first, 0x0011)[:1]]
    found_here = (first.entries.get(0x2020), first.entries.get(0x0011))
    places += [entry.at for entry in found_here if entry is not None and entry.kind == 7]
    for place in places:
        if sub := inner.directory(place):
            for begin, size in ((0x0101, 0x0102), (_JPEG, _JPEG_LENGTH)):
                yield base + inner.integer(sub, begin, 0), inner.integer(sub, size, 0)


def _in_boxes(data: bytes) -> Iterator[tuple[int, int]]:
    """CR3: the full picture is the first track's sample in ``mdat``; a smaller one is in a ``uuid`` box (PRVW)."""
    for kind, begin, end in boxes(data):
        if kind == b"uuid":
            at = data.find(b"PRVW", begin, end)
            if at >= 0 and at + 20 <= end:
                (length,) = struct.unpack_from(">I", data, at + 16)
                yield at + 20, at + 20 + length
        elif kind == b"mdat" and data[begin : begin + 3] == b"\xff\xd8\xff":
            size = _first_sample(data)
            yield begin, begin + size if size else end


def _in_cr3(data: bytes) -> Structure | None:
    """The first directory of CR3's metadata (box ``CMT1``)."""
    at = data.find(b"CMT1", 0, 2**20)
    if at < 4 or not data.startswith(b"ftypcrx", 4):
        return None
    (size,) = struct.unpack_from(">I", data, at - 4)
    return Structure.of(data[at + 4 : at - 4 + size])


def _first_sample(data: bytes) -> int:
    """The size of the first track's sample (``stsz``); 0 if it is not told."""
    at = data.find(b"stsz", 0, 2**20)
    if at < 0 or at + 20 > len(data):
        return 0
    size, count = struct.unpack_from(">II", data, at + 8)
    if size:
        return int(size)
    return int(struct.unpack_from(">I", data, at + 16)[0]) if count else 0


def _has_rawpy() -> bool:
    try:
        import rawpy  # noqa: F401, PLC0415 - an extra
    except ImportError:
        return False
    return True


def _developed(data: bytes, max_pixels: int) -> Source:
    """The picture that LibRaw makes of the sensor's data, in half of the size."""
    if not _has_rawpy():
        raise UnsupportedImage("RAW without a preview that can be read: pip install 'wildtag[raw]'")
    import rawpy  # noqa: PLC0415 - as above

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            width, height = raw.sizes.width, raw.sizes.height
            check_size(width, height, max_pixels)
            if raw.sizes.flip in _SWAPPING:
                width, height = height, width
    except Exception as exc:
        raise _error(exc) from exc

    def load() -> Image.Image:
        try:
            with rawpy.imread(io.BytesIO(data)) as raw:
                pixels = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
        except Exception as exc:
            raise _error(exc) from exc
        return Image.fromarray(pixels).convert("RGB")  # LibRaw has turned it already

    return Source("RAW", width, height, load, exif=Structure.of(data), needs=width * height * _PIXEL)


def _error(exc: Exception) -> BadImage:
    import rawpy  # noqa: PLC0415 - as above

    if isinstance(exc, rawpy.LibRawFileUnsupportedError):
        return UnsupportedImage(f"RAW of a camera that is not known: {exc}")
    if isinstance(exc, rawpy.LibRawError):
        if "I/O" in str(exc) or "end of file" in str(exc).lower():
            return TruncatedImage(f"the RAW image is truncated: {exc}")
        if "memory" not in str(exc).lower():
            return DamagedImage(f"the RAW image cannot be decoded: {exc}")
    return translated(exc, "RAW")
