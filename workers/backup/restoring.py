"""Restores the keys of a backup. Until everything is there, no process of wildtag starts with them.

``P layout-version`` says meanwhile which backup is being restored and how many of its files were written, so that an
interrupted restore goes on, and is never taken for a whole one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from workers.backup.contents import celerys, prepared, rule_of
from workers.backup.form import BackupError, File
from workers.backup.key_rows import PART, Part, Row, paged
from workers.backup.redis_loader import RedisLoader
from workers.lifecycle.migrations import MIGRATIONS
from workers.lifecycle.record import DamagedRecord
from workers.lifecycle.record_migrations import RemakeTagIndex
from workers.lifecycle.stored_record import HEAD_BYTES, head_of
from workers.notifying.outbox import OUTCOMES
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.layout import RESTORING, VERSION
from workers.redis.migration_steps import pages

MATTERS = frozenset({
    "record:OID", "entry:OID", "statements:OID", "api-keys", "batch:ID", "notify:waiting", "notify:dead", "backlog",
})  # fmt: skip
"""Keys that show that a stack was in use: nothing is restored over them without being asked to."""
EVENTS = ("inbox", "inbox:low-priority")


class RestoredKeys:
    """The keys that a backup is restored to. Raises ``StoreUnavailable``, ``BackupError``.

    ``parts``: that of the prefix first, then those of the partitions.
    """

    def __init__(
        self, client: Client, keys: Keys, parts: Sequence[Part], clock: Callable[[], float] = time.time
    ) -> None:
        self._redis: Any = client
        self._keys = keys
        self._parts = parts
        self._clock = clock

    def interrupted(self) -> tuple[str, int] | None:
        """The backup whose restore was interrupted, and how many of its files were written."""
        with translated():
            found = text(self._redis.get(self._keys.layout_version) or b"")
        if not found.startswith(RESTORING):
            return None
        name, _, count = found.removeprefix(RESTORING).partition(" ")
        return name, int(count or 0)

    def in_use(self) -> str | None:
        """What is there already, in words; ``None`` if nothing that matters."""
        for part in self._parts:
            begin = raw(part.keys.prefix)
            with translated():
                waiting = sum(int(part.client.xlen(f"{part.keys.prefix}{name}")) for name in EVENTS)
                if waiting:
                    return f"{waiting:,} events that wait"
                for key in chain.from_iterable(pages(part.client, part.keys.prefix)):
                    rule = rule_of(bytes(key).removeprefix(begin))
                    if rule is not None and rule.pattern in MATTERS:
                        return f"for example {text(key)!r}"
        return None

    def clear(self, backup: str) -> None:
        """Remove all keys of wildtag and of Celery under the prefix, and note that a restore has begun.

        Those of an encoder that prepares, too: they would be taken for what the next one has prepared.
        """
        self.note(backup, 0)
        for part in self._parts:
            begin = raw(part.keys.prefix)
            with translated():
                for page in pages(part.client, part.keys.prefix):
                    gone = [key for key in page if self._goes(bytes(key).removeprefix(begin))]
                    if gone:
                        part.client.unlink(*gone)

    def note(self, backup: str, files: int) -> None:
        """Note how many files were written."""
        with translated():
            self._redis.set(self._keys.layout_version, f"{RESTORING}{backup} {files}")

    def write(self, rows: Callable[[File], Iterable[Row]], backup: str, files: Sequence[File], layout: int,
              on_rows: Callable[[int], None]) -> None:  # fmt: skip
        """Write the files that an earlier attempt has not written. ``layout``: the version of the backup."""
        interrupted = self.interrupted()
        done = interrupted[1] if interrupted is not None and interrupted[0] == backup else 0
        loader = RedisLoader(self._parts, self._clock(), indexed=layout == VERSION)
        total = sum(file.rows for file in files[:done])
        for number, file in enumerate(files[done:], done + 1):
            for count in loader.write(rows(file)):
                total += count
                on_rows(total)
            self.note(backup, number)

    def migrate(self, layout: int, report: Callable[[str], None]) -> None:
        """Bring the keys to this version's layout. May be repeated."""
        if layout == VERSION:
            return
        steps = [step for one in MIGRATIONS if one.version > layout for step in one.steps]
        for step in [*steps, RemakeTagIndex()]:
            report(step.name)
            for part in self._parts:
                with translated():
                    for _ in step.run(part.client, part.keys.prefix):
                        pass

    def settle(self) -> int:
        """Make what was read at different moments agree. Returns the objects whose record was there already."""
        dropped = 0
        for part in self._parts:
            with translated():
                dropped += _settle_ledger(part)
                _settle_deliveries(part, self._clock())
                _begin_counters(part)
        return dropped

    def finish(self, partitions: int) -> None:
        """Let processes start. The bucket is compared from its beginning, and the index of images, too."""
        k = self._keys
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.delete(k.refill)
            pipe.hset(k.refill, "since", self._clock())
            pipe.set(k.images_verify, 1)
            pipe.set(k.partitions, str(partitions))
            pipe.set(k.layout_version, str(VERSION))
            pipe.execute()

    def counts(self) -> dict[str, int]:
        """What is there now, by the names of ``Manifest.counts``."""
        found = dict.fromkeys(("records", "in_progress", "statements", "api_keys"), 0)
        for part in self._parts:
            k = part.keys
            with translated():
                pipe = part.client.pipeline(transaction=False)
                pipe.zcard(k.objects)
                pipe.zcard(k.ledger)
                pipe.scard(k.stated)
                pipe.hlen(k.api_keys)
                for name, count in zip(found, pipe.execute(), strict=True):
                    found[name] += count
        return found

    def _goes(self, name: bytes) -> bool:
        if name == b"layout-version" or name.startswith(b"lock:"):
            return False
        return rule_of(name) is not None or celerys(name) or prepared(name)


