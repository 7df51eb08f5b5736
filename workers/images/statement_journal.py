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
from tasks.message_parts import place_of
from vectordb.decoders import from_json
from vectordb.errors import Permanent
from workers.images.backlog import Backlog
from workers.images.label_check import BadLabel, checked
from workers.lifecycle.statements import Statement, Statements, Word
from workers.stores.store import ObjectError, ObjectStore

log = structlog.get_logger()

FOLDER = "statements/"
LONGEST = 64 * 1024  # bytes of an entry
ENTRIES_MAX = 1_000_000  # of a journal; more are a fault of whoever writes to the bucket
LABELS_MAX = 200  # of one object, at a time
_KEY_MAX, _ETAG_MAX, _HASH = 1024, 200, 32  # bytes, characters, bytes
OVERLAP_S = 600.0  # by which an entry may have an earlier name than one that was written before it
LOOK_S = 5.0  # between two looks at what is to be written, and whether Redis was replaced
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

    def append(self, entry: Entry) -> str:
        """Store an entry. Returns its name."""
        name = f"{_name(entry.said_at)}-{secrets.token_hex(4)}.json"
        content = io.BytesIO(msgspec.json.encode(entry))
        self._store.put(self._bucket, f"{self._prefix}{name}", content, "application/json")
        return name

    def write(self, statements: Statements, word: Word) -> None:
        """Store a word, and that it is stored. Also raises ``Permanent``, for example if the bucket is read-only."""
        name = self.append(Entry(place_of(word.oid)[1], word.label, word.said_at, word.statement))
        statements.written(word)
        statements.journal_has(name)

    def write_rest(self, statements: Statements) -> int:
        """Store what was not stored when it was said. Returns the number of words."""
        words = [word for word in statements.unwritten() if place_of(word.oid)[0] == self._bucket]
        for word in words:
            self.write(statements, word)
        return len(words)

    def entries(self, now: float | None = None, after: str = "") -> list[Entry]:
        """All entries, oldest first. Those that nobody can have said are named in the log and passed over.

        Whoever may write to the bucket may write an entry, so each is checked like a request. ``now``: Unix
        seconds, by default of this machine's clock. ``after``: only those whose names come after this.
        """
        found: list[Entry] = []
        latest = (time.time() if now is None else now) + _AHEAD_S
        labels: dict[str, set[str]] = {}
        for info in self._store.list(self._bucket, self._prefix, f"{self._prefix}{after}" if after else ""):
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

    def replay(self, statements: Statements, now: float | None = None, *, gap: bool = False) -> list[str]:
        """Store what the journal says and Redis does not. What Redis knows to be newer stays as it is.

        The greatest word of each label counts, in whatever order the journal has them. Returns the objects
        (``bucket/key``) whose statements have changed. May be repeated. ``gap``: only what Redis may have lost last.
        """
        latest: dict[tuple[str, str], Word] = {}
        position = statements.journal_position() if gap else ""
        words = [
            Word(f"{self._bucket}/{entry.key}", entry.label, entry.said_at, entry.statement)
            for entry in self.entries(now, _before(position) if position else "")
        ]
        newest = _name(max((word.said_at for word in words), default=0.0))
        for word in [*words, *statements.unwritten()]:
            place = word.oid, index_form(word.label)
            if place not in latest or latest[place].order < word.order:
                latest[place] = word
        follow_at = time.time() if now is None else now
        changed = [word.oid for word in latest.values() if statements.restore(word, follow_at)]
        if words:
            statements.journal_has(newest)
        return list(dict.fromkeys(changed))


def _name(said_at: float) -> str:
    """What the name of an entry begins with: names are in the order of time."""
    return f"{int(said_at * 1000):015d}"


def _before(name: str) -> str:
    """What the names of all entries that may have been written at the same time or later come after."""
    return _name(max(0.0, int(name[:15]) / 1000 - OVERLAP_S))


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
    """Brings what people said and its journal in step.

    The journal is replayed into a Redis that has lost what people said: one that is new, or was emptied. Its end is
    replayed into one that may have lost the last moments, after a failover or a restart. What could not be written
    when it was said is written now.
    """

    def __init__(
        self,
        journal: StatementJournal,
        statements: Statements,
        backlog: Backlog,
        clock: Callable[[], float],
        server_run: Callable[[], str] = lambda: "",
        *,
        gaps: bool = True,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """``server_run``: changes with the server of Redis. ``gaps``: look for them, and write what is to be written.

        ``elapsed``: seconds.
        """
        self._journal = journal
        self._statements = statements
        self._backlog = backlog
        self._clock = clock
        self._server_run = server_run
        self._gaps = gaps
        self._elapsed = elapsed
        self._run: str | None = None  # the server whose gaps were looked for
        self._due = float("-inf")
        self._refused = False

    def step(self) -> None:
        """Replay what Redis lacks. Call it before objects are dispatched. Raises ``Transient``.

        Objects whose statements have come back are tagged again, since their records may be without them.
        """
        if self._statements.restored():
            self._look()
            return
        run = self._server_run()
        self._replay(gap=False)
        self._statements.mark_restored(self._clock())
        self._run = run

    def _look(self) -> None:
        if not self._gaps or self._elapsed() < self._due:
            return
        self._due = self._elapsed() + LOOK_S
        run = self._server_run()
        if run != self._run:
            self._replay(gap=True)
            self._run = run
        try:
            if written := self._journal.write_rest(self._statements):
                log.info("statements written to the journal", statements=written)
            self._refused = False
        except Permanent as exc:
            if not self._refused:
                log.warning("statements not written to the journal", reason=str(exc), then="it is tried again")
            self._refused = True

    def _replay(self, *, gap: bool) -> None:
        changed = self._journal.replay(self._statements, self._clock(), gap=gap)
        self._backlog.add(changed)
        if changed:
            lost = "the last ones" if gap else "all"
            log.info("statements restored from the journal", objects=len(changed), lost=lost)
