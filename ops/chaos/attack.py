"""Somebody who attacks the API beside the load, with a key of the scope ``write``."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ops.chaos.captions import wildtag
from ops.chaos.world import World
from vectordb.errors import Permanent

_STOP_S = 60.0


class Attack:
    """An attacker at work. It has a method ``run``, which gets an event that is set when it is to end."""

    def __init__(self, attacker: Any) -> None:
        self._attacker = attacker
        self._over = threading.Event()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="chaos attack", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it. It may be called again."""
        self._over.set()
        self._thread.join(_STOP_S)

    @property
    def violations(self) -> list[str]:
        """What must not have happened."""
        return [*map(str, self._attacker.violations), *([self._failure] if self._failure else [])]

    def counts(self) -> dict[str, int]:
        """What it did, by kind."""
        return dict(self._attacker.counts)

    def _run(self) -> None:
        try:
            self._attacker.run(self._over)
        except Exception as exc:  # an attacker that ends early shows nothing
            self._failure = f"the attacker failed: {exc!r}"


@contextmanager
def attack(world: World, seed: int) -> Iterator[Attack]:
    """The attacker, at work until the end of the block or ``stop``. Raises ``Permanent`` if there is no key."""
    module = importlib.import_module("ops.chaos.attacker")
    made = wildtag(("keys", "create", "attacker", "--scope", "write"), world.environment)
    key = next((word for word in reversed(made.stdout.split())), "")
    if made.returncode or not key:
        raise Permanent(f"no key for the attacker: {made.stderr[-500:]}")
    found = Attack(module.Attacker(world.gateway, key, seed))
    try:
        yield found
    finally:
        found.stop()