def require_layout(version: int, backup: str) -> None:
    """Raise ``BackupError`` for a backup of a newer layout."""
    if version > VERSION:
        raise BackupError(
            f"the backup {backup} has layout version {version}, and this wildtag knows {VERSION} at most: a newer"
            " wildtag wrote it, use that one"
        )


def _settle_ledger(part: Part) -> int:
    """Take objects out of the ledger whose record was written after their entry was read."""
    redis: Any = part.client
    k = part.keys
    dropped = 0
    for page in paged((oid for oid, _ in redis.zscan_iter(k.ledger, count=PART)), PART):
        pipe = redis.pipeline(transaction=False)
        for oid in page:
            pipe.hmget(raw(k.entry("")) + oid, "etag", "revision", "accepted_at")
            pipe.getrange(raw(k.record("")) + oid, 0, HEAD_BYTES - 1)
        answers = pipe.execute()
        for place, oid in enumerate(page):
            (etag, revision, accepted), head = answers[2 * place : 2 * place + 2]
            if not _written(head, text(etag or b""), text(revision or b""), float(accepted or 0)):
                continue
            dropped += 1
            pipe.zrem(k.ledger, oid)
            pipe.zrem(k.ledger_accepted, oid)
            pipe.srem(k.segmenting, oid)
            pipe.delete(raw(k.entry("")) + oid)
        pipe.execute()
    return dropped


def _written(value: bytes, etag: str, revision: str, accepted_at: float) -> bool:
    try:
        head = head_of(value)
    except DamagedRecord:
        return False
    return head.etag == etag and head.revision == revision and head.at >= accepted_at


def _settle_deliveries(part: Part, now: float) -> None:
    """Each delivery that waits has a time, and their bytes are counted."""
    redis: Any = part.client
    begin = f"{part.keys.prefix}notify:waiting"
    for key in {key for page in pages(redis, begin) for key in page}:
        receiver = key.removeprefix(begin.encode())
        size = 0
        for page in paged(redis.hscan_iter(key, count=PART), PART):
            redis.zadd(f"{part.keys.prefix}notify:due".encode() + receiver, {name: now for name, _ in page}, nx=True)
            size += sum(len(value) for _, value in page)
        redis.hset(f"{part.keys.prefix}notify:counts".encode() + receiver, "bytes", size)


def _begin_counters(part: Part) -> None:
    """Have counters begin at 0: a counter that goes back to another value than 0 counts as that much in rates."""
    redis: Any = part.client
    redis.delete(part.keys.event_counts)
    for key in {key for page in pages(redis, f"{part.keys.prefix}notify:counts") for key in page}:
        redis.hdel(key, *OUTCOMES)
