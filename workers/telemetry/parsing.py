"""Reads log lines again, in each format, to select them."""

from __future__ import annotations

import json
import re
from typing import Any

_PAIR = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|\S*)')
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|.)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_HUMAN = re.compile(r"(?P<timestamp>\d{4}-\d\d-\d\dT\S+) \[(?P<level>\w+) *\] (?P<event>.*?)(?= +[^\s=]+=|$)")
_NAMED = {"n": "\n", "r": "\r", "t": "\t"}


def parsed(line: str) -> dict[str, Any]:
    """The fields of a line; empty if it is in no format of ours, such as the output of another program."""
    line = line.strip()
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    line = _COLOUR.sub("", line)
    fields: dict[str, Any] = {}
    if (human := _HUMAN.match(line)) is not None:
        fields.update(human.groupdict())
        line = line[human.end() :]
    elif not line.startswith("timestamp="):
        return {}
    fields.update((key, _value(value)) for key, value in _PAIR.findall(line))
    return fields


def mentions(fields: dict[str, Any], name: str, wanted: str) -> bool:
    """Whether a field, or the list of its plural, has a value."""
    if fields.get(name) == wanted:
        return True
    several = fields.get(f"{name}s")
    if isinstance(several, list):
        return wanted in several
    return isinstance(several, str) and repr(wanted) in several


def _value(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text[1:-1]) if text.startswith('"') and len(text) > 1 else text


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return _NAMED.get(code, code)
