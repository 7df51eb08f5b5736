"""Somebody who attacks the API beside the load, with a key of the scope ``write``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ops.chaos.attacker import Attacker
from ops.chaos.captions import wildtag
from ops.chaos.world import World
from vectordb.errors import Permanent

_STOP_S = 60.0
_PAUSE_S = 0.5
_RATE = 5.0  # requests per second: it shall not be a fault of its own that nothing is left for images


class Attack:
    """An attacker at work, in a thread of its own."""

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
        return [*map(str, self._attacker.report.violations), *([self._failure] if self._failure else [])]

    def counts(self) -> dict[str, dict[str, int]]:
        """Its requests by kind, and the answers by status; 0: none."""
        report = self._attacker.report
        return {"sent": dict(report.sent), "answers": {str(status): n for status, n in report.answers.items()}}

    def _run(self) -> None:
        try:
            while not self._over.wait(_PAUSE_S):
                with suppress(OSError):  # the gateway is away
                    self._attacker.prepare()
                    break
            self._attacker.run(self._over.is_set)
        except Exception as exc:  # an attacker that ends early shows nothing
            self._failure = f"the attacker failed: {exc!r}"


@contextmanager
def attack(world: World, seed: int, healthy: Callable[[], bool]) -> Iterator[Attack]:
    """The attacker, at work until the end of the block or ``stop``.

    ``healthy``: whether nothing is broken on purpose, so that answers are due. Raises ``Permanent`` without a key.
    """
    made = wildtag(("keys", "create", "attacker", "--scope", "write"), world.environment)
    key = next((word for word in reversed(made.stdout.split())), "")
    if made.returncode or not key:
        raise Permanent(f"no key for the attacker: {made.stderr[-500:]}")
    secrets = (world.key, str(world.home), world.environment["WILDTAG_REDIS_URL"])
    attacker = Attacker(world.gateway, key, seed, bucket=world.bucket, rate=_RATE, secrets=secrets, healthy=healthy)
    found = Attack(attacker)
    try:
        yield found
    finally:
        found.stop()
