"""Brings the keys of an older layout to the current one, in place.

A change of the layout adds a ``Migration`` to ``MIGRATIONS`` and raises ``workers.redis.layout.VERSION``. Its steps
run in order, and its version is recorded after the last one. A step must do nothing where it has run before: a
migration that was killed begins with the first step again. A step must not read or write Celery's keys, and keeps the
content of streams and their groups, so that messages in flight stay readable.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vectordb.errors import Permanent
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.redis.layout import Layout, OtherLayout, escaped, refusal

BATCH = 500  # keys renamed by one call of a script
LOCK = "migrate"
LOCK_MS = 10_000
LOOK_EVERY_S = 0.25
QUIET_S = 10.0  # seconds without a heartbeat after which a process counts as stopped: most give one each second
HEARTBEATS = ("health", "heartbeats")  # the hash's names in all versions


class Step(Protocol):
    """One change. Both methods raise redis-py's errors."""

    @property
    def name(self) -> str:
        """What it does, in a few words."""
        ...

    def left(self, client: Any, prefix: str) -> int:
        """How many keys or fields it would change now."""
        ...

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """Make the change in batches; yields how many keys or fields each batch changed. Raises ``Permanent``."""
        ...


@dataclass(frozen=True)
class Rename:
    """Rename a key. ``replace``: a key of the new name is overwritten; otherwise the step is refused."""

    old: str
    new: str
    replace: bool = False

    @property
    def name(self) -> str:
        return f"{self.old} -> {self.new}"

    def left(self, client: Any, prefix: str) -> int:
        """See ``Step``."""
        return int(client.exists(f"{prefix}{self.old}"))

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """See ``Step``."""
        yield _renamed(client, [f"{prefix}{self.old}".encode(), f"{prefix}{self.new}".encode()], replace=self.replace)


@dataclass(frozen=True)
class RenameFamily:
    """Rename all keys that begin with ``old``."""

    old: str
    new: str

    @property
    def name(self) -> str:
        return f"{self.old}* -> {self.new}*"

    def left(self, client: Any, prefix: str) -> int:
        """See ``Step``."""
        return len({key for page in _pages(client, prefix + self.old) for key in page})

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """See ``Step``."""
        old, new = f"{prefix}{self.old}".encode(), f"{prefix}{self.new}".encode()
        for page in _pages(client, prefix + self.old):
            yield _renamed(client, [name for key in page for name in (key, new + key.removeprefix(old))])


@dataclass(frozen=True)
class RenameInFamily:
    """Rename fields of all hashes whose keys begin with ``family``."""

    family: str
    fields: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.family}*: " + ", ".join(f"{old} -> {new}" for old, new in self.fields.items())

    def left(self, client: Any, prefix: str) -> int:
        """See ``Step``."""
        found: set[bytes] = set()
        for page in _pages(client, prefix + self.family):
            pipe = client.pipeline(transaction=False)
            for key in page:
                pipe.hmget(key, list(self.fields))
            held = pipe.execute()
            found.update(k for k, values in zip(page, held, strict=True) if any(v is not None for v in values))
        return len(found)

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """See ``Step``."""
        script = client.register_script(scripts.source("rename_hash_fields"))
        names = [name for pair in self.fields.items() for name in pair]
        for page in _pages(client, prefix + self.family):
            yield int(script(args=[len(self.fields), *names, *page])) if page else 0


@dataclass(frozen=True)
class RenameFields:
    """Rename fields of a hash of counters. ``endings``: of fields ``NAME:ENDING``, the same for their last part."""

    key: str
    fields: Mapping[str, str] = field(default_factory=dict)
    endings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        changes = [*self.fields.items(), *((f"*:{old}", f"*:{new}") for old, new in self.endings.items())]
        return f"{self.key}: " + ", ".join(f"{old} -> {new}" for old, new in changes)

    def left(self, client: Any, prefix: str) -> int:
        """See ``Step``."""
        return len(self._names(client, prefix)) // 2

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """See ``Step``."""
        if names := self._names(client, prefix):
            script = client.register_script(scripts.source("rename_fields"))
            yield int(script(args=[f"{prefix}{self.key}", *names]))

    def _names(self, client: Any, prefix: str) -> list[str]:
        """Old and new names by turns."""
        found = []
        for name in map(text, client.hkeys(f"{prefix}{self.key}")):
            first, colon, last = name.partition(":")
            new = f"{first}:{self.endings[last]}" if colon and last in self.endings else self.fields.get(name)
            found += [name, new] if new is not None else []
        return found


@dataclass(frozen=True)
class Delete:
    """Delete a key that describes running processes only: there are none now."""

    old: str

    @property
    def name(self) -> str:
        return f"delete {self.old}"

    def left(self, client: Any, prefix: str) -> int:
        """See ``Step``."""
        return int(client.exists(f"{prefix}{self.old}"))

    def run(self, client: Any, prefix: str) -> Iterator[int]:
        """See ``Step``."""
        yield int(client.delete(f"{prefix}{self.old}"))


@dataclass(frozen=True)
class Migration:
    """The steps from the version before to ``version``."""

    version: int
    steps: Sequence[Step]


