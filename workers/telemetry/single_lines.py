"""Lines of what has no logging of its own: the supervisor, and programs that write in a format of theirs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from workers.telemetry.formats import LogFormat, renderer
from workers.telemetry.redaction import Redactor
from workers.telemetry.values import SafeValues

# 23120:M 30 Nov 2026 16:08:03.701 * Running mode=standalone, port=0.
_REDIS = re.compile(r"(?P<pid>\d+):[A-Z] (?P<at>\d+ \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) (?P<mark>[.*#-]) (?P<said>.*)")
_MARKS = {".": "debug", "-": "info", "*": "info", "#": "warning"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LEVELS = ("debug", "info", "warning", "error", "critical")

Line = Callable[..., str]


def lines_in(form: LogFormat, redactor: Redactor | None = None) -> Line:
    """A function that makes a line: level, event, and fields by name. ``timestamp``: now when it is not given."""
    safe, render = SafeValues(redactor or Redactor()), renderer(form)

    def line(level: str, event: str, **fields: Any) -> str:
        fields.setdefault("timestamp", _now())
        return str(render(None, level, safe(None, level, {"level": level, "event": event, **fields})))

    return line


def of_redis(line: Line, process: str, least: str = "info") -> Callable[[str], str | None]:
    """Turns a line of a Redis or Valkey server into one of ours, and drops those below the level ``least``.

    The server's clock shows local time.
    """

    def turned(text: str) -> str | None:
        found = _REDIS.fullmatch(text.rstrip())
        if found is None:
            said, level, fields = text.strip(), "info", {}
        else:
            said, level = found["said"], _MARKS[found["mark"]]
            fields = {"pid": int(found["pid"]), "timestamp": _time(found["at"])}
        if not said or _LEVELS.index(level) < _LEVELS.index(least):
            return None
        return line(level, said, process=process, **fields)

    return turned


def _time(text: str) -> str:
    day, month, year, clock = text.split(" ")
    hour, minute, second = clock.split(":")
    whole, _, ms = second.partition(".")
    local = datetime(  # noqa: DTZ001 -- of this machine, as the server writes it
        int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(whole), int(ms) * 1000
    )
    return _text(local.astimezone(UTC))


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
