"""The settings, from their pydantic class."""

from __future__ import annotations

import inspect
import re
import types
import typing
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ops.reference.markdown import code, plain, table
from workers.settings.settings import Settings
from workers.settings.variables import variable

UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "_rate": "per second"}
UNIT_WORDS = {
    "max_pixels": "pixels",
    "request_rate": "per second",
    "reconcile_rate": "per second",
}


def settings() -> str:
    """Every setting with its default and unit: one table per class, titled by its docstring."""
    parts = []
    for kind in Settings.__mro__:
        own = [name for name in inspect.get_annotations(kind) if name in Settings.model_fields]
        if own:
            rows = [_setting(name, Settings.model_fields[name]) for name in own]
            parts += [f"## {_title(kind)}\n"]
            parts += [table(("variable", "type", "default", "unit", "meaning"), rows)]
    return "\n".join(parts)


def _title(kind: type) -> str:
    """The first sentence of a class's docstring."""
    first = plain(kind.__doc__ or kind.__name__).splitlines()[0]
    return re.split(r"\.(?:\s|$)|;", first)[0]


def _setting(name: str, field: FieldInfo) -> list[str]:
    return [
        code(variable(name)), kind_of(field.annotation), code(_value(field)), unit_of(name),
        (field.description or "").rstrip(".") + ("." if field.repr else ". Secret: never shown."),
    ]  # fmt: skip


def unit_of(name: str) -> str:
    """The unit of a setting, which is in its name."""
    if name in UNIT_WORDS:
        return UNIT_WORDS[name]
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def _value(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "~/.local/share/wildtag" if field.annotation is Path else ""
    value = field.default
    if value is None or value is PydanticUndefined or value == ():
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def kind_of(annotation: Any) -> str:
    """A readable name of a type."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(code(str(one)) for one in inside)
    if origin is typing.Annotated:
        return kind_of(inside[0])
    if origin in (types.UnionType, typing.Union):
        return kind_of(next(one for one in inside if one is not type(None)))
    if origin is tuple:
        return "list, comma-separated"
    words = {str: "text", int: "integer", float: "number", bool: "`true`, `false`", Path: "path"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))
