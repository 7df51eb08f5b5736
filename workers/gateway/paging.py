"""The parameters of paged lists."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, TypeVar

import msgspec
from fastapi import Query

from vectordb.decoders import from_json
from workers.gateway.problems import Problem
from workers.images.ranked_lists import INVALID_CURSOR

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=500, description="Maximum number of items.")]
Cursor = Annotated[str | None, Query(description="The `cursor` of the previous page.")]


def position(cursor: str | None) -> int:
    """The offset that a cursor stands for; 0 without one. Raises ``Problem``."""
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 12:
        raise Problem("bad-request", INVALID_CURSOR)
    return int(cursor)


def packed(place: tuple[str, ...]) -> str:
    """The cursor of a place that is given by texts."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def unpacked(cursor: str, kind: type[T]) -> T:
    """The place of a cursor that ``packed`` made. Raises ``Problem``."""
    try:
        return from_json(urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)), kind)
    except (ValueError, msgspec.DecodeError) as exc:
        raise Problem("bad-request", INVALID_CURSOR) from exc
