"""A manifest of captions as ``--json`` prints it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from workers.lifecycle.times import rfc3339

if TYPE_CHECKING:  # keeps the command line quick
    from vectordb.library import Manifest


def manifest_json(manifest: Manifest) -> dict[str, Any]:
    """Its fields. What is stored has the time zone of the machine that made it; here the time is in UTC."""
    created = rfc3339(datetime.fromisoformat(manifest.created).timestamp())
    return {**msgspec.to_builtins(manifest), "created": created}