MIGRATIONS: Sequence[Migration] = (
    Migration(
        1,
        (
            Rename("later", "inbox:low-priority"),
            Rename("segments", "segmentation-queue"),
            Rename("segments:forced", "segmentation-queue:forced"),
            RenameFamily("wish:", "segmentation-request:"),
            RenameInFamily("entry:", {"asked": "requested", "handed": "queued_at"}),
            RenameInFamily("record:", {"asked": "requested"}),
            Rename("drawn", "artifacts"),
            Rename("junk", "events:rejected"),
            Rename("told", "events:counts"),
            RenameFields(
                "events:counts",
                {"dispatcher:removals unseen": "dispatcher:removals-unverified"},
                {"junk": "rejected"},
            ),
            Rename("heard", "events:recent"),
            Rename("sightings", "events:probes"),
            RenameFamily("seen:", "redis-target:"),
            RenameFields("notify:counts", {"again": "retried"}),
            Rename("health", "heartbeats", replace=True),
            Delete("obstacles"),
        ),
    ),
)
"""In order of their versions, without a gap."""


@dataclass(frozen=True)
class Done:
    """What a step changed, or would change: a number of keys or fields."""

    version: int
    step: str
    changed: int


@dataclass(frozen=True)
class Outcome:
    """``before``: the version that was found, ``None`` where there are no keys."""

    before: int | None
    after: int | None
    steps: Sequence[Done]


class Migrator:
    """Migrates the keys under one prefix. Raises ``StoreUnavailable``, and ``OtherLayout`` for a newer version.

    ``tell`` is called with each step when it has ended, and with what is waited for.
    """

    def __init__(
        self, client: Client, keys: Keys, tell: Callable[[Done | str], None] = lambda _: None,
        migrations: Sequence[Migration] = MIGRATIONS, lock_ms: int = LOCK_MS,
    ) -> None:  # fmt: skip
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._tell = tell
        self._migrations = migrations
        self._lock_ms = lock_ms
        self._layout = Layout(client, keys)
        self._token = secrets.token_hex(8).encode()

    def found(self) -> int | None:
        """The version that is there, ``None`` where there are no keys. Raises ``OtherLayout``."""
        recorded = self._layout.recorded()
        if recorded is None:
            return None if self._layout.empty() else 0
        if not recorded.isdecimal() or int(recorded) > self.latest:
            raise OtherLayout(refusal(self._keys.prefix, recorded))
        return int(recorded)

    def plan(self) -> Outcome:
        """What ``run`` would change. Changes nothing."""
        before = self.found()
        with translated():
            steps = [Done(m.version, s.name, s.left(self._redis, self._keys.prefix)) for m, s in self._ahead(before)]
        return Outcome(before, None if before is None else self.latest, steps)

    def run(self) -> Outcome:
        """Migrate, or go on with a migration that was interrupted. Raises ``Permanent`` while another one runs.

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
        """Return when no process has given a heartbeat for ``quiet_s``. Raises ``Permanent`` where one runs."""
        first = self._beats()
        recent = [quiet_s - (time.time() - at) for at in first.values() if abs(time.time() - at) < quiet_s]
        if not recent:
            return
        until = time.monotonic() + min(max(recent), quiet_s)
        self._tell("a process was running a few seconds ago: waiting to see whether it has stopped")
        while time.monotonic() < until:
            time.sleep(LOOK_EVERY_S)
            running = sorted(name for name, at in self._beats().items() if first.get(name) != at)
            if running:
                raise Permanent(
                    f"{', '.join(running)} still running with these keys: stop all processes of wildtag first"
                )

    @property
    def latest(self) -> int:
        """The version after ``run``."""
        return self._migrations[-1].version

    def _ahead(self, before: int | None) -> Iterator[tuple[Migration, Step]]:
        for migration in self._migrations:
            if before is not None and migration.version > before:
                for step in migration.steps:
                    yield migration, step

    def _run(self) -> Outcome:
        before, done = self.found(), []  # as it is now that nobody else migrates
        with translated():
            for migration in self._migrations:
                if migration.version <= (before or 0):
                    continue
                for step in migration.steps:
                    changed = 0
                    for count in step.run(self._redis, self._keys.prefix):
                        changed += count
                        self._keep_lock()
                    done.append(Done(migration.version, step.name, changed))
                    self._tell(done[-1])
                self._redis.set(self._keys.layout_version, str(migration.version))
        return Outcome(before, self.latest, done)

    def _lock(self) -> None:
        """Wait until the lock of a migration that was killed has ended."""
        until = time.monotonic() + self._lock_ms / 1000 + 1
        told = False
        with translated():
            while not self._redis.set(self._keys.lock(LOCK), self._token, nx=True, px=self._lock_ms):
                if time.monotonic() > until:
                    raise Permanent("another `wildtag migrate` is at work on these keys")
                if not told:
                    self._tell("another migration has the lock: waiting to see whether it is still at work")
                    told = True
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


def _pages(client: Any, begin: str) -> Iterator[list[bytes]]:
    """The keys that begin so; some may come twice."""
    cursor = 0
    while True:
        cursor, page = client.scan(cursor, match=f"{escaped(begin)}*", count=BATCH)
        yield page
        if not cursor:
            return


def _renamed(client: Any, names: Sequence[bytes], *, replace: bool = False) -> int:
    """``names``: old and new by turns."""
    if not names:
        return 0
    renamed, taken = client.register_script(scripts.source("rename"))(args=[int(replace), *names])
    if taken:
        raise Permanent(
            f"{text(taken[0])!r} is there already, and so is the key that is to get this name: remove one"
        )
    return int(renamed)
