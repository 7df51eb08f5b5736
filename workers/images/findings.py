"""What a verification of the index of images has found and repaired, as it is stored and printed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from vectordb.decoders import from_json
from workers.images.comparison import KINDS, Kind
from workers.redis.connection import Client, StoreUnavailable, translated
from workers.redis.keys import Keys

EXAMPLES = 10  # objects named for each kind of fault


class Findings(msgspec.Struct, kw_only=True):
    """One verification. ``records``: tagged images, without those on their way. ``indexed``: those in the index.

    ``faults``, ``repaired``: number by kind. ``examples``: some objects by kind. ``unreadable``: object → why its
    vector cannot be made; ``unreadable_count``: of them. ``at``: Unix seconds. ``compared``: everything was compared.
    ``filled``: so were all that lacked their vector, again.
    """

    at: float = 0.0
    records: int = 0
    indexed: int = 0
    faults: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    repaired: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    examples: dict[str, list[str]] = {}
    unreadable: dict[str, str] = {}
    unreadable_count: int = 0
    compared: bool = False
    filled: bool = False
    finished: bool = False

    @property
    def total(self) -> int:
        """Number of faults."""
        return sum(self.faults.values())

    @property
    def left(self) -> int:
        """Number of faults that were not repaired.

        When all are filled, no others lack a vector than those that are unreadable: an image may have been removed
        meanwhile, or come into the index in another way.
        """
        kinds = [kind for kind in KINDS if not self.filled or kind not in {"missing", "outdated"}]
        left = sum(max(0, self.faults[kind] - self.repaired[kind]) for kind in kinds)
        return left + (self.unreadable_count if self.filled else 0)

    def add(self, kind: Kind, oids: Iterable[str]) -> None:
        """Count faults."""
        for oid in oids:
            self.faults[kind] += 1
            if len(examples := self.examples.setdefault(kind, [])) < EXAMPLES:
                examples.append(oid)

    def fail(self, oid: str, reason: str) -> None:
        """Count an image whose vector cannot be made."""
        self.unreadable_count += 1
        if len(self.unreadable) < EXAMPLES:
            self.unreadable[oid] = reason

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return {**msgspec.to_builtins(self), "left": self.left}


class Standing(msgspec.Struct, frozen=True):
    """The last comparison: ``indexed`` of ``records`` tagged images are in the index. ``at``: Unix seconds.

    ``faults``: by kind, before the repair. ``unreadable``: images whose vector cannot be made.
    """

    at: float
    records: int
    indexed: int
    faults: dict[str, int]
    unreadable: int


class StoredStanding:
    """The last comparison, in Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.images_standing

    def write(self, findings: Findings, now: float) -> None:
        """Store what is known by now."""
        f = findings
        body = Standing(now, f.records, f.indexed, f.faults, f.unreadable_count)
        with translated():
            self._redis.set(self._key, msgspec.json.encode(body))

    def read(self) -> Standing | None:
        """The last comparison; ``None`` if there was none."""
        with translated():
            body = self._redis.get(self._key)
        try:
            return from_json(body, Standing) if body else None
        except (msgspec.DecodeError, UnicodeDecodeError):  # of another version of wildtag
            return None


class VerificationWanted:
    """A sign from the owner of the index to who verifies it: do it now."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # as above
        self._key = keys.images_verify

    def note(self) -> None:
        """The index is empty, or new. Without Redis, the next periodic verification finds it."""
        with suppress(StoreUnavailable), translated():
            self._redis.set(self._key, 1)

    def take(self) -> bool:
        """Whether that was noted since the last call. Raises ``StoreUnavailable``."""
        with translated():
            return bool(self._redis.delete(self._key))
