"""What the record tells about the file: format, size, frames, and what EXIF or a video
says about when and how it was taken.

Values that are malformed are left out, one by one.
"""

from __future__ import annotations

import re
from datetime import datetime

from tasks.images.source import Source
from tasks.images.structure import Directory, Structure
from tasks.message_parts import Media

_MAKE, _MODEL, _DATE, _EXIF, _GPS = 271, 272, 306, 0x8769, 0x8825
_TAKEN, _DIGITISED, _ZONE, _ZONE_TAKEN, _ZONE_DIGITISED = 0x9003, 0x9004, 0x9010, 0x9011, 0x9012
_WHEN = re.compile(r"(\d{4})[:\-/.](\d{2})[:\-/.](\d{2})[ T](\d{2}):(\d{2}):(\d{2})")
_OFFSET = re.compile(r"(?:[+-](?:0\d|1[0-4]):[0-5]\d|Z)\Z")


def media_of(source: Source, size: int, *, gps: bool = False) -> Media:
    """The media of an opened image whose file has ``size`` bytes. ``gps``: with the place where it was taken."""
    width, height = source.width, source.height
    if source.turned >= 5:
        width, height = height, width
    taken_at, camera = source.told.taken_at, source.told.camera
    place = source.told.place if gps else None
    if source.exif is not None and (first := source.exif.directory(source.exif.first)):
        taken_at = _taken_at(source.exif, first)
        camera = camera_of(source.exif.text(first, _MAKE), source.exif.text(first, _MODEL))
        place = _place(source.exif, first) if gps else None
    return Media(
        format=source.format, width=width, height=height, bytes=size, frames=source.frames, taken_at=taken_at,
        camera=camera, preview=source.preview, latitude=place[0] if place else None,
        longitude=place[1] if place else None, warnings=tuple(source.warnings),
    )  # fmt: skip


def _sub(structure: Structure, first: Directory, tag: int) -> Directory | None:
    at = structure.integer(first, tag, 0)
    return structure.directory(at) if at else None


def _taken_at(structure: Structure, first: Directory) -> str | None:
    exif = _sub(structure, first, _EXIF)
    places = [(exif, _TAKEN, _ZONE_TAKEN), (exif, _DIGITISED, _ZONE_DIGITISED), (first, _DATE, _ZONE)]
    for directory, tag, zone_tag in places:
        if directory is None or not (found := _WHEN.match(structure.text(directory, tag))):
            continue
        try:
            when = datetime(*(int(part) for part in found.groups()))  # type: ignore[arg-type] # noqa: DTZ001 - local
        except ValueError:  # "0000:00:00 00:00:00" of a camera whose clock was never set
            continue
        zone = structure.text(exif, zone_tag) if exif is not None else ""
        return when.isoformat() + (zone if _OFFSET.match(zone) else "")
    return None


def camera_of(make: str, model: str) -> str | None:
    """The name of a camera: maker and model, the maker once."""
    if make and model.lower().startswith(make.split(maxsplit=1)[0].lower()):
        make = ""
    return " ".join(part for part in (make, model) if part) or None


def _place(structure: Structure, first: Directory) -> tuple[float, float] | None:
    gps = _sub(structure, first, _GPS)
    if gps is None:
        return None
    latitude = _degrees(structure, gps, 2, structure.text(gps, 1), 90.0)
    longitude = _degrees(structure, gps, 4, structure.text(gps, 3), 180.0)
    return None if latitude is None or longitude is None else (latitude, longitude)


def _degrees(structure: Structure, gps: Directory, tag: int, side: str, most: float) -> float | None:
    parts = structure.values(gps, tag, 3)
    if len(parts) != 3 or side not in {"N", "S", "E", "W"}:
        return None
    value = parts[0] + parts[1] / 60 + parts[2] / 3600
    if not 0 <= value <= most:  # false for NaN as well
        return None
    return round(-value if side in {"S", "W"} else value, 6)
