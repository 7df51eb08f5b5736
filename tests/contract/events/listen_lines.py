"""Lines as the listen API sends them."""

from __future__ import annotations

from tests.unit.events.samples import record, value


def line(key: str) -> bytes:
    return value(record(key=key, encoded=False)) + b"\n"
