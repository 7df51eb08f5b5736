"""Brings the keys of an older layout to the current one, in place.

A change of the layout adds a ``Migration`` to ``workers.lifecycle.migrations`` and raises
``workers.redis.layout.VERSION``. Its steps run in order, and its version is recorded after the last one. A step must
change nothing where it has run before: a migration that was killed begins with the first step again. A step must not
read or write Celery's keys, and keeps the content of streams and their groups, so that messages in flight stay
readable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vectordb.errors import Permanent
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.layout import BETWEEN, Layout, OtherLayout, refusal
from workers.redis.maintenance_lock import LIFETIME_MS, alone
from workers.redis.migration_steps import Step
from workers.redis.redis_clock import seconds

LOOK_EVERY_S = 0.25
QUIET_S = 10.0  # seconds without a heartbeat after which a process counts as stopped: most send one each second
HEARTBEATS = ("health", "heartbeats")  # the hash's names in all versions


@dataclass(frozen=True)
class Migration:
    """The steps from the version before to ``version``, and those ``back``, if there are any."""

    version: int
    steps: Sequence[Step]
    back: Sequence[Step] | None = None


class NoWayBack(Permanent):
    """A version cannot be migrated back. The text says what to do instead."""


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
        report: Callable[[Done | str], None] = lambda _: None, lock_ms: int = LIFETIME_MS,
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

    def found(self) -> int | None:
        """The version of the keys, ``None`` if there are no keys. Raises ``OtherLayout``.

        That before an interrupted migration.
        """
        found = self._found()
        return None if found is None else found[0]

    def _found(self) -> tuple[int, bool] | None:
        """The version, and whether a migration between it and the next one was interrupted."""
        recorded = self._layout.recorded()
        if recorded is None:
            return None if self._layout.empty() else (0, False)
        version, between = recorded.removesuffix(BETWEEN), recorded.endswith(BETWEEN)
        if not version.isdecimal() or int(version) + between > self.latest:
            raise OtherLayout(refusal(self._keys.prefix, recorded))
        self._layout.require_partitions()
        return int(version), between

    def settled(self, to: int | None = None) -> bool:
        """Whether there is nothing to do. Raises ``OtherLayout``."""
        return self._found() in {None, (self._target(to), False)}

    def plan(self, to: int | None = None) -> Outcome:
        """What ``run`` would change. Changes nothing. Raises ``NoWayBack``."""
        found = self._found()
        with translated():
            steps = [
                Done(number, step.name, sum(step.left(of, prefix) for of, prefix in self._places))
                for number, _, path in self._path(found, to)
                for step in path
            ]
        return Outcome(found[0] if found else None, None if found is None else self._target(to), steps)

    def run(self, to: int | None = None) -> Outcome:
        """Migrate, or resume an interrupted migration. Raises ``MaintenanceRunning``
        while another one, a backup or a restore runs.

        ``to``: the version; the latest when not given. Raises ``NoWayBack`` before anything is changed.

        No process may use the keys meanwhile: see ``stopped``.
        """
        found = self._found()
        if found is None or not self._path(found, to):
            return Outcome(found[0] if found else None, found[0] if found else None, ())
        with alone(self._redis, self._keys, "migrate", self._report, self._lock_ms) as check:
            return self._run(to, check)

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

    def _target(self, to: int | None) -> int:
        if to is not None and not 0 <= to <= self.latest:
            raise Permanent(f"there is no layout version {to}: this wildtag knows 0 to {self.latest}")
        return self.latest if to is None else to

    def _path(self, found: tuple[int, bool] | None, to: int | None) -> list[tuple[int, int, Sequence[Step]]]:
        """For each version on the way: its number, the one that is recorded after its steps, and these."""
        target = self._target(to)
        if found is None:
            return []
        version, between = found
        if target > version:
            return [
                (one.version, one.version, one.steps) for one in self._migrations if version < one.version <= target
            ]
        top = version + between
        undone = [one for one in reversed(self._migrations) if target < one.version <= top]
        for one in undone:
            if one.back is None:
                raise NoWayBack(
                    f"the keys have layout version {top}, and version {one.version} cannot be brought back to"
                    f" {one.version - 1}: stop everything, restore the backup that was made before the upgrade"
                    " (wildtag restore), and start the older wildtag. Nothing was changed"
                )
        return [(one.version, one.version - 1, one.back or ()) for one in undone]

    def _run(self, to: int | None, check: Callable[[], None]) -> Outcome:
        found, done = self._found(), []  # read again under the lock
        path = self._path(found, to)
        with translated():
            for number, after, steps in path:
                self._redis.set(self._keys.layout_version, f"{number - 1}{BETWEEN}")
                for step in steps:
                    changed = 0
                    for of, prefix in self._places:
                        for count in step.run(of, prefix):
                            changed += count
                            check()
                    done.append(Done(number, step.name, changed))
                    self._report(done[-1])
                self._redis.set(self._keys.layout_version, str(after))
        return Outcome(found[0] if found else None, path[-1][1] if path else self._target(to), done)

    def _beats(self) -> dict[str, float]:
        with translated():
            return {
                text(name): float(at)
                for key in HEARTBEATS
                for name, at in self._redis.hgetall(f"{self._keys.prefix}{key}").items()
            }
