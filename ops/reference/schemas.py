"""HTTP and the record, from the specification and from the class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from ops.reference.markdown import code, plain, table
from workers.lifecycle.record import Record

ROOT = Path(__file__).parents[2]


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
        [code(p["name"]), p["in"], "yes" if p.get("required") else "", _kind(p.get("schema", {})),
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
    """A link to the heading of a model. Models with the same name are prefixed with their modules."""
    name = str(schema["$ref"]).rpartition("/")[2]
    return f"[{name.rpartition('.')[2]}](#{_anchor(name)})"


def _anchor(name: str) -> str:
    return "model-" + name.lower().replace(".", "-")


def _kind(schema: Any) -> str:
    """The type of a field. ``additionalProperties`` and the like may also be true, for anything."""
    if not isinstance(schema, dict):
        return "any"
    if "$ref" in schema:
        return _link(schema)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(dict.fromkeys(_kind(one) for one in choices if one.get("type") != "null"))
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values:
        return ", ".join(code(str(one)) for one in values)
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return kind if isinstance(kind, str) else " or ".join(kind)


def _model(name: str, one: dict[str, Any]) -> str:
    required = one.get("required", [])
    rows = [
        [code(field), _kind(schema), "yes" if field in required else "", schema.get("description", "")]
        for field, schema in one.get("properties", {}).items()
    ]
    parts = [f"### {name} {{#{_anchor(name)}}}\n"]
    if one.get("description"):
        parts.append(plain(one["description"]) + "\n")
    if rows:
        parts.append(table(("field", "type", "always", "meaning"), rows))
    elif "enum" in one:
        parts.append("One of " + ", ".join(code(str(value)) for value in one["enum"]) + ".\n")
    return "\n".join(parts)


def record() -> str:
    """The fields of a record and of what is in it, then its JSON Schema."""
    schema = msgspec.json.schema(Record)
    fields_of = schema["$defs"]["Record"]["properties"]
    del fields_of["entered_ms"]  # which clients see as times
    time = {"type": "string", "format": "date-time"}
    fields_of |= {
        "finished_at": time,
        "accepted_at": time,
        "stages": {"type": "object", "additionalProperties": time},
    }
    parts = []
    for name, one in schema["$defs"].items():
        fields = ([code(field), _kind(kind), code(_given(kind))] for field, kind in one["properties"].items())
        parts += [
            f"### {name.rpartition('.')[2]} {{#{_anchor(name)}}}\n",
            plain(one.get("description", "")) + "\n",
            table(("field", "type", "default"), fields),
        ]
    whole = json.dumps(schema, indent=2, ensure_ascii=False)
    return "\n".join([*parts, "## JSON Schema\n", f"```json\n{whole}\n```\n"])


def _given(kind: dict[str, Any]) -> str:
    return json.dumps(kind["default"]) if "default" in kind else ""
