"""What people say of images: labels that they accept and reject. It holds for an object until it is taken back.

What was said last of a label counts. Times only grow, whatever clocks say: each word gets a later one than all before
it. A statement that is taken back leaves a word, too, so that a replay of the journal in the bucket
(``workers.images.statement_journal``) does not bring it back.

A statement is about what the image shows. If an object is overwritten by another picture, statements about the old
one stay stored and do not hold. They do hold for the same picture that was edited, turned or compressed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from tasks.labels.index_form import index_form
from vectordb.decoders import from_json
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys

PAGE = 500
TAKEN_BACK_MAX = 10_000  # words that are remembered, newest last; the journal has them, too
TICK_S = 0.001  # between two words: names in the journal have milliseconds

FORGET_WORD = "return redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] and redis.call('HDEL', KEYS[1], ARGV[1]) or 0"
FORGET_PLAN = (
    "local at = redis.call('ZSCORE', KEYS[1], ARGV[1]) "
    "return at and tonumber(at) == tonumber(ARGV[2]) and redis.call('ZREM', KEYS[1], ARGV[1]) or 0"
)


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


class Word(msgspec.Struct, frozen=True):
    """What was said last of a label of an object. ``statement``: ``None`` if it was taken back.

    ``said_at``: Unix seconds, later than all that was said before.
    """

    oid: str
    label: str
    said_at: float
    statement: Statement | None = None

    @property
    def order(self) -> tuple[float, bool, bytes]:
        """The greatest word of a label counts."""
        return self.said_at, self.statement is None, msgspec.json.encode(self.statement)


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
        key = self._keys.statements(oid)
        result: list[Statement] = []

        def work(pipe: Any) -> None:
            result[:] = _changed(read(bytes(pipe.get(key) or b"")), label, statement)
            pipe.multi()
            self._put(pipe, oid, result)

        with translated():
            self._redis.transaction(work, key)
        return result

    def say(
        self, oid: str, label: str, statement: Statement | None, now: float, follow_at: float | None = None
    ) -> tuple[list[Statement], Word]:
        """Store what is said now (Unix seconds), or that it is taken back, and that the journal does not have it.

        Returns all statements of the object, and the word that the journal is to have: see ``written``.
        ``follow_at``: when the images that look like this one are tagged again, unless that was ``followed`` before.
        """
        keys = self._keys
        key, result, words = keys.statements(oid), list[Statement](), list[Word]()

        def work(pipe: Any) -> None:
            known = read(bytes(pipe.get(key) or b""))
            latest = max([float(pipe.get(keys.statements_time) or 0.0), *(one.said_at for one in known)])
            at = max(now, latest + TICK_S)
            # a statement that was moved from another object keeps its time
            stamped = statement if statement is None or statement.said_at < now else replace(statement, said_at=at)
            words[:] = [Word(oid, label, at, stamped)]
            result[:] = _changed(known, label, stamped)
            pipe.multi()
            self._put(pipe, oid, result)
            pipe.set(keys.statements_time, repr(at))
            self._note(pipe, words[0])
            pipe.hset(keys.statements_unwritten, _field(oid, label), msgspec.json.encode(words[0]))
            if follow_at is not None:
                pipe.zadd(keys.statements_unfollowed, {raw(oid): follow_at})

        with translated():
            self._redis.transaction(work, key, keys.statements_time)
        return result, words[0]

    def restore(self, word: Word, follow_at: float) -> bool:
        """Store a word of the journal, unless something later was said. Returns whether this changed anything."""
        keys, form = self._keys, index_form(word.label)
        key, changed = keys.statements(word.oid), [False]

        def work(pipe: Any) -> None:
            known = read(bytes(pipe.get(key) or b""))
            there = next((one for one in known if index_form(one.label) == form), None)
            latest = float(pipe.get(keys.statements_time) or 0.0)
            taken_back = pipe.zscore(keys.statements_taken_back, _field(word.oid, word.label))
            later = taken_back is not None and taken_back >= word.said_at
            if there is not None:
                later = later or Word(word.oid, word.label, there.said_at, there).order > word.order
            changed[0] = not later and not _same(there, word.statement)
            pipe.multi()
            if changed[0]:
                self._put(pipe, word.oid, _changed(known, word.label, word.statement))
                pipe.zadd(keys.statements_unfollowed, {raw(word.oid): follow_at})
            if not later:
                self._note(pipe, word)
            if word.said_at > latest:
                pipe.set(keys.statements_time, repr(word.said_at))

        with translated():
            self._redis.transaction(work, key, keys.statements_time, keys.statements_taken_back)
        return changed[0]

    def unwritten(self) -> list[Word]:
        """What the journal does not have yet, oldest first."""
        with translated():
            words = [from_json(value, Word) for value in self._redis.hvals(self._keys.statements_unwritten)]
        return sorted(words, key=lambda word: word.order)

    def written(self, word: Word) -> None:
        """The journal has this word."""
        args = [_field(word.oid, word.label), msgspec.json.encode(word)]
        with translated():
            self._redis.eval(FORGET_WORD, 1, self._keys.statements_unwritten, *args)

    def journal_position(self) -> str:
        """The newest entry of the journal that is known to be here; empty if none is."""
        with translated():
            return text(self._redis.get(self._keys.statements_journal) or b"")

    def journal_has(self, name: str) -> None:
        """An entry of the journal is here. Of two callers at once the older one may count: more is replayed then."""
        if name > self.journal_position():
            with translated():
                self._redis.set(self._keys.statements_journal, name)

    def unfollowed(self) -> list[tuple[str, float]]:
        """Objects of which something was said, and whose like are to be tagged again: at this time (Unix seconds)."""
        with translated():
            found = self._redis.zrange(self._keys.statements_unfollowed, 0, -1, withscores=True)
        return [(text(oid), float(at)) for oid, at in found]

    def follow_later(self, oid: str, at: float) -> None:
        """Try again then, unless this was done meanwhile."""
        with translated():
            self._redis.zadd(self._keys.statements_unfollowed, {raw(oid): at}, xx=True)

    def followed(self, oid: str, at: float) -> None:
        """What looks like this object waits to be tagged again. ``at``: as it was planned; it may be again since."""
        with translated():
            self._redis.eval(FORGET_PLAN, 1, self._keys.statements_unfollowed, raw(oid), repr(at))

    def _note(self, pipe: Any, word: Word) -> None:
        """Remember that a statement was taken back, or that it is not any more."""
        key, field = self._keys.statements_taken_back, _field(word.oid, word.label)
        if word.statement is not None:
            pipe.zrem(key, field)
            return
        pipe.zadd(key, {field: word.said_at})
        pipe.zremrangebyrank(key, 0, -TAKEN_BACK_MAX - 1)

    def _put(self, pipe: Any, oid: str, statements: Sequence[Statement]) -> None:
        key = self._keys.statements(oid)
        if statements:
            pipe.set(key, msgspec.json.encode(statements))
            pipe.sadd(self._keys.stated, raw(oid))
        else:
            pipe.delete(key)
            pipe.srem(self._keys.stated, raw(oid))
        pipe.incr(self._keys.statements_revision)

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


def _field(oid: str, label: str) -> bytes:
    return raw(f"{oid}\n{index_form(label)}")


def _same(one: Statement | None, other: Statement | None) -> bool:
    """Whether both say the same at the same time. The ETag of one may be newer, see ``Statements.adopt``."""
    if one is None or other is None:
        return one is other
    return (one.said_at, one.accepted, one.label) == (other.said_at, other.accepted, other.label)


def _changed(known: Sequence[Statement], label: str, statement: Statement | None) -> list[Statement]:
    """The statements of an object with this one in place of what was said of the label."""
    kept = [one for one in known if index_form(one.label) != index_form(label)]
    return kept if statement is None else [*kept, statement]


def read(stored: bytes) -> list[Statement]:
    """The statements in what is stored."""
    return from_json(stored, list[Statement]) if stored else []
