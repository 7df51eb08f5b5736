"""Teaching by example: a person accepts or rejects a label of an image, or takes that back.

The statement is stored first and written to the journal, then the record is revised, and then the images that look
like this one are tagged again. A fault after the first step loses nothing that was said.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from tasks.labels.index_form import index_form
from tasks.message_parts import Judgement
from vectordb.decoders import from_msgpack
from vectordb.errors import Permanent, Transient
from vectordb.images import image_id
from workers.images.examples import ExampleBook, Near
from workers.images.open_images import OpenImages
from workers.images.remote_images import OWNER
from workers.images.statement_journal import Entry, StatementJournal
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record import Record, decode
from workers.lifecycle.record_reader import Records
from workers.lifecycle.statements import Statement, Statements, composed, holding
from workers.redis.rpc import RpcClient

log = structlog.get_logger()

TASK = "wildtag.near"
LONGEST = 100  # characters of a label


class NotTaggable(Permanent):
    """The object has no record with tags, so nothing can be said of it."""


class BadLabel(Permanent):
    """A label without a letter or digit, too long, or with control characters."""


class ObjectKey(msgspec.Struct, frozen=True):
    """The object whose neighbours are asked for."""

    bucket: str
    key: str


@dataclass(frozen=True)
class Taught:
    """What came of a statement: the record as it is now, and the images that look like this one, nearest first.

    ``near``: bucket, key and similarity; they are tagged again. ``problem``: why they are not known.
    """

    record: Record
    near: Sequence[tuple[str, str, float]]
    problem: str | None = None


def near(images: OpenImages, book: ExampleBook, data: bytes) -> bytes:
    """Handle a request for the neighbours of an object, in the process that owns the index of images."""
    asked = from_msgpack(data, ObjectKey)
    entries, _ = images.index().get([image_id(asked.bucket, asked.key)])
    if not entries:
        return msgspec.msgpack.encode(Near(None, None, ()))
    found = tuple(book.near(asked.bucket, asked.key))
    return msgspec.msgpack.encode(Near(entries[0].etag, entries[0].hash, found))


class Teacher:
    """Stores what people say of objects. Raises ``StoreUnavailable``, ``NotTaggable`` or ``BadLabel``."""

    def __init__(
        self,
        records: Records,
        ledger: Ledger,
        statements: Statements,
        journal: StatementJournal,
        low_priority_inbox: Inbox,
        rpc: RpcClient,
        clock: Callable[[], float],
    ) -> None:
        self._records = records
        self._ledger = ledger
        self._statements = statements
        self._journal = journal
        self._inbox = low_priority_inbox
        self._rpc = rpc
        self._clock = clock

    def say(self, bucket: str, key: str, label: str, accepted: bool | None) -> Taught:  # noqa: FBT001 -- as in the API
        """Accept a label for an object, reject it, or (``None``) take back what was said of it.

        The images that look like this one, and the object itself, are tagged again.
        """
        oid, label = f"{bucket}/{key}", checked(label)
        record = self._tagged(oid)
        there, problem = self._near(bucket, key)
        now = self._clock()
        statement = None
        if accepted is not None:
            number = there.hash if there is not None and there.etag == record.etag else None
            statement = Statement(label, accepted, record.etag, now, number)
        said = self._statements.change(oid, label, statement)
        try:
            self._journal.append(Entry(key, label, now, statement))
        except Transient as exc:  # it is in Redis
            log.warning("statement not written to the journal", object=oid, reason=str(exc))
            problem = problem or f"it is not in the journal: {exc}"
        record = self._revise(oid, said, None if there is None else there.hash)
        found = there.images if there is not None else ()
        again = [(bucket, key), *((other_bucket, other) for other_bucket, other, _ in found)]
        self._inbox.append([ObjectEvent("created", *place, force=True) for place in again])
        return Taught(record, found, problem)

    def _near(self, bucket: str, key: str) -> tuple[Near | None, str | None]:
        request = msgspec.msgpack.encode(ObjectKey(bucket, key))
        try:
            found = from_msgpack(self._rpc.ask(OWNER, TASK, request, "near"), Near)
        except (Transient, Permanent) as exc:
            log.warning("images that look like this one are not known", object=f"{bucket}/{key}", reason=str(exc))
            return None, f"the images that look like this one are not known: {exc}"
        if found.etag is None:
            return found, "the image is not in the index of images yet; `wildtag images verify --repair` adds it"
        return found, None

    def _tagged(self, oid: str) -> Record:
        (record,) = self._records.get([oid])
        if record is None or record.state != "done":
            state = "has no record" if record is None else f"is {record.state}"
            raise NotTaggable(f"{oid} {state}: only an image with a finished record can be taught")
        return record

    def _revise(self, oid: str, said: Sequence[Statement], number: bytes | None) -> Record:
        """Write what is said into the record as it is now. ``number``: the perceptual hash of the image."""
        while True:
            (body,) = self._records.stored([oid])
            if body is None:
                raise NotTaggable(f"{oid} was removed")
            record = decode(body)
            there = composed(record, holding(said, record.etag, number), Judgement())
            if there == record or self._ledger.revise(oid, body, there):
                return there


def checked(label: str) -> str:
    """The label without surrounding and repeated blanks. Raises ``BadLabel``."""
    clean = " ".join(unicodedata.normalize("NFC", label).split())
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in clean):
        raise BadLabel(f"the label {label!r} contains control characters")
    if len(clean) > LONGEST:
        raise BadLabel(f"the label has {len(clean)} characters; at most {LONGEST} are allowed")
    if not any(char.isalnum() for char in index_form(clean)):
        raise BadLabel(f"the label {label!r} has no letter or digit")
    return clean
