"""Recognises formats by their first bytes: those that are read, and those that are named when they are refused."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec

from PIL import Image

from tasks.images.box_items import coders
from tasks.images.boxes import brands
from tasks.images.containers import AUDIO, EITHER, VIDEOS, video_kind, with_article
from tasks.images.errors import BadImage, NotAnImage, UnsupportedImage

# by Pillow, without any extra. Only these are tried, so that no decoder is used that runs another program (EPS) or
# has no signature (TGA)
FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
HEIC, JXL, RAW = "HEIC", "JPEG XL", "RAW"
# format → the extra that reads it, and its module
EXTRAS = {HEIC: ("heif", "pi_heif"), JXL: ("jxl", "imagecodecs"), **dict.fromkeys(VIDEOS, ("video", "av"))}
_TYPES = {
    "AVIF": "image/avif", "BMP": "image/bmp", "GIF": "image/gif", "ICO": "image/x-icon", "JPEG": "image/jpeg",
    "JPEG2000": "image/jp2", "PNG": "image/png", "PPM": "image/x-portable-anymap", "TIFF": "image/tiff",
    "WEBP": "image/webp", HEIC: "image/heic", JXL: "image/jxl", RAW: "image/x-raw",
    **{kind: media_type for kind, (_, media_type) in VIDEOS.items()},
}  # fmt: skip
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"),
    (b"FUJIFILMCCD-RAW", RAW), (b"IIU\0", RAW), (b"IIRO", RAW), (b"IIRS", RAW), (b"MMOR", RAW),
    (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"),
    (b"\xff\x4f\xff\x51", "JPEG2000"), (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x0a", JXL), (b"\0\0\0\x0cJXL \r\n\x87\n", JXL),
)  # fmt: skip
_BRANDS = (
    (frozenset({b"crx "}), RAW), (frozenset({b"avif", b"avis"}), "AVIF"),
    (frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}), HEIC),
)  # fmt: skip
_STILL = frozenset({b"avif", b"avis", b"heic", b"heix", b"mif1", b"mif2", b"miaf", b"MA1A", b"MA1B"})
_CODERS = frozenset({b"av01", b"hvc1"})
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:(?:<\?xml[^>]*>|<!--.*?-->|<!doctype\s+(?P<doc>\w+)[^>]*>)\s*)*"
    rb"(?:<(?P<root>[a-z]+)\b)?", re.IGNORECASE | re.DOTALL,
)  # fmt: skip
_UNREAD = (
    (b"%PDF-", "a PDF document"), (b"%!PS", "a PostScript document"), (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"8BPS", "a Photoshop document"), (b"gimp xcf", "a GIMP document"),
    (b"\x00\x00\x01\xb3", "an MPEG video without a container"), (b"\x1f\x8b", "a gzip archive"),
    (b"PK\x03\x04", "a ZIP archive or office document"), (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xd0\xcf\x11\xe0", "an office document"), (b"ID3", "an MP3 audio file"), (b"OggS", "an Ogg file"),
    (b"\x7fELF", "a program"), (b"MZ", "a program"), (b"fLaC", "a FLAC audio file"),
)  # fmt: skip
_PICTURES = (
    (b"\x76\x2f\x31\x01", "an OpenEXR image"), (b"#?RADIANCE", "a Radiance HDR image"), (b"DDS ", "a DDS texture"),
    (b"\xabKTX", "a KTX texture"), (b"qoif", "a QOI image"), (b"BPG\xfb", "a BPG image"), (b"SDPX", "a DPX image"),
    (b"XPDS", "a DPX image"), (b"SIMPLE  =", "a FITS image"), (b"II\xbc", "a JPEG XR image"),
    (b"icns", "an Apple icon"), (b"P7\n", "a PAM image"), (b"PF\n", "a colour PFM image"),
    (b"FOVb", "a Sigma camera raw file (X3F)"),
)  # fmt: skip
_NOT = "not an image in a supported format"
HEAD = 4096  # bytes that are enough to recognise a format


def kind_of(data: bytes, *, video: bool = False) -> str | None:
    """The format of an image that wildtag reads, some with an extra; ``None`` for anything else.

    Camera raw files with the structure of TIFF (DNG, NEF, ARW) are ``TIFF`` here. ``video``: videos as well.
    """
    found = _image_kind(data[:HEAD])
    return video_kind(data[:HEAD]) if found is None and video else found


def _image_kind(head: bytes) -> str | None:
    if head[8:11] == b"CR\x02":
        return RAW
    if head[12:16] == b"CgBI":
        return None
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head.startswith(b"RIFF"):
        return "WEBP" if head[8:12] == b"WEBP" else None
    return _by_brand(head) or _by_pillow(head)


def _by_brand(head: bytes) -> str | None:
    found = set(brands(head))
    if found & _STILL and (coded := _CODERS & coders(head)):  # what is in the file tells more than what it is called
        return "AVIF" if coded == {b"av01"} else HEIC
    return next((kind for known, kind in _BRANDS if found & known), None)


def recognised(head: bytes, *, video: bool = False) -> str | None:
    """The media type of an image that is read here, with these first bytes (at least 16); ``None`` for anything else.

    Decodes nothing, so the rest may be damaged. ``video``: videos as well, some of which need ``HEAD`` bytes.
    """
    kind = kind_of(head, video=video)
    return None if kind is None or missing_extra(kind) else _TYPES[kind]


def refusal(head: bytes, *, video: bool = False) -> BadImage:
    """Why bytes with this beginning (better ``HEAD`` of them) are not read: names what they are."""
    kind = kind_of(head, video=video)
    extra = missing_extra(kind) if kind else None
    if extra:
        return UnsupportedImage(f"{kind}: pip install 'wildtag[{extra}]'")
    if head[12:16] == b"CgBI":
        return UnsupportedImage("a PNG in Apple's CgBI variant, which only iOS reads; export it as a plain PNG")
    not_read = f"{_NOT} ({read_formats(video=video)})"
    for signature, name in _PICTURES:
        if head.startswith(signature):
            return UnsupportedImage(f"{name}, which is {not_read}")
    if found := video_kind(head):
        return NotAnImage(f"{with_article(found)}: videos are tagged where WILDTAG_VIDEO=true; it is {not_read}")
    named = _named(head)
    return NotAnImage(f"{named}, {not_read}" if named else not_read)


def read_formats(*, video: bool = False) -> str:
    """The formats that this installation reads, for messages."""
    base = [name.replace("JPEG2000", "JPEG 2000").replace("WEBP", "WebP") for name in pillow_formats()]
    more = [kind for kind in (HEIC, JXL) if not missing_extra(kind)]
    videos = [kind for kind in VIDEOS if kind != EITHER and not missing_extra(kind)] if video else []
    return ", ".join([*base, *more, "camera raw", *videos])


@cache
def missing_extra(kind: str) -> str | None:
    """The extra that has to be installed to read this format; ``None`` if it can be read."""
    if kind not in EXTRAS:
        return None
    extra, module = EXTRAS[kind]
    return None if find_spec(module) else extra


@cache
def pillow_formats() -> tuple[str, ...]:
    """Those of ``FORMATS`` that this build of Pillow can open."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _by_pillow(head: bytes) -> str | None:
    for name in ("BMP", "ICO", "PPM"):
        accept = Image.OPEN[name][1] if name in pillow_formats() else None
        if accept and accept(head[:16]) is True:
            return name
    return None


def _named(head: bytes) -> str:
    if AUDIO.intersection(brands(head)[:1]):
        return "an MPEG-4 audio file"
    if head.startswith(b"RIFF"):
        return "a WAV audio file" if head[8:12] == b"WAVE" else "a RIFF file"
    for signature, name in _UNREAD:
        if head.startswith(signature):
            return name
    return _markup(head)


def _markup(head: bytes) -> str:
    found = _MARKUP.match(head[:HEAD])
    document, root = ((found[name] or b"").lower() for name in ("doc", "root")) if found else (b"", b"")
    if b"svg" in {root, document}:
        return "an SVG drawing"
    if root in {b"html", b"head", b"body"} or document == b"html":
        return "an HTML page"
    return "an XML document" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml") else ""
