"""Teaching by example: a person accepts or rejects a label of an image, or takes that back.

The statement is stored and written to the journal, then the record is revised, and then the images that look like
this one are tagged again. A fault after the first step loses nothing that was said: the dispatcher does the rest
(``Unfollowed``). If the index of images is away, the statement is stored all the same.

An image that has no vector in the index yet is in progress, has just finished, or was not put there. The first are
tagged once more (``Ledger.tag_again``), the second are in the feed, and the third are compared with what is said then
when their vectors come (``workers.stages.indexing``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from tasks.labels.index_form import index_form
from tasks.message_parts import Judgement, place_of
from vectordb.decoders import from_msgpack
from vectordb.errors import Permanent, Transient
from workers.images.backlog import Backlog
from workers.images.examples import ExampleBook, Near
from workers.images.label_check import BadLabel, checked
from workers.images.remote_images import OWNER
from workers.images.statement_journal import LABELS_MAX, StatementJournal
from workers.lifecycle.composing import composed, holding
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.lifecycle.statements import Statement, Statements, read
from workers.lifecycle.stored_record import read_record
from workers.redis.rpc import RpcClient, Sender

log = structlog.get_logger()

TASK = "wildtag.near"
FOLLOW_S = 10.0  # after which what was said is followed by the dispatcher, if nobody else has done so; and again
PAUSE_MAX_S = 600.0  # between two attempts
AT_ONCE = 20  # objects whose neighbours are asked for at once
FINISHED_MOST = 500  # images that finished while the neighbours of one were asked for


class NotTaggable(Permanent):
    """The object has no record with tags, so nothing can be said of it."""


class ObjectKey(msgspec.Struct, frozen=True):
    """The object whose neighbours are asked for.

    ``plan``: nobody waits for them; they are tagged again, as was planned for that time (``Statements.unfollowed``).
    """

    bucket: str
    key: str
    plan: float = 0.0


@dataclass(frozen=True)
class Taught:
    """What came of a statement: the record as it is now, and the images that look like this one, nearest first.

    ``near``: bucket, key and similarity; they are tagged again. ``problem``: why they are not known.
    """

    record: Record
    near: Sequence[tuple[str, str, float]]
    problem: str | None = None


def near(book: ExampleBook, data: bytes) -> bytes:
    """Handle a request for the neighbours of an object, in the process that owns the index of images."""
    asked = from_msgpack(data, ObjectKey)
    return msgspec.msgpack.encode(book.near(asked.bucket, asked.key))


class NearFollower:
    """In the process that owns the index of images: has images that look like one tagged again."""

    def __init__(self, book: ExampleBook, records: Records, statements: Statements, backlog: Backlog) -> None:
        self._book = book
        self._records = records
        self._statements = statements
        self._backlog = backlog

    def follow(self, data: bytes) -> None:
        """Handle a request. What fails is asked for again."""
        asked = from_msgpack(data, ObjectKey)
        oid = f"{asked.bucket}/{asked.key}"
        try:
            ((etag, _),) = self._records.known([oid])
            found = self._book.near(asked.bucket, asked.key) if etag else None
            if found is not None and found.etag != etag:
                return  # it is not in the index yet
            if found is not None:
                self._book.renew()
                self._backlog.add([f"{bucket}/{key}" for bucket, key, _ in found.images])
            self._statements.followed(oid, asked.plan)
        except (Transient, Permanent) as exc:
            log.warning("images that look like this one are not known", object=oid, reason=str(exc))
            return
        count = len(found.images) if found is not None else 0
        log.info("images that look like this one are tagged again", object=oid, images=count)


class Unfollowed:
    """In the dispatcher: asks for the images to be tagged again because of what was said and not followed."""

    def __init__(self, statements: Statements, ledger: Ledger, sender: Sender, clock: Callable[[], float]) -> None:
        self._statements = statements
        self._ledger = ledger
        self._sender = sender
        self._clock = clock
        self._plans: dict[str, tuple[float, float]] = {}  # what this process has planned, and the pause before it

    def step(self) -> None:
        """Ask for some, and again later for those that do not succeed. Raises ``Transient``."""
        now = self._clock()
        plans = dict(self._statements.unfollowed())
        self._plans = {oid: mine for oid, mine in self._plans.items() if plans.get(oid) == mine[0]}
        # planned far ahead: the clock was set back
        due = [oid for oid, at in plans.items() if at <= now or at > now + 2 * PAUSE_MAX_S][:AT_ONCE]
        if any(oid not in self._plans for oid in due):
            self._ledger.tag_again()
        for oid in due:
            _, pause = self._plans.get(oid, (0.0, FOLLOW_S / 2))
            pause = min(PAUSE_MAX_S, 2 * pause)  # its vector may not be made for long
            self._plans[oid] = now + pause, pause
            self._statements.follow_later(oid, now + pause)
            request = msgspec.msgpack.encode(ObjectKey(*place_of(oid), plan=now + pause))
            self._sender.ask(OWNER, TASK, "", request, f"(near {oid})", FOLLOW_S)


class Teacher:
    """Stores what people say of objects. Raises ``StoreUnavailable``, ``NotTaggable`` or ``BadLabel``."""

    def __init__(
        self,
        records: Records,
        ledger: Ledger,
        statements: Statements,
        journal: StatementJournal,
        low_priority_inbox: EventInbox,
        backlog: Backlog,
        rpc: RpcClient,
        clock: Callable[[], float],
    ) -> None:
        self._records = records
        self._ledger = ledger
        self._statements = statements
        self._journal = journal
        self._inbox = low_priority_inbox
        self._backlog = backlog
        self._rpc = rpc
        self._clock = clock

    def say(self, bucket: str, key: str, label: str, accepted: bool | None) -> Taught:  # noqa: FBT001 -- as in the API
        """Accept a label for an object, reject it, or (``None``) take back what was said of it.

        The images that look like this one, and the object itself, are tagged again.
        """
        oid, label = f"{bucket}/{key}", checked(label)
        record = self._tagged(oid)
        if accepted is not None:
            self._check_room(oid, label)
        begin = self._records.feed_end()
        there, problem = self._near(record)
        now = self._clock()
        statement = None
        if accepted is not None:
            statement = Statement(label, accepted, record.etag, now, there.hash if there else None)
        plan = now + FOLLOW_S
        said, missing = self._stored(oid, label, now, statement, plan)
        problem = "; ".join(filter(None, (problem, missing))) or None
        record = self._revise(record, said, there)
        found = there.images if there is not None else ()
        self._inbox.append([ObjectEvent("created", bucket, key, force=True)])
        self._ledger.tag_again()
        # what has finished since the neighbours were asked for may have been judged before and put there after
        late = self._records.feed_page(begin, FINISHED_MOST)
        others = [item.oid for item in late if item.record is not None and item.record.state == "done"]
        near_ones = [f"{other_bucket}/{other}" for other_bucket, other, _ in found]
        self._backlog.add([one for one in dict.fromkeys([*near_ones, *others]) if one != oid])
        if there is not None and len(late) < FINISHED_MOST:
            self._statements.followed(oid, plan)
        return Taught(record, found, problem)

    def forget(self, bucket: str, key: str, label: str) -> Taught | None:
        """Take back what was said of an object, also of one that was removed or has no tags; ``None`` then."""
        try:
            return self.say(bucket, key, label, None)
        except NotTaggable:
            self._stored(f"{bucket}/{key}", checked(label), self._clock(), None, None)
            return None

    def _check_room(self, oid: str, label: str) -> None:
        """Raise ``BadLabel`` for one label more than the journal gives back after a loss of Redis."""
        others = {index_form(one.label) for one in read(self._statements.stored([oid])[0])} - {index_form(label)}
        if len(others) >= LABELS_MAX:
            raise BadLabel(f"people have said something of {LABELS_MAX} labels of {oid}; take one back first")

    def _stored(
        self, oid: str, label: str, now: float, statement: Statement | None, plan: float | None
    ) -> tuple[list[Statement], str | None]:
        """Store a statement. Returns all of the object, and why it is not in the journal."""
        said, word = self._statements.say(oid, label, statement, now, plan)
        try:
            self._journal.write(self._statements, word)
        except (Transient, Permanent) as exc:  # it is in Redis, and is written later
            log.warning("statement not written to the journal", object=oid, reason=str(exc))
            return said, f"what was said is not in the journal yet, which restores it if Redis is lost: {exc}"
        return said, None

    def _near(self, record: Record) -> tuple[Near | None, str | None]:
        """What the index says of this version of the image; ``None``, and why, if it says nothing."""
        request = msgspec.msgpack.encode(ObjectKey(record.bucket, record.key))
        try:
            found = from_msgpack(self._rpc.ask(OWNER, TASK, request, "near"), Near)
        except (Transient, Permanent) as exc:
            log.warning("images that look like this one are not known", object=record.id, reason=str(exc))
            return None, f"the images that look like this one are not known: {exc}"
        if found.etag != record.etag:
            return None, "this version of the image is not in the index of images yet; it is no example until it is"
        if found.more:
            return found, f"only the {len(found.images):,} nearest images that look like this one are tagged again"
        return found, None

    def _tagged(self, oid: str) -> Record:
        (record,) = self._records.get([oid])
        if record is None or record.state != "done":
            state = "has no record" if record is None else f"is {record.state}"
            raise NotTaggable(f"{oid} {state}: only an image with a finished record can be taught")
        return record

    def _revise(self, record: Record, said: Sequence[Statement], there: Near | None) -> Record:
        """Write what is said into the record as it is now. ``there``: what the index says of this one."""
        oid, looked_at = record.id, record.etag
        while True:
            (stored,) = self._records.stored([oid])
            if stored is None:
                raise NotTaggable(f"{oid} was removed")
            record = read_record(oid, stored)
            number = there.hash if there is not None and record.etag == looked_at else None
            revised = composed(record, holding(said, record.etag, number), Judgement())
            if revised == record or self._ledger.revise(oid, stored, revised):
                return revised
