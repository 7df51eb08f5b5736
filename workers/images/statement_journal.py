"""A journal of what people said, beside the images: it outlives a loss of Redis.

Each statement is an object of its own below the output prefix, so that several processes may write, and their keys
are in the order of time.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable

import msgspec
import structlog

from tasks.labels.index_form import index_form
from vectordb.decoders import from_json
from workers.images.backlog import Backlog
from workers.lifecycle.statements import Statement, Statements, read
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
    """The journal of one bucket. Raises ``Transient`` if the store is unavailable."""

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

    def replay(self, statements: Statements) -> list[str]:
        """Store what the journal says and Redis does not. Newer statements in Redis stay as they are.

        Returns the objects (``bucket/key``) whose statements have changed. May be repeated.
        """
        latest = {(entry.key, index_form(entry.label)): entry for entry in self.entries()}
        changed = []
        for (key, form), entry in latest.items():
            oid = f"{self._bucket}/{key}"
            (stored,) = statements.stored([oid])
            known = next((one for one in read(stored) if index_form(one.label) == form), None)
            if known != entry.statement and (known is None or known.said_at <= entry.said_at):
                statements.change(oid, entry.label, entry.statement)
                changed.append(oid)
        return list(dict.fromkeys(changed))


class Restoration:
    """Replays the journal into a Redis that has lost what people said: one that is new, or was emptied."""

    def __init__(
        self,
        journal: StatementJournal,
        statements: Statements,
        backlog: Backlog,
        clock: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._statements = statements
        self._backlog = backlog
        self._clock = clock

    def step(self) -> None:
        """Replay the journal unless that was done. Call it before objects are dispatched. Raises ``Transient``.

        Objects whose statements have come back are tagged again, since their records may be without them.
        """
        if self._statements.restored():
            return
        changed = self._journal.replay(self._statements)
        self._backlog.add(changed)
        self._statements.mark_restored(self._clock())
        if changed:
            log.info("statements restored from the journal", objects=len(changed))
