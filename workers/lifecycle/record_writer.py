"""Writes, changes and removes records, with all lists in which they are. The ledger decides which ones.

A script needs the labels of a record that it replaces, to take it out of their lists, and cannot read them. So the
record is read first, and the script refuses if there is another one by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tasks.message_parts import ObjectRef, Revision
from workers.lifecycle.kept_tags import kept, segmented_as
from workers.lifecycle.lost_rows import LostRows
from workers.lifecycle.outcomes import Before
from workers.lifecycle.reasons import counted_reason
from workers.lifecycle.record import Record
from workers.lifecycle.removed import removed_bytes
from workers.lifecycle.stored_record import ACKNOWLEDGED, PLACES, packed_body, read_rows
from workers.lifecycle.tag_entries import added, removed, tag_entries
from workers.redis import scripts
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys
from workers.redis.script_calls import Call, Command, call_together

UNCHECKED = b"*"  # what people said is not part of a record
AT_ONCE = 16
"""Objects that one call of a script changes at most, since others wait meanwhile: 0.15 ms for each."""
CHANGED = "changed"


class RecordWriter:
    """Writes records. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, feed_length: int) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._feed_length = feed_length
        self._lost = LostRows(client, keys)
        self._finish = self._script("counting", "records", "tag_index", "finish")
        self._remove = self._script("counting", "records", "tag_index", "remove")
        self._revise = self._script("records", "tag_index", "revise")
        self._adopt = self._script("records", "adopt")
        self._acknowledge = self._script("records", "acknowledge")

    def before(self, oids: Sequence[str]) -> list[Before]:
        """What there is of objects now, for ``finish_said``."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for command in self._asking(oids):
                pipe.execute_command(*command)
            return list(map(before_of, pipe.execute()))

    def _asking(self, oids: Sequence[str]) -> list[Command]:
        return [("MGET", self._keys.statements(oid), self._keys.record(oid)) for oid in oids]

    def finish(self, records: Sequence[Record], now: float) -> list[bool]:
        """Write final records. ``False`` for objects not in the ledger: nothing was written."""
        answers = [CHANGED] * len(records)
        while left := [place for place, answer in enumerate(answers) if answer == CHANGED]:
            mine = [records[place] for place in left]
            before = [Before(UNCHECKED, one.record) for one in self.before([record.id for record in mine])]
            keeping = [kept(record, one.record) for record, one in zip(mine, before, strict=True)]
            methods = self._wanted([one.id for one in keeping if one is not None])
            revisions = [Revision(one.space_id, one.captions_version) for one in mine]
            mine = [
                record if earlier is None else segmented_as(earlier, methods[record.id])
                for record, earlier in zip(mine, keeping, strict=True)
            ]
            for place, answer in zip(left, self._finish_of(mine, before, now, revisions), strict=True):
                answers[place] = answer
        return [answer == "written" for answer in answers]

    def _wanted(self, oids: Sequence[str]) -> dict[str, str]:
        """By which method the ledger has each object segmented; empty if it has not."""
        if not oids:
            return {}
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.hget(self._keys.entry(oid), "segment")
            return {oid: text(method or b"") for oid, method in zip(oids, pipe.execute(), strict=True)}

    def finish_said(self, records: Sequence[Record], before: Sequence[Before], now: float) -> list[str]:
        """Write final records that contain what people said. ``before``: what there was when they were composed.

        Returns for each ``written``, ``refused`` (not in the ledger), or ``changed``: people have said something else
        meanwhile, or there is another record, and nothing was written.
        """
        revisions = [Revision(one.space_id, one.captions_version) for one in records]
        return self._finish_of(records, before, now, revisions)

    def _finish_of(
        self, records: Sequence[Record], before: Sequence[Before], now: float, revisions: Sequence[Revision]
    ) -> list[str]:
        """``revisions``: those that the ledger waits for; a record that is kept is of an earlier one."""
        calls: list[Call] = []
        order: list[int] = []
        for revision, places in _by_revision(revisions):
            for start in range(0, len(places), AT_ONCE):
                part = places[start : start + AT_ONCE]
                calls.append(self._finishing([(records[place], before[place]) for place in part], revision, now))
                order += part
        with translated():
            pages = call_together(self._redis, self._finish, calls)
        answers = dict(zip(order, (text(answer) for page in pages for answer in page), strict=True))
        return [answers[place] for place in range(len(records))]

    def _finishing(self, part: Sequence[tuple[Record, Before]], revision: str, now: float) -> Call:
        k = self._keys
        keys = [*k.counting, k.ledger, k.segmenting, k.records, k.objects, k.damaged, k.feed, k.tags, k.last_number,
                k.low_priority_inbox, k.low_priority_once, k.retag_marks]  # fmt: skip
        args: list[Any] = [k.prefix, revision, self._feed_length, now]
        for record, before in part:
            oid, entries = record.id, tag_entries(record)
            failure = record.error or record.retag_error or None
            own = token(Revision(record.space_id, record.captions_version))
            keys += [k.entry(oid), k.record(oid), k.segmentation_request(oid), k.statements(oid)]
            args += [
                raw(oid), record.etag, record.state, counted_reason(failure.code if failure else None),
                record.segmentation_method, "" if own == revision else own, PLACES[record.state],
                before.said, before.record, removed(self._lost.rows(oid, before.record)), added(entries),
                packed_body(record, [entry.row for entry in entries], now),
            ]  # fmt: skip
        return keys, args

    def revise(self, oid: str, stored: bytes, record: Record) -> bool:
        """Replace a stored record by one with other labels. ``False`` if it has changed meanwhile."""
        k, entries = self._keys, tag_entries(record)
        head, rows = read_rows(stored)
        body = packed_body(record, [entry.row for entry in entries], head.at)
        args = [k.prefix, raw(oid), stored, self._feed_length, removed(rows), added(entries), body]
        with translated():
            return text(self._revise(keys=[k.record(oid), k.feed, k.tags], args=args)) == "revised"

    def adopt(self, same: Sequence[tuple[ObjectRef, bytes]]) -> list[bool]:
        """Give records the ETags of these objects, which have the same content. No entry is added to the feed.

        ``same``: objects, each with its stored record. ``False`` if the record has changed meanwhile.
        """
        calls = [((self._keys.record(ref.id),), (stored, ref.etag)) for ref, stored in same]
        with translated():
            return [answer == b"adopted" for answer in call_together(self._redis, self._adopt, calls)]

    def acknowledge(self, oids: Sequence[str]) -> list[str]:
        """Count dead objects no more. Their records stay; the next record of an object undoes it.

        Returns for each ``acknowledged``, ``already``, or ``not-dead``: another state, or no record.
        """
        calls: list[Call] = []
        for start in range(0, len(oids), AT_ONCE):
            keys = [self._keys.records, *map(self._keys.record, oids[start : start + AT_ONCE])]
            calls.append((keys, (PLACES["dead"], PLACES[ACKNOWLEDGED])))
        with translated():
            pages = call_together(self._redis, self._acknowledge, calls)
        return [text(answer) for page in pages for answer in page]

    def remove(self, oids: Sequence[str]) -> list[bool]:
        """Remove objects that are gone from the bucket. ``False`` for unknown objects."""
        answers = [CHANGED] * len(oids)
        while left := [place for place, answer in enumerate(answers) if answer == CHANGED][:AT_ONCE]:
            for place, answer in zip(left, self._removed([oids[place] for place in left]), strict=True):
                answers[place] = answer
        return [answer == "removed" for answer in answers]

    def _removed(self, oids: Sequence[str]) -> list[str]:
        k = self._keys
        keys = [*k.counting, k.ledger, k.segmenting, k.records, k.objects, k.damaged, k.feed, k.tags,
                k.segmentation_queue, k.segmentation_queue_forced, k.segmentation_queue_origins]  # fmt: skip
        args: list[Any] = [k.prefix, self._feed_length]
        for oid, before in zip(oids, self.before(oids), strict=True):
            keys += [k.entry(oid), k.record(oid), k.segmentation_request(oid)]
            rows = removed(self._lost.rows(oid, before.record))
            args += [raw(oid), before.record, rows, removed_bytes(oid, before.record)]
        with translated():
            return [text(answer) for answer in self._remove(keys=keys, args=args)]

    def _script(self, *names: str) -> Any:
        return self._redis.register_script(scripts.source(*names))


def before_of(answer: Sequence[bytes | None]) -> Before:
    """The answer to the command that reads what there is of an object."""
    said, record = answer
    return Before(bytes(said or b""), bytes(record or b""))


def _by_revision(revisions: Sequence[Revision]) -> Iterator[tuple[str, list[int]]]:
    """The positions of each revision."""
    found: dict[str, list[int]] = {}
    for place, revision in enumerate(revisions):
        found.setdefault(token(revision), []).append(place)
    yield from found.items()


def token(revision: Revision) -> str:
    """One string for everything except the image that a result depends on."""
    return f"{revision.space_id}/{revision.captions_version}"
