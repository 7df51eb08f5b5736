"""What people say of images: labels that they accept and reject. It holds for an object until it is taken back.

A statement is about what the image shows. If an object is overwritten by another picture, statements about the old
one stay stored and do not hold. They do hold for the same picture that was edited, turned or compressed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from tasks.copies import COARSE, DETAILS, SMALL_PARTS
from tasks.images.perceptual_hash import has_small_parts, variants, words_of
from tasks.labels.index_form import index_form
from tasks.message_parts import Judgement, Tag, Unknown
from vectordb.decoders import from_json
from workers.lifecycle.record import Record
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys

PAGE = 500


class Statement(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person's word about one label of one object.

    ``etag``: of the version that was looked at; ``hash``: its perceptual hash, if it has one. ``said_at``: Unix
    seconds.
    """

    label: str
    accepted: bool
    etag: str
    said_at: float
    hash: bytes | None = None


class Statements:
    """Stores statements by object. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys

    def stored(self, oids: Sequence[str]) -> list[bytes]:
        """What is stored for each object, as ``read`` takes it; empty if there is nothing."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for oid in oids:
                pipe.get(self._keys.statements(oid))
            return [bytes(value or b"") for value in pipe.execute()]

    def objects(self) -> list[str]:
        """The objects with statements, in the order of their ids."""
        with translated():
            return sorted(map(text, self._redis.smembers(self._keys.stated)))

    def all(self) -> Iterator[tuple[str, list[Statement]]]:
        """Each object with its statements, in the order of their ids."""
        oids = self.objects()
        for start in range(0, len(oids), PAGE):
            part = oids[start : start + PAGE]
            yield from zip(part, map(read, self.stored(part)), strict=True)

    def page(self, after: tuple[str, str] | None, limit: int) -> list[tuple[str, Statement]]:
        """At most ``limit`` statements with their objects, by object and form of the label.

        ``after``: the object and the form of the last one of the page before, whether or not it still is there.
        """
        oids = self.objects()
        start = 0 if after is None else bisect_left(oids, after[0])
        found: list[tuple[str, Statement]] = []
        for at in range(start, len(oids), PAGE):
            part = oids[at : at + PAGE]
            for oid, statements in zip(part, map(read, self.stored(part)), strict=True):
                ordered = sorted(((index_form(one.label), one) for one in statements), key=lambda pair: pair[0])
                found += [(oid, one) for form, one in ordered if after is None or (oid, form) > after]
                if len(found) >= limit:
                    return found[:limit]
        return found

    def revision(self) -> int:
        """A number that grows with every change."""
        with translated():
            return int(self._redis.get(self._keys.statements_revision) or 0)

    def restored(self) -> bool:
        """Whether the journal has been replayed into this Redis, so that it is complete."""
        with translated():
            return bool(self._redis.exists(self._keys.statements_restored))

    def mark_restored(self, now: float) -> None:
        """Remember that the journal was replayed. ``now``: Unix seconds; no revision from before has this number."""
        with translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.set(self._keys.statements_revision, int(now * 1000))
            pipe.set(self._keys.statements_restored, b"1")
            pipe.execute()

    def change(self, oid: str, label: str, statement: Statement | None) -> list[Statement]:
        """Store what is said of a label in place of what was, or forget it. Returns all statements of the object."""
        key, form = self._keys.statements(oid), index_form(label)
        result: list[Statement] = []

        def work(pipe: Any) -> None:
            kept = [one for one in read(bytes(pipe.get(key) or b"")) if index_form(one.label) != form]
            result[:] = kept if statement is None else [*kept, statement]
            pipe.multi()
            if result:
                pipe.set(key, msgspec.json.encode(result))
                pipe.sadd(self._keys.stated, raw(oid))
            else:
                pipe.delete(key)
                pipe.srem(self._keys.stated, raw(oid))
            pipe.incr(self._keys.statements_revision)

        with translated():
            self._redis.transaction(work, key)
        return result

    def adopt(self, oid: str, etag: str, new: str) -> None:
        """Let what was said of a version of an object hold for another ETag, which is of the same content."""
        key = self._keys.statements(oid)

        def work(pipe: Any) -> None:
            known = read(bytes(pipe.get(key) or b""))
            changed = [replace(one, etag=new) if one.etag == etag else one for one in known]
            pipe.multi()
            if changed != known:
                pipe.set(key, msgspec.json.encode(changed))

        with translated():
            self._redis.transaction(work, key)


def read(stored: bytes) -> list[Statement]:
    """The statements in what is stored."""
    return from_json(stored, list[Statement]) if stored else []


def holding(statements: Sequence[Statement], etag: str, number: bytes | None) -> list[Statement]:
    """Those that hold for a version of the object: ``number`` is its perceptual hash, if it has one."""
    return [one for one in statements if one.etag == etag or same_picture(one.hash, number)]


def same_picture(one: bytes | None, other: bytes | None) -> bool:
    """Whether two perceptual hashes are of one picture, in any orientation.

    As for duplicates, pictures of small parts must agree in nearly all details: forms of one layout look the same to
    coarse hashes.
    """
    if one is None or other is None:
        return False
    pair = words_of([one, other])
    most = SMALL_PARTS if has_small_parts(pair).any() else DETAILS
    differing = np.bitwise_count(variants(pair[:1]) ^ pair[1]).astype(int)[:, 0]
    return bool(((differing[:, 0] <= COARSE) & (differing[:, 1:].sum(axis=1) <= most)).any())


def composed(record: Record, statements: Sequence[Statement], judgement: Judgement) -> Record:
    """The record with what people said of the object, and what exemplars say of it.

    Accepted labels come first, then by strength. Rejected and withheld labels are left out; a person's word about the
    object itself counts more than any exemplar. What was said before, and is not any more, is taken back.
    """
    unsaid = record.rejected is msgspec.UNSET and all(tag.source != "person" for tag in record.tags)
    if record.state != "done" or (unsaid and not (statements or judgement.gained or judgement.withheld)):
        return record
    said = {index_form(one.label): one for one in statements}
    tags = {index_form(tag.label): tag for tag in record.tags}
    tags = {
        form: tag for form, tag in tags.items()
        if form not in said and tag.source != "person" and not judgement.withholds(tag.label)
    }  # fmt: skip
    for likeness in judgement.gained:
        form = index_form(likeness.label)
        if form not in said and (form not in tags or tags[form].strength < likeness.confidence):
            known = tags.get(form) or Tag(likeness.label, likeness.confidence, 0.0, 0.0)
            tags[form] = replace(known, confidence=likeness.confidence, source="example", example=likeness)
    accepted = [_accepted(one, record.tags) for one in statements if one.accepted]
    order = (*accepted, *sorted(tags.values(), key=lambda tag: -tag.strength))
    rejected = tuple(one.label for one in statements if not one.accepted)
    because = record.unknown_because or (Unknown("rejected") if rejected or judgement.withheld else None)
    return replace(
        record, tags=order, unknown=not order, unknown_because=None if order else because,
        rejected=rejected or msgspec.UNSET,
    )  # fmt: skip


def _accepted(statement: Statement, tags: Sequence[Tag]) -> Tag:
    """The tag that a person accepted, with the scores of the method if it found the label, too."""
    form = index_form(statement.label)
    known = next((tag for tag in tags if index_form(tag.label) == form), Tag(statement.label, 1.0, 0.0, 0.0))
    return replace(known, label=statement.label, confidence=1.0, source="person", example=msgspec.UNSET)
