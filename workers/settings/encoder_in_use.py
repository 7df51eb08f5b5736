"""The encoder that a switch has put into use in an embedded home: a file, so that it is known while no stack runs.

The truth is in Redis (``workers.redis.encoders``); this file follows it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "encoder.json"
NEXT = "next:"
"""Ends the prefix of the keys of what another encoder prepares."""


def chosen_in(home: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the encoder in use in this home; none if those that are given are to be taken.

    They are if they name an encoder that no switch has replaced.
    """
    try:
        found = json.loads((home / FILE).read_text(encoding="utf-8"))
        encoder, runtime, replaced = str(found["encoder"]), str(found["runtime"]), list(found["replaced"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if given.get("encoder", encoder) not in {encoder, *replaced}:
        return {}
    return {"encoder": encoder, "runtime": runtime}


def refused_in(home: Path, encoder: str) -> str | None:
    """The encoder in use in this home, if a switch has put it into use and this one is neither it nor one before."""
    found = chosen_in(home, {})
    return str(found["encoder"]) if found and not chosen_in(home, {"encoder": encoder}) else None


def write(home: Path, encoder: str, runtime: str, replaced: tuple[str, ...]) -> None:
    """Note the encoder in use. Replaces the file atomically."""
    draft = home / f".{FILE}.{os.getpid()}"
    draft.write_text(json.dumps({"encoder": encoder, "runtime": runtime, "replaced": replaced}), encoding="utf-8")
    draft.replace(home / FILE)


def forget(home: Path) -> None:
    """Note that no switch has put an encoder into use."""
    (home / FILE).unlink(missing_ok=True)
