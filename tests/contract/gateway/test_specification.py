"""The committed specification is the application's own, and holds together."""

from __future__ import annotations

import json
import re

from ops.openapi import FILE, text


def test_the_committed_specification_is_the_applications() -> None:
    assert FILE.read_text() == text(), "write it anew: python -m ops.openapi"


def test_every_schema_that_is_referred_to_is_there() -> None:
    spec = json.loads(FILE.read_text())
    assert set(re.findall(r"#/components/schemas/(\w+)", FILE.read_text())) <= set(spec["components"]["schemas"])
