"""The parameters that say how much of a record is shown, and the times that requests give."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from fastapi import Query

from workers.gateway.problems import Problem
from workers.lifecycle.record_view import FIELDS, FULL, UnknownFields, View, ViewName
from workers.lifecycle.times import BadTime, unix_seconds

Fields = Annotated[
    list[Annotated[str, Query(max_length=500)]],
    Query(
        max_length=50,
        description="Only these fields of each record or hit, with commas between them: `tags,finished_at`. Unknown"
        " ones are refused.",
    ),
]
Brief = Annotated[ViewName, Query(description="`brief`: without evidence, that of tags and segments included.")]


def shown(
    fields: Fields = [],  # noqa: B006 -- FastAPI copies it
    view: Brief = "full",
) -> View:
    """How much of the records is shown, as a FastAPI dependency. Raises ``Problem``."""
    return view_of(fields, view)


def view_of(fields: list[str], view: ViewName, known: Collection[str] = FIELDS) -> View:
    """The same, of rows with the fields ``known``. Raises ``Problem``."""
    if not fields and view == "full":
        return FULL
    try:
        return View.of(fields, view, known)
    except UnknownFields as exc:
        raise _invalid("fields", str(exc)) from exc


def since(
    since: Annotated[
        str | None,
        Query(
            max_length=40,
            description="Ignore a record whose `finished_at` is not later than this: RFC 3339, or Unix seconds.",
        ),
    ] = None,
) -> float:
    """A time in Unix seconds, as a FastAPI dependency; 0 without one. Raises ``Problem``."""
    try:
        return 0.0 if since is None else unix_seconds(since)
    except BadTime as exc:
        raise _invalid("since", str(exc)) from exc


def _invalid(name: str, reason: str) -> Problem:
    errors = [{"where": f"query.{name}", "reason": reason}]
    return Problem("invalid", f"query.{name}: {reason}", errors=errors)
