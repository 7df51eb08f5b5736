"""Paths and parameters of requests."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote


def view(*, brief: bool) -> dict[str, str]:
    """The parameter that leaves out evidence."""
    return {"view": "brief"} if brief else {}


def time_of(since: datetime | float) -> str:
    """A time with a zone, or Unix seconds, as the gateway takes it. Raises ``ValueError`` without a zone."""
    if not isinstance(since, datetime):
        return repr(since)
    if since.tzinfo is None:
        raise ValueError("since has no time zone: give datetime(..., tzinfo=UTC)")
    return since.isoformat()


def image_path(name: str) -> str:
    """The path of an uploaded image. ``name``: its id."""
    return f"/v1/images/{quote(name, safe='')}"
