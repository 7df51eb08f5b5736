"""Somebody who attacks the API beside the load, with a key of the scope ``write``."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ops.chaos.captions import wildtag
from ops.chaos.world import World
from vectordb.errors import Permanent


@contextmanager
def attack(world: World, seed: int) -> Iterator[Any]:
    """The attacker, at work until the end of the block or ``stop``. Raises ``Permanent`` if there is no key."""
    module = importlib.import_module("ops.chaos.attacker")
    made = wildtag(("keys", "create", "attacker", "--scope", "write", "--json"), world.environment)
    if made.returncode:
        raise Permanent(f"no key for the attacker: {made.stderr[-500:]}")
    found = module.Attacker(world.gateway, json.loads(made.stdout)["key"], seed)
    found.start()
    try:
        yield found
    finally:
        found.stop()
