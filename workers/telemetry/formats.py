"""The formats of log lines: for people, ``logfmt``, and JSON with one object a line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import IO, Any, Literal

import structlog

from workers.telemetry.values import IN_JSON, TRACEBACKS, on_one_line

LogFormat = Literal["auto", "human", "logfmt", "json"]
FIRST = ("timestamp", "level", "event")
LAST = ("exception", "stack")  # they are long
_PLAIN = re.compile(r"[^\s\"=\\]+")


def chosen(wanted: LogFormat, output: IO[str] | None) -> LogFormat:
    """The format of a process that writes to ``output``: with ``auto`` for people on a terminal, else ``logfmt``."""
    if wanted != "auto":
        return wanted
    return "human" if output is not None and output.isatty() else "logfmt"


def renderer(form: LogFormat, *, colours: bool = False) -> structlog.typing.Processor:
    """The last processor of structlog, which makes the line. The values must be safe (``SafeValues``)."""
    return {"json": as_json, "logfmt": as_logfmt}.get(form) or _Human(colours=colours)


def colours(output: IO[str] | None) -> bool:
    """Whether lines for people are coloured."""
    return output is not None and output.isatty() and not os.environ.get("NO_COLOR")


def as_json(_logger: object, _name: str, event_dict: Mapping[str, Any]) -> str:
    """One JSON object, in UTF-8 when it is encoded, without line breaks."""
    line = json.dumps(_ordered(event_dict), ensure_ascii=False, allow_nan=False, default=str)
    return line if line.isascii() and "\x7f" not in line else line.translate(IN_JSON)


def as_logfmt(_logger: object, _name: str, event_dict: Mapping[str, Any]) -> str:
    """``key=value`` pairs. Values that are not one plain word are quoted, and control characters escaped."""
    return " ".join(f"{_name_of(key)}={_logfmt(value)}" for key, value in _ordered(event_dict).items())


class _Human:
    def __init__(self, *, colours: bool) -> None:
        self._line = structlog.dev.ConsoleRenderer(
            colors=colours, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        )

    def __call__(self, logger: Any, name: str, event_dict: Any) -> str:
        shown = {
            key: value if key in TRACEBACKS or not isinstance(value, str) else on_one_line(value)
            for key, value in event_dict.items()
        }
        for key in TRACEBACKS & shown.keys():  # several lines, as Python prints them
            shown[key] = "\n".join(map(on_one_line, str(shown[key]).split("\n")))
        return self._line(logger, name, shown)


def _ordered(event_dict: Mapping[str, Any]) -> dict[str, Any]:
    middle = [key for key in event_dict if key not in FIRST and key not in LAST]
    return {key: event_dict[key] for key in (*FIRST, *middle, *LAST) if key in event_dict}


def _name_of(key: str) -> str:
    return re.sub(r"[\s\"=]", "_", on_one_line(key))


def _logfmt(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else str(value)
    if _PLAIN.fullmatch(text) and on_one_line(text) == text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{on_one_line(escaped)}"'
