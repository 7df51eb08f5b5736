"""What a video tells about when, how and where it was taken: metadata of QuickTime, MP4 and Matroska."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from tasks.images.media import camera_of
from tasks.images.source import Told

# Apple's is the local time with its zone; the other is UTC
_DATES = ("com.apple.quicktime.creationdate", "creation_time")
_MAKES = ("com.apple.quicktime.make", "com.android.manufacturer", "make")
_MODELS = ("com.apple.quicktime.model", "com.android.model", "model")
_PLACES = ("com.apple.quicktime.location.ISO6709", "location", "location-eng")
_WHEN = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.\d+)?(?:(Z)|([+-]\d{2}):?(\d{2}))?\Z")
_PLACE = re.compile(r"([+-])(\d{2}|\d{4}|\d{6})(\.\d+)?([+-])(\d{3}|\d{5}|\d{7})(\.\d+)?(?=[+-/]|\Z)")
_UNSET = frozenset({"1904-01-01", "1970-01-01"})  # where the clocks of containers and of systems begin


def told(metadata: Mapping[str, str]) -> Told:
    """Values that are malformed are left out, one by one."""
    make, model = (_text(_first(metadata, names)) for names in (_MAKES, _MODELS))
    return Told(_taken_at(metadata), camera_of(make, model), _place(_first(metadata, _PLACES)))


def _first(metadata: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((metadata[name] for name in names if metadata.get(name)), "")


def _text(value: str) -> str:
    return "".join(c for c in value[:400] if c.isprintable()).strip()[:200]


def _taken_at(metadata: Mapping[str, str]) -> str | None:
    for name in _DATES:
        found = _WHEN.match(metadata.get(name, "").strip())
        if found is None or found[1] in _UNSET:
            continue
        zone = found[3] or (f"{found[4]}:{found[5]}" if found[4] else "")
        try:
            datetime.fromisoformat(f"{found[1]}T{found[2]}{zone}")
        except ValueError:
            continue
        return f"{found[1]}T{found[2]}{zone}"
    return None


def _place(value: str) -> tuple[float, float] | None:
    """Latitude and longitude in degrees from ISO 6709's string form."""
    found = _PLACE.match(value.strip())
    if found is None:
        return None
    latitude, longitude = _degrees(found[1], found[2], found[3], 2), _degrees(found[4], found[5], found[6], 3)
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None


def _degrees(sign: str, digits: str, fraction: str | None, width: int) -> float:
    """``digits``: degrees of this width, then two each of minutes and seconds; the last one has the fraction."""
    parts = [digits[:width], *(digits[at : at + 2] for at in range(width, len(digits), 2))]
    parts[-1] += fraction or ""
    value = sum(float(part) / (1, 60, 3600)[at] for at, part in enumerate(parts))
    return round(-value if sign == "-" else value, 6)
