"""The generated parts of the reference: ``python -m ops.reference NAME`` prints one as Markdown.

Each function reads one source in the code. ``ops/documentation.py`` inserts the parts into the pages.
"""

from __future__ import annotations

from collections.abc import Callable

from ops.reference.commands import cli
from ops.reference.schemas import http, record
from ops.reference.settings import settings
from ops.reference.sizing import sizing
from ops.reference.sources import client, metrics, redis, side_files

__all__ = ["PARTS", "cli", "client", "http", "metrics", "record", "redis", "settings", "side_files", "sizing"]

PARTS: dict[str, Callable[[], str]] = {
    "cli": cli, "settings": settings, "http": http, "client": client, "record": record, "redis": redis,
    "metrics": metrics, "side_files": side_files, "sizing": sizing,
}  # fmt: skip
