"""The version of the Redis layout: read before anything else, so that no process misreads another version's keys.

``P layout-version`` holds the version. A prefix without any key of wildtag gets the current version from the first
process that looks. A prefix with keys and without a version has version 0, the layout before versions were recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from vectordb.errors import Permanent
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

VERSION = 3
"""The version that this code reads and writes: the last one of ``workers.lifecycle.migrations``."""

RESTORING = "restoring "
"""Begins the version while a backup is being restored: then comes its name, and how many of its files are there."""

# the names in version 0. Not listed: `probe`, `lock:NAME`, `cache:KEY` and `rpc:ID`. They are the same in all
# versions, have a lifetime, and `probe` may be written before the version is known.
FIXED = (
    "inbox", "later", "segments", "segments:forced", "junk", "told", "heard", "sources", "sightings", "catching-up",
    "ledger", "segmenting", "drawn", "records", "objects", "tags", "feed", "notify:waiting", "notify:due",
    "notify:dead", "notify:counts", "health", "obstacles", "batches", "api-keys",
)  # fmt: skip
# of them, the names that only version 0 has: every home of that version has `health`
OUTDATED = (
    "later",
    "segments",
    "segments:forced",
    "junk",
    "told",
    "heard",
    "sightings",
    "drawn",
    "health",
    "obstacles",
)
FAMILIES = ("reconcile:", "seen:", "entry:", "wish:", "record:", "state:", "tag:", "idempotency:", "batch:")
SCAN_COUNT = 1000


class OtherLayout(Permanent):
    """The keys under this prefix have another version, or number of partitions. The text says what to do."""


class Layout:
    """The version under one prefix, and the number of its partitions. Raises ``StoreUnavailable``."""

    def __init__(
        self, client: Client, keys: Keys, partitions: int = 1, clock: Callable[[], float] = time.time
    ) -> None:  # fmt: skip
        """``clock``: Unix seconds."""
        self._clock = clock
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._partitions = partitions

    def require(self) -> None:
        """Return if the keys have the current version or there are none; in that case record the version.

        Costs one round trip, except at the first start. Several processes may call it at the same time. Raises
        ``OtherLayout``.
        """
        found, partitions = self._recorded()
        if found is None:
            if self.empty():
                self._record()
            # read once more: another process may have recorded a version and written keys in between
            found, partitions = self._recorded()
        if (found or "0") != str(VERSION):
            raise OtherLayout(refusal(self._keys.prefix, found or "0"))
        self._same_partitions(partitions)

    def renew(self) -> None:
        """Record the version again after all keys were lost: a running process has written none of another version.

        Raises ``OtherLayout`` if there are keys of an older version: Redis has got other data.
        """
        with translated():
            outdated = self._redis.exists(*(f"{self._keys.prefix}{name}" for name in OUTDATED))
        if outdated:
            raise OtherLayout(refusal(self._keys.prefix, "0"))
        self._record()
        self.require_partitions()

    def _record(self) -> None:
        """Record the version, unless another process has done so. There are no records: they are made (again)."""
        with translated():
            self._redis.set(self._keys.partitions, str(self._partitions), nx=True)  # who reads the version knows them
            self._redis.hsetnx(self._keys.refill, "since", self._clock())  # first: the version says that it is known
            self._redis.set(self._keys.layout_version, str(VERSION), nx=True)

    def recorded(self) -> str | None:
        """The recorded version, ``None`` where none is recorded."""
        return self._recorded()[0]

    def require_partitions(self) -> None:
        """Return if the keys are in as many partitions as the settings say. Raises ``OtherLayout``."""
        self._same_partitions(self._recorded()[1])

    def _recorded(self) -> tuple[str | None, int]:
        """The recorded version, and the number of partitions."""
        with translated():
            found, partitions = self._redis.mget(self._keys.layout_version, self._keys.partitions)
        return None if found is None else text(found), int(partitions or 1)

    def _same_partitions(self, found: int) -> None:
        if found != self._partitions:
            raise OtherLayout(
                f"the Redis keys under {self._keys.prefix!r} were written with WILDTAG_PARTITIONS={found}, and it is"
                f" {self._partitions} now: set it to {found}, or choose another WILDTAG_KEY_PREFIX for new keys"
            )

    def empty(self) -> bool:
        """Whether there is no key that belongs to a layout, apart from the version itself.

        Without such a key all keys of the server are scanned.
        """
        prefix = self._keys.prefix
        with translated():
            if self._redis.exists(*(f"{prefix}{name}" for name in FIXED)):
                return False
            families = tuple(f"{prefix}{family}".encode() for family in FAMILIES)
            pages = self._redis.scan_iter(match=f"{escaped(prefix)}*", count=SCAN_COUNT)
            return not any(bytes(key).startswith(families) for key in pages)


def refusal(prefix: str, found: str) -> str:
    """One line: which version was found, and what to do."""
    if found.startswith(RESTORING):
        backup = found.removeprefix(RESTORING).partition(" ")[0]
        return (
            f"the Redis keys under {prefix!r} are only a part of the backup {backup}, which is being restored, or"
            " whose restore was interrupted: wait for it, or run `wildtag restore` again"
        )
    what = f"the Redis keys under {prefix!r} have layout version {found}"
    if found.isdecimal() and int(found) < VERSION:
        return f"{what}, and this wildtag needs version {VERSION}: stop what uses them and run `wildtag migrate`"
    return f"{what}, and this wildtag knows {VERSION} at most: a newer wildtag wrote this, use that one"


def escaped(text_: str) -> str:
    """A text as part of a pattern for SCAN."""
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in text_)
