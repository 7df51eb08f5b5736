"""Which files are skipped, in a bucket or at an upload: neither their name nor their content is that of an image."""

from __future__ import annotations

from pathlib import PurePosixPath

NOT_AN_IMAGE = "not-an-image"
TOO_LARGE = "too-large"
IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo", ".jps", ".png", ".apng", ".gif",
    ".bmp", ".dib", ".ico", ".cur", ".tif", ".tiff", ".webp", ".avif", ".avifs", ".heic", ".heif", ".heics",
    ".heifs", ".hif", ".jxl", ".jp2", ".j2k", ".jpf", ".jpx", ".jpm", ".jpc", ".j2c", ".ppm", ".pgm", ".pbm",
    ".pnm", ".pam", ".pfm", ".qoi", ".psd", ".psb", ".tga", ".svg", ".svgz", ".exr", ".hdr", ".dng", ".cr2",
    ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw",
    ".3fr", ".iiq", ".mrw", ".x3f", ".erf", ".kdc", ".dcr", ".rwl",
})  # fmt: skip
"""Suffixes of images, also of formats that are not read: such a file fails with a reason."""
VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mpe", ".vob", ".m2ts",
    ".mts", ".flv", ".f4v", ".wmv", ".asf",
})  # fmt: skip
"""Suffixes of videos, which count where videos are tagged. ``.ts`` is that of TypeScript, too."""


def reason_to_skip(name: str, code: str, reason: str, *, video: bool) -> str | None:
    """Why a file that cannot be tagged is skipped; ``None`` if it fails.

    ``name``: its path or key. ``code``, ``reason``: of its fault. ``video``: whether videos are tagged, so that they
    count as images.
    """
    suffix = suffix_of(name)
    if suffix in IMAGE_SUFFIXES or (video and suffix in VIDEO_SUFFIXES):
        return None
    if code == TOO_LARGE and suffix:
        video_name = "that of a video, which is tagged where WILDTAG_VIDEO=true"
        kind = video_name if suffix in VIDEO_SUFFIXES else "not that of an image"
        return f"its name is {kind}, and it is too large to look into: {reason}"
    return f"neither its name nor its content is that of an image: {reason}" if code == NOT_AN_IMAGE else None


def suffix_of(name: str) -> str:
    """The suffix of a path or key, in lower case."""
    return PurePosixPath(name).suffix.lower()
