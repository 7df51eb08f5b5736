"""The generated parts of the reference: ``python -m ops.reference NAME`` prints one as Markdown.

Each function reads one source in the code and gives Markdown. ``ops/documentation.py`` puts the parts into the pages.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import typer.main
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import workers.client
from workers.cli.main import app
from workers.lifecycle.record import Record
from workers.redis import keys
from workers.settings.settings import Settings

ROOT = Path(__file__).parents[1]
UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "_days": "days", "_rate": "per second"}
UNIT_WORDS = {
    "max_pixels": "pixels",
    "cache_days": "days",
    "request_rate": "per second",
    "reconcile_rate": "per second",
}
METRICS = {"Counter", "Histogram", "Gauge", "CounterMetricFamily", "GaugeMetricFamily"}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; cells are kept on one line."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


# -- the command line


def cli() -> str:
    """Every command, with its arguments and options."""
    parts = [_command(names, command) for names, command in commands()]
    return "\n".join(parts)


def commands() -> Iterator[tuple[list[str], Any]]:
    """Each command that does something, with the words that call it, in the order of the help."""
    yield from _below(["wildtag"], typer.main.get_command(app))


def _below(names: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    inside: dict[str, Any] = getattr(command, "commands", {})
    if not inside:
        yield names, command
    for name, one in inside.items():
        yield from _below([*names, name], one)


def _command(names: list[str], command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and "--help" not in p.opts]
    usage = [*names, *(["[OPTIONS]"] if options else []), *(_metavar(p) for p in arguments)]
    parts = [
        f"## `{' '.join(names)}`\n",
        inspect.cleandoc(command.help or "") + "\n",
        f"```text\n{' '.join(usage)}\n```\n",
    ]
    if arguments:
        rows = ([_code(_metavar(p)), str(getattr(p, "help", "") or "")] for p in arguments)
        parts.append(table(("argument", "meaning"), rows))
    if options:
        rows = ([_code(_flags(p)), _code(_default(p)), str(getattr(p, "help", "") or "")] for p in options)
        parts.append(table(("option", "default", "meaning"), rows))
    return "\n".join(parts)


def _metavar(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.rstrip("_").upper())
    name += "…" if parameter.nargs == -1 else ""
    return name if parameter.required else f"[{name}]"


def _flags(parameter: Any) -> str:
    flags = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return flags if parameter.is_flag else f"{flags} {parameter.metavar or _shape(parameter)}"


def _shape(parameter: Any) -> str:
    """What an option takes: its choices, or the name of its type."""
    annotation = parameter.type_descriptor.annotation
    inside = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return "|".join(inside)
    kind = inside[0] if inside else annotation
    return {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(kind, "VALUE")


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or callable(value) or getattr(parameter, "is_flag", False) or isinstance(value, list | tuple):
        return ""
    return str(value)


# -- settings


def settings() -> str:
    """Every setting with its default and unit: one table for each class that declares some, under what it says."""
    parts = []
    for kind in Settings.__mro__:
        own = [name for name in inspect.get_annotations(kind) if name in Settings.model_fields]
        if own:
            rows = [_setting(name, Settings.model_fields[name]) for name in own]
            parts += [f"## {_plain(kind.__doc__ or kind.__name__).splitlines()[0].rstrip('.')}\n"]
            parts += [table(("variable", "type", "default", "unit", "meaning"), rows)]
    return "\n".join(parts)


def _setting(name: str, field: FieldInfo) -> list[str]:
    return [
        _code(f"WILDTAG_{name.upper()}"), kind_of(field.annotation), _code(_value(field)), unit_of(name),
        (field.description or "") + (". Never shown." if not field.repr else ""),
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
    """A type as people read it."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(_code(str(one)) for one in inside)
    if origin is typing.Annotated:
        return kind_of(inside[0])
    if origin in (types.UnionType, typing.Union):
        return kind_of(next(one for one in inside if one is not type(None)))
    if origin is tuple:
        return "list, comma-separated"
    words = {str: "text", int: "integer", float: "number", bool: "`true`, `false`", Path: "path"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


# -- HTTP


def http() -> str:
    """Every route of the gateway, by topic, from its specification."""
    specification = json.loads((ROOT / "ops" / "openapi.json").read_text())
    topics: dict[str, list[str]] = {}
    for path, methods in specification["paths"].items():
        for method, one in methods.items():
            topic = (one.get("tags") or ["other"])[0]
            topics.setdefault(topic, []).append(_route(method.upper(), path, one))
    parts = [f"## {topic}\n\n" + "\n".join(routes) for topic, routes in topics.items()]
    models = ["## Models\n", *(_model(name, one) for name, one in specification["components"]["schemas"].items())]
    return "\n".join([*parts, *models])


def _route(method: str, path: str, one: dict[str, Any]) -> str:
    parts = [f"### `{method} {path}`\n", (one.get("description") or one.get("summary") or "").strip() + "\n"]
    given = [
        [_code(p["name"]), p["in"], "yes" if p.get("required") else "", _kind(p.get("schema", {})),
         p.get("description") or p.get("schema", {}).get("description", "")]
        for p in one.get("parameters", [])
    ]  # fmt: skip
    if given:
        parts.append(table(("parameter", "in", "required", "type", "meaning"), given))
    body = one.get("requestBody", {}).get("content", {})
    if body:
        taken = (f"`{media}`" + _of(content.get("schema", {})) for media, content in body.items())
        parts.append("Body: " + ", ".join(taken) + ".\n")
    answers = [
        [code, (answer.get("description") or "") + "".join(map(_of, _schemas(answer)))]
        for code, answer in one.get("responses", {}).items()
    ]
    parts.append(table(("status", "answer"), answers))
    return "\n".join(parts)


def _schemas(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [content.get("schema", {}) for content in answer.get("content", {}).values()]


def _of(schema: dict[str, Any]) -> str:
    return f" ({_link(schema)})" if "$ref" in schema else ""


def _link(schema: dict[str, Any]) -> str:
    """A link to the heading of a model; two of one name have their modules before it."""
    name = str(schema["$ref"]).rpartition("/")[2]
    return f"[{name.rpartition('.')[2]}](#{_anchor(name)})"


def _anchor(name: str) -> str:
    return "model-" + name.lower().replace(".", "-")


def _kind(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "any"
    if "$ref" in schema:
        return _link(schema)
    for many in ("anyOf", "oneOf"):
        if many in schema:
            return " or ".join(dict.fromkeys(_kind(one) for one in schema[many] if one.get("type") != "null"))
    if "enum" in schema:
        return ", ".join(_code(str(one)) for one in schema["enum"])
    if "const" in schema:
        return _code(str(schema["const"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    return str(kind) if isinstance(kind, str) else " or ".join(kind)


def _model(name: str, one: dict[str, Any]) -> str:
    required = one.get("required", [])
    rows = [
        [_code(field), _kind(schema), "yes" if field in required else "", schema.get("description", "")]
        for field, schema in one.get("properties", {}).items()
    ]
    parts = [f"### {name} {{#{_anchor(name)}}}\n"]
    if one.get("description"):
        parts.append(_plain(one["description"]) + "\n")
    if rows:
        parts.append(table(("field", "type", "always", "meaning"), rows))
    elif "enum" in one:
        parts.append("One of " + ", ".join(_code(str(value)) for value in one["enum"]) + ".\n")
    return "\n".join(parts)


# -- the record


def record() -> str:
    """The fields of a record and of what is in it, then its JSON Schema."""
    schema = msgspec.json.schema(Record)
    parts = []
    for name, one in schema["$defs"].items():
        fields = ([_code(field), _kind(kind), _code(_given(kind))] for field, kind in one["properties"].items())
        parts += [
            f"### {name.rpartition('.')[2]} {{#{_anchor(name)}}}\n",
            _plain(one.get("description", "")) + "\n",
            table(("field", "type", "default"), fields),
        ]
    whole = json.dumps(schema, indent=2, ensure_ascii=False)
    return "\n".join([*parts, "## JSON Schema\n", f"```json\n{whole}\n```\n"])


def _given(kind: dict[str, Any]) -> str:
    return json.dumps(kind["default"]) if "default" in kind else ""


# -- Redis keys and metrics


def redis() -> str:
    """The layout of the keys, from the module that names them."""
    lines = inspect.cleandoc(keys.__doc__ or "").splitlines()
    rules = [at for at, line in enumerate(lines) if re.fullmatch(r"[= ]*=", line)]
    if len(rules) < 3:  # noqa: PLR2004 -- above and below its head, and at its end
        raise ValueError("the documentation of workers/redis/keys.py has no table")
    starts = [found.start() for found in re.finditer("=+", lines[rules[0]])]

    def cells(line: str) -> list[str]:
        ends = [*starts[1:], len(line) + 1]
        return [line[begin:end].strip() for begin, end in zip(starts, ends, strict=True)]

    rows: list[list[str]] = []
    for line in lines[rules[1] + 1 : rules[2]]:
        parts = cells(line)
        if parts[0] or not rows:
            rows.append(parts)
        else:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], parts, strict=True)]
    shown = table(cells(lines[rules[0] + 1]), ([_plain(cell) for cell in row] for row in rows))
    return "\n".join([_plain("\n".join(lines[2 : rules[0]])) + "\n", shown, _plain("\n".join(lines[rules[2] + 1 :]))])


def metrics() -> str:
    """The metrics of the gateway, from the calls that make them."""
    rows = []
    for file in sorted((ROOT / "workers").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and (found := _metric(node)):
                rows.append(found)
    return table(("metric", "type", "labels", "meaning"), {row[0]: row for row in rows}.values())


def _metric(call: ast.Call) -> list[str] | None:
    kind = call.func.id if isinstance(call.func, ast.Name) else ""
    told = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if kind not in METRICS or not told or not told[0].startswith("wildtag_"):
        return None
    lists = [
        one
        for one in [*call.args, *(k.value for k in call.keywords if k.arg == "labels")]
        if isinstance(one, ast.List)
    ]
    labels = [str(one.value) for found in lists[:1] for one in found.elts if isinstance(one, ast.Constant)]
    what = kind.removesuffix("MetricFamily").lower()
    name = told[0] + ("_total" if what == "counter" else "")
    return [_code(name), what, ", ".join(map(_code, labels)), told[1] if len(told) > 1 else ""]


# -- the Python client


def client() -> str:
    """The methods of the client with what they say, and its errors."""
    parts = []
    for name, method in vars(workers.client.Client).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            parts += [f"### `{name}{_signature(method)}`\n", _plain(method.__doc__ or "") + "\n"]
    errors = [one for one in vars(workers.client).values() if inspect.isclass(one) and issubclass(one, Exception)]
    rows = ([_code(one.__name__), _plain(one.__doc__ or "").split("\n\n")[0]] for one in errors)
    return "\n".join([*parts, "## Errors\n", table(("error", "meaning"), rows)])


def _signature(method: Callable[..., object]) -> str:
    signature = inspect.signature(method)
    own = [one.replace(annotation=inspect.Parameter.empty) for one in list(signature.parameters.values())[1:]]
    return str(signature.replace(parameters=own, return_annotation=inspect.Signature.empty))


def _plain(text: str) -> str:
    """A docstring as Markdown: without its indentation, and with Markdown's literals."""
    return re.sub(r"``(.+?)``", r"`\1`", inspect.cleandoc(text), flags=re.DOTALL)


PARTS: dict[str, Callable[[], str]] = {
    "cli": cli, "settings": settings, "http": http, "client": client, "record": record, "redis": redis,
    "metrics": metrics,
}  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PARTS:  # noqa: PLR2004 -- the program and the part
        raise SystemExit(f"usage: python -m ops.reference {'|'.join(PARTS)}")
    print(PARTS[sys.argv[1]]())
