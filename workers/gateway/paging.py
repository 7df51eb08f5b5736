"""The parameters of paged lists."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from workers.gateway.problems import Problem

Limit = Annotated[int, Query(ge=1, le=500, description="Maximum number of items.")]
Cursor = Annotated[str | None, Query(description="The `cursor` of the previous page.")]


def position(cursor: str | None) -> int:
    """The offset that a cursor stands for; 0 without one. Raises ``Problem``."""
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 12:
        raise Problem("bad-request", "the cursor is not valid")
    return int(cursor)
