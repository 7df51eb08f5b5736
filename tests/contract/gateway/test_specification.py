"""The committed specification is the application's own, and holds together."""

from __future__ import annotations

import json
import re
from typing import Any

from ops.openapi import FILE, text


def operations() -> list[dict[str, Any]]:
    paths = json.loads(FILE.read_text())["paths"]
    return [operation for methods in paths.values() for operation in methods.values()]


def test_the_committed_specification_is_the_applications() -> None:
    assert FILE.read_text() == text(), "write it anew: python -m ops.openapi"


def test_every_schema_that_is_referred_to_is_there() -> None:
    spec = json.loads(FILE.read_text())
    assert set(re.findall(r"#/components/schemas/(\w+)", FILE.read_text())) <= set(spec["components"]["schemas"])


def test_every_operation_has_an_id_of_its_own_that_generated_clients_can_use_as_a_name() -> None:
    ids = [operation["operationId"] for operation in operations()]
    assert len(ids) == len(set(ids))
    assert [name for name in ids if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", name)] == []
    assert {"uploadImage", "getImage", "listObjects", "watchFeed", "segmentImage", "receiveMinioEvents"} <= set(ids)


def test_every_operation_says_what_it_does() -> None:
    for operation in operations():
        assert operation["summary"], operation["operationId"]
        assert operation["description"].endswith("."), operation["operationId"]


def test_it_says_where_it_is_served_under_which_licence_and_what_needs_no_key() -> None:
    """What the recommended rules of Redocly ask for: no-empty-servers, info-license, security-defined."""
    spec = json.loads(FILE.read_text())
    assert spec["servers"]
    assert "example.com" not in json.dumps(spec["servers"])
    assert {"name", "identifier"} <= spec["info"]["license"].keys()
    schemes = set(spec["components"]["securitySchemes"])
    for operation in operations():
        assert "security" in operation, operation["operationId"]
        assert {name for one in operation["security"] for name in one} <= schemes
    without = {operation["operationId"] for operation in operations() if not operation["security"]}
    assert without == {"getHealth", "signIn", "signOut", "uploadByForm"}


def test_every_operation_has_a_response_of_success_and_one_of_an_error() -> None:
    """Redocly's operation-2xx-response and operation-4xx-response."""
    for operation in operations():
        for kind in "24":
            assert any(status.startswith(kind) for status in operation["responses"]), (operation["operationId"], kind)


def test_every_parameter_of_a_path_is_defined_and_used() -> None:
    """Redocly's path-parameters-defined, no-identical-paths and no-path-trailing-slash."""
    paths = json.loads(FILE.read_text())["paths"]
    assert len({re.sub(r"\{\w+\}", "{}", path) for path in paths}) == len(paths)
    for path, methods in paths.items():
        assert not path.endswith("/")
        assert "?" not in path
        for operation in methods.values():
            given = [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"]
            assert sorted(given) == sorted(re.findall(r"\{(\w+)\}", path)), path
            assert all(one["required"] for one in operation.get("parameters", []) if one["in"] == "path")


def test_bytes_are_described_as_generators_of_clients_understand_them() -> None:
    """They leave out what has only types such as image/* and image/webp."""
    for operation in operations():
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [answer.get("content", {}) for answer in operation["responses"].values()]
        for content in contents:
            if any(kind.startswith("image/") for kind in content):
                assert content["application/octet-stream"]["schema"] == {"type": "string", "format": "binary"}
                assert all(kind["schema"] for kind in content.values())
