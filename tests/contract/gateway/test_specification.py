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
