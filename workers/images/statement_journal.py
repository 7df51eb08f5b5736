"""A journal of what people said, beside the images: it outlives a loss of Redis.

Each statement is an object of its own below the output prefix, so that several processes may write, and their keys
are in the order of time.
"""

from __future__ import annotations

import io
import secrets

import msgspec
import structlog

from vectordb.decoders import from_json
from workers.lifecycle.statements import Statement, Statements
from workers.stores.store import ObjectError, ObjectStore

log = structlog.get_logger()

FOLDER = "statements/"
LONGEST = 64 * 1024  # bytes of an entry


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was said of a label of an object; ``statement`` is ``None`` if it was taken back.

    ``said_at``: Unix seconds.
    """

    key: str
    label: str
    said_at: float
    statement: Statement | None = None


class StatementJournal:
    """The journal of one bucket. Raises ``StoreAway``."""

    def __init__(self, store: ObjectStore, bucket: str, output_prefix: str) -> None:
        self._store = store
        self._bucket = bucket
        self._prefix = f"{output_prefix}{FOLDER}"

    def append(self, entry: Entry) -> None:
        """Store an entry."""
        name = f"{self._prefix}{int(entry.said_at * 1000):015d}-{secrets.token_hex(4)}.json"
        self._store.put(self._bucket, name, io.BytesIO(msgspec.json.encode(entry)), "application/json")

    def entries(self) -> list[Entry]:
        """All entries, oldest first. Those that cannot be read are named in the log and passed over."""
        found = []
        for info in self._store.list(self._bucket, self._prefix):
            try:
                data, _ = self._store.get(self._bucket, info.ref.key, LONGEST)
                found.append(from_json(data, Entry))
            except (ObjectError, msgspec.DecodeError, UnicodeDecodeError) as exc:
                log.warning("entry of the journal not read", key=info.ref.key, reason=str(exc))
        return found

    def replay(self, statements: Statements) -> int:
        """Store everything again if Redis has never heard a statement. Returns the number of entries."""
        if statements.revision():
            return 0
        entries = self.entries()
        for entry in entries:
            statements.change(f"{self._bucket}/{entry.key}", entry.label, entry.statement)
        if entries:
            log.info("statements restored", entries=len(entries), objects=len(statements.objects()))
        return len(entries)
