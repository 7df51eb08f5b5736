"""Times as people read them in a terminal: in the zone of this machine."""

from __future__ import annotations

from datetime import UTC, datetime

from workers.lifecycle.times import unix_seconds


def local_time(at: float | str) -> str:
    """A time, such as ``2026-01-31 09:15:30+01:00``. ``at``: Unix seconds, or RFC 3339. Raises ``BadTime``."""
    seconds = unix_seconds(at) if isinstance(at, str) else at
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(" ", "seconds")
