"""Times that options name: a date, a time, or an age."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

AGES = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since_of(given: str | None) -> float | None:
    """Unix seconds of a date, a time, or an age such as 36h. Raises ``typer.BadParameter``."""
    if given is None:
        return None
    try:
        if age := re.fullmatch(r"(\d{1,9})([smhdw])", given):
            return (datetime.now(UTC) - timedelta(**{AGES[age[2]]: int(age[1])})).timestamp()
        moment = datetime.fromisoformat(given)
        return (moment if moment.tzinfo else moment.astimezone()).timestamp()
    except OverflowError:
        raise typer.BadParameter(f"{given!r} is before the year 1") from None
    except ValueError:
        raise typer.BadParameter(f"{given!r} is neither a date such as 2025-06-01 nor an age such as 36h") from None
