"""Times as clients see them: RFC 3339 in UTC, with milliseconds and ``Z``. What is stored are Unix seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

TIME_FIELDS = frozenset({
    "accepted_at", "acknowledged_at", "at", "created", "created_at", "died_at", "expires_at", "finished_at",
    "refilling_since", "said_at", "since",
})  # fmt: skip
"""Fields that hold Unix seconds where they are stored."""

LATEST = 253_402_300_799.0
"""The last second of the year 9999, the last one that RFC 3339 can write."""


class BadTime(ValueError):
    """This is neither a time of RFC 3339 nor a number of Unix seconds."""


def rfc3339(seconds: float) -> str:
    """A time in Unix seconds as ``2026-01-31T08:15:30.250Z``. Parts of a millisecond are cut off."""
    whole, thousandths = divmod(milliseconds(seconds), 1000)
    moment = datetime.fromtimestamp(whole, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{thousandths:03d}Z"


def rfc3339_or_none(seconds: float | None) -> str | None:
    """The same; ``None`` for no time."""
    return None if seconds is None else rfc3339(seconds)


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, as ``rfc3339`` writes them. Compare times of clients by these."""
    return math.floor(min(max(seconds, 0.0), LATEST) * 1000 + 1e-3)  # what has three decimals keeps them


def unix_seconds(text: str) -> float:
    """The time of a client, RFC 3339 or a number of Unix seconds. Raises ``BadTime``."""
    try:
        found = float(text)
    except ValueError:
        found = _parsed(text)
    if not 0 <= found <= LATEST:
        raise BadTime(_expected(text))
    return found


def public(body: Any) -> Any:
    """A body for JSON, in which the numbers of ``TIME_FIELDS``, in all its parts, and ``datetime``s are times."""
    return _public(msgspec.to_builtins(body, builtin_types=(datetime,)))


def _public(body: Any) -> Any:
    if isinstance(body, Mapping):
        return {name: _time(value) if name in TIME_FIELDS else _public(value) for name, value in body.items()}
    if isinstance(body, list | tuple):
        return list(map(_public, body))
    return rfc3339(body.timestamp()) if isinstance(body, datetime) else body


def _time(value: Any) -> Any:
    return rfc3339(value) if isinstance(value, int | float) else _public(value)


def _parsed(text: str) -> float:
    # a blank stands for the plus sign of a zone that was not encoded in a URL
    given = text.strip().upper()
    given = given.replace(" ", "+") if "T" in given else given
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as exc:
        raise BadTime(_expected(text)) from exc
    if moment.tzinfo is None:
        raise BadTime(f"{_expected(text)}, with a time zone")
    try:
        return moment.timestamp()
    except (OverflowError, ValueError) as exc:
        raise BadTime(_expected(text)) from exc


def _expected(text: str) -> str:
    return f"{text[:40]!r} is no time: give RFC 3339, such as 2026-01-31T08:15:30.250Z"
