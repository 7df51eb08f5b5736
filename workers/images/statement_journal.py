"""A journal of what people said, beside the images: it outlives a loss of Redis.

Each statement is an object of its own below the output prefix, so that several processes may write, and their keys
are in the order of time.
"""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Callable

import msgspec
import structlog

from tasks.labels.index_form import index_form
from vectordb.decoders import from_json
from vectordb.errors import Permanent
from workers.images.backlog import Backlog
from workers.images.label_check import BadLabel, checked
from workers.lifecycle.statements import Statement, Statements, read
from workers.stores.store import ObjectError, ObjectStore

log = structlog.get_logger()

FOLDER = "statements/"
LONGEST = 64 * 1024  # bytes of an entry
ENTRIES_MAX = 1_000_000  # of a journal; more are a fault of whoever writes to the bucket
LABELS_MAX = 200  # of one object, at a time
_KEY_MAX, _ETAG_MAX, _HASH = 1024, 200, 32  # bytes, characters, bytes
_AHEAD_S = 86_400.0  # by which the clock of another machine may be ahead


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was said of a label of an object; ``statement`` is ``None`` if it was taken back.

    ``said_at``: Unix seconds.
    """

    key: str
    label: str
    said_at: float
    statement: Statement | None = None


class BadEntry(Permanent):
    """An entry that no process of wildtag has written."""


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

    def entries(self, now: float | None = None) -> list[Entry]:
        """All entries, oldest first. Those that nobody can have said are named in the log and passed over.

        Whoever may write to the bucket may write an entry, so each is checked like a request. ``now``: Unix
        seconds, by default of this machine's clock.
        """
        found: list[Entry] = []
        latest = (time.time() if now is None else now) + _AHEAD_S
        labels: dict[str, set[str]] = {}
        for info in self._store.list(self._bucket, self._prefix):
            if len(found) >= ENTRIES_MAX:
                log.warning("rest of the journal not read", after=ENTRIES_MAX)
                break
            try:
                data, _ = self._store.get(self._bucket, info.ref.key, LONGEST)
                entry = from_json(data, Entry)
                checked_entry(entry, latest)
            except (ObjectError, BadLabel, BadEntry, msgspec.DecodeError, UnicodeDecodeError) as exc:
                log.warning("entry of the journal not read", key=info.ref.key, reason=str(exc))
                continue
            known, form = labels.setdefault(entry.key, set()), index_form(entry.label)
            if entry.statement is None:  # makes room for another label, and is never passed over
                known.discard(form)
            elif form in known or len(known) < LABELS_MAX:
                known.add(form)
            else:
                log.warning("entry of the journal not read", key=info.ref.key, reason=f"over {LABELS_MAX} labels")
                continue
            found.append(entry)
        return found

    def replay(self, statements: Statements, now: float | None = None) -> list[str]:
        """Store what the journal says and Redis does not. Newer statements in Redis stay as they are.

        Returns the objects (``bucket/key``) whose statements have changed. May be repeated.
        """
        latest = {(entry.key, index_form(entry.label)): entry for entry in self.entries(now)}
        changed = []
        for (key, form), entry in latest.items():
            oid = f"{self._bucket}/{key}"
            (stored,) = statements.stored([oid])
            known = next((one for one in read(stored) if index_form(one.label) == form), None)
            if known != entry.statement and (known is None or known.said_at <= entry.said_at):
                statements.change(oid, entry.label, entry.statement)
                changed.append(oid)
        return list(dict.fromkeys(changed))


def checked_entry(entry: Entry, latest: float) -> None:
    """Raise ``BadEntry`` or ``BadLabel`` for an entry that nobody can have said. ``latest``: Unix seconds."""
    if not 0 < len(entry.key.encode()) <= _KEY_MAX:
        raise BadEntry("its key is not that of an object")
    said = entry.statement
    times = [entry.said_at] if said is None else [entry.said_at, said.said_at]
    if not all(0 <= moment <= latest for moment in times):  # also for NaN
        raise BadEntry("its time is in the future, or none")
    if checked(entry.label) != entry.label:
        raise BadLabel("its label has blanks that no label has")
    if said is None:
        return
    if index_form(said.label) != index_form(entry.label) or checked(said.label) != said.label:
        raise BadEntry("its statement is about another label")
    if len(said.etag) > _ETAG_MAX or not said.etag.isprintable() or (said.hash and len(said.hash) != _HASH):
        raise BadEntry("its version is not that of an object")


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
        changed = self._journal.replay(self._statements, self._clock())
        self._backlog.add(changed)
        self._statements.mark_restored(self._clock())
        if changed:
            log.info("statements restored from the journal", objects=len(changed))
