"""Brings the keys of an older layout to the current one, in place.

A change of the layout adds a ``Migration`` to ``workers.lifecycle.migrations`` and raises
``workers.redis.layout.VERSION``. Its steps run in order, and its version is recorded after the last one. A step must
change nothing where it has run before: a migration that was killed begins with the first step again. A step must not
read or write Celery's keys, and keeps the content of streams and their groups, so that messages in flight stay
readable.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vectordb.errors import Permanent
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.layout import Layout, OtherLayout, refusal
from workers.redis.migration_steps import Step
from workers.redis.redis_clock import seconds

LOCK = "migrate"
LOCK_MS = 10_000
LOOK_EVERY_S = 0.25
QUIET_S = 10.0  # seconds without a heartbeat after which a process counts as stopped: most send one each second
HEARTBEATS = ("health", "heartbeats")  # the hash's names in all versions


@dataclass(frozen=True)
class Migration:
    """The steps from the version before to ``version``."""

    version: int
    steps: Sequence[Step]


@dataclass(frozen=True)
class Done:
    """What a step changed, or would change: a number of keys or fields."""

    version: int
    step: str
    changed: int


@dataclass(frozen=True)
class Outcome:
    """``before``: the version that was found, ``None`` if there were no keys."""

    before: int | None
    after: int | None
    steps: Sequence[Done]


class Migrator:
    """Migrates the keys under one prefix. Raises ``StoreUnavailable``, and ``OtherLayout`` for a newer version.

    ``migrations``: in order of their versions, without a gap. ``report`` is called after each step, and with a text
    while the migration waits.
    """

    def __init__(
        self, client: Client, keys: Keys, migrations: Sequence[Migration],
        report: Callable[[Done | str], None] = lambda _: None, lock_ms: int = LOCK_MS,
        parts: Sequence[tuple[Client, Keys]] = (),
    ) -> None:  # fmt: skip
        """``parts``: the partitions, if there are several. Each step runs in all of them."""
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._report = report
        self._migrations = migrations
        self._lock_ms = lock_ms
        self._places: list[tuple[Any, str]] = [(client, keys.prefix), *((of, its.prefix) for of, its in parts)]
        self._layout = Layout(client, keys, len(parts) or 1)
        self._token = secrets.token_hex(8).encode()

    def found(self) -> int | None:
        """The version of the keys, ``None`` if there are no keys. Raises ``OtherLayout``."""
        recorded = self._layout.recorded()
        if recorded is None:
            return None if self._layout.empty() else 0
        if not recorded.isdecimal() or int(recorded) > self.latest:
            raise OtherLayout(refusal(self._keys.prefix, recorded))
        self._layout.require_partitions()
        return int(recorded)

    def plan(self) -> Outcome:
        """What ``run`` would change. Changes nothing."""
        before = self.found()
        with translated():
            steps = [
                Done(migration.version, step.name, sum(step.left(of, prefix) for of, prefix in self._places))
                for migration in self._ahead(before)
                for step in migration.steps
            ]
        return Outcome(before, None if before is None else self.latest, steps)

    def run(self) -> Outcome:
        """Migrate, or resume an interrupted migration. Raises ``Permanent`` while another one runs.

        No process may use the keys meanwhile: see ``stopped``.
        """
        before = self.found()
        if before is None or before == self.latest:
            return Outcome(before, before, ())
        self._lock()
        try:
            return self._run()
        finally:
            with translated():
                if self._redis.get(self._keys.lock(LOCK)) == self._token:
                    self._redis.delete(self._keys.lock(LOCK))

    def stopped(self, quiet_s: float = QUIET_S) -> None:
        """Return when no process has sent a heartbeat for ``quiet_s``. Raises ``Permanent`` if one is running."""
        first = self._beats()
        now = self._now()
        recent = [quiet_s - (now - at) for at in first.values() if abs(now - at) < quiet_s]
        if not recent:
            return
        until = time.monotonic() + min(max(recent), quiet_s)
        self._report("a process was running a few seconds ago: waiting to see whether it has stopped")
        while time.monotonic() < until:
            time.sleep(LOOK_EVERY_S)
            running = sorted(name for name, at in self._beats().items() if first.get(name) != at)
            if running:
                raise Permanent(
                    f"{', '.join(running)} still running with these keys: stop all processes of wildtag first"
                )

    def _now(self) -> float:
        with translated():
            return seconds(self._redis)

    @property
    def latest(self) -> int:
        """The version after ``run``."""
        return self._migrations[-1].version

    def _ahead(self, before: int | None) -> list[Migration]:
        return [] if before is None else [one for one in self._migrations if one.version > before]

    def _run(self) -> Outcome:
        before, done = self.found(), []  # read again under the lock
        with translated():
            for migration in self._ahead(before or 0):
                for step in migration.steps:
                    changed = 0
                    for of, prefix in self._places:
                        for count in step.run(of, prefix):
                            changed += count
                            self._keep_lock()
                    done.append(Done(migration.version, step.name, changed))
                    self._report(done[-1])
                self._redis.set(self._keys.layout_version, str(migration.version))
        return Outcome(before, self.latest, done)

    def _lock(self) -> None:
        """Acquire the lock; that of a killed migration expires."""
        until = time.monotonic() + self._lock_ms / 1000 + 1
        reported = False
        with translated():
            while not self._redis.set(self._keys.lock(LOCK), self._token, nx=True, px=self._lock_ms):
                if time.monotonic() > until:
                    raise Permanent("another `wildtag migrate` is running on these keys")
                if not reported:
                    self._report("another migration has the lock: waiting to see whether it is still running")
                    reported = True
                time.sleep(LOOK_EVERY_S)

    def _keep_lock(self) -> None:
        key = self._keys.lock(LOCK)
        if self._redis.get(key) != self._token and not self._redis.set(key, self._token, nx=True, px=self._lock_ms):
            raise Permanent("another `wildtag migrate` has taken over: this one was suspended for too long")
        self._redis.pexpire(key, self._lock_ms)

    def _beats(self) -> dict[str, float]:
        with translated():
            return {
                text(name): float(at)
                for key in HEARTBEATS
                for name, at in self._redis.hgetall(f"{self._keys.prefix}{key}").items()
            }
