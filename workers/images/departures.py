"""What follows when an exemplar's image is removed, moved or overwritten, in the owner of the index of images.

Its vector is still known there. The images near to it are tagged again, so that they lose what they had from it. If
the object is gone and the same content is under another key, what people said moves there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from tasks.exemplars.judging import Exemplar
from tasks.images.perceptual_hash import has_small_parts, words_of
from tasks.labels.index_form import index_form
from tasks.message_parts import Floats, ObjectRef
from vectordb.errors import Permanent, Transient
from vectordb.images import ImageHits, ImageIndex
from workers.images.backlog import Backlog
from workers.images.statement_journal import StatementJournal
from workers.lifecycle.statements import Statement, Statements, read
from workers.stores.store import ObjectStore

log = structlog.get_logger()

NEAR_MOST = 1000  # images that one exemplar may change at once
LOOKED_AT = 20  # nearest images, among which the same content is sought


class StatementMover:
    """Moves what people said from an object that is gone to one with the same content."""

    def __init__(
        self, statements: Statements, journal: Callable[[], StatementJournal], store: Callable[[], ObjectStore],
        backlog: Backlog, clock: Callable[[], float],
    ) -> None:  # fmt: skip
        """``clock``: Unix seconds."""
        self._statements = statements
        self._journal = journal
        self._store = store
        self._backlog = backlog
        self._clock = clock

    def move(self, old: str, new: str, etag: str) -> bool:
        """Move all statements of ``old`` to ``new``, which has this ETag, if ``old`` is not in the store.

        What was said of a label of ``new`` stays. The new statements are stored first: a repeated move changes
        nothing. Returns whether they were moved; not if the store cannot tell. Raises ``StoreUnavailable`` of Redis.
        """
        bucket, _, key = old.partition("/")
        if old == new or not new.startswith(f"{bucket}/"):
            return False
        try:
            if self._store().stat(bucket, key) is not None:
                return False  # a copy
        except (Transient, Permanent) as exc:
            log.warning("statements not moved", object=old, to=new, reason=str(exc))
            return False
        said, there = map(read, self._statements.stored([old, new]))
        forms = {index_form(one.label) for one in there}
        for one in said:
            if index_form(one.label) not in forms:
                moved = Statement(one.label, one.accepted, etag, one.said_at, one.hash)
                self._say(new, one.label, moved)
        for one in said:
            self._say(old, one.label, None)
        if said:
            log.info("statements moved with the object", object=old, to=new, statements=len(said))
            self._backlog.add([new])
        return bool(said)

    def _say(self, oid: str, label: str, statement: Statement | None) -> None:
        _, word = self._statements.say(oid, label, statement, self._clock())
        try:
            self._journal().write(self._statements, word)
        except (Transient, Permanent) as exc:  # it is in Redis, and is written later
            log.warning("statement not written to the journal", object=oid, reason=str(exc))


class Homeless:
    """Statements of objects without a record: their objects may come under another key."""

    def __init__(self, said: Mapping[str, Sequence[Statement]], etags: Mapping[str, str]) -> None:
        """``etags``: of the records; empty without one."""
        self._objects = {oid for oid in said if not etags[oid]}
        self._by_etag: dict[str, str] = {}
        self._by_hash: dict[bytes, str] = {}
        for oid, statements in said.items():
            if not etags[oid]:
                self._by_etag |= {one.etag: oid for one in statements}
                self._by_hash |= {one.hash: oid for one in statements if one.hash is not None and telling(one.hash)}

    def has(self, oid: str) -> bool:
        """Whether this object is one of them: it comes back."""
        return oid in self._objects

    def match(self, ref: ObjectRef, number: bytes | None) -> str | None:
        """The object of which this one may be the continuation. ``number``: its perceptual hash."""
        found = self._by_etag.get(ref.etag) or (self._by_hash.get(number) if number is not None else None)
        return found if found != ref.id else None


class Departures:
    """Follows exemplars that do not hold any more, and those that come back."""

    def __init__(self, mover: StatementMover, backlog: Backlog, etags: Callable[[Sequence[str]], list[str]]) -> None:
        """``etags``: those of the records of objects; empty without one."""
        self.mover = mover
        self._backlog = backlog
        self._etags = etags

    def came(self, index: ImageIndex, vector: Floats, radius: float, oid: str) -> None:
        """Have the images near to an exemplar that came (back) tagged again. Raises as the index does."""
        _, near = self._queue(index, vector, radius, oid)
        log.info("exemplar came", object=oid, tagged_again=near)

    def _queue(self, index: ImageIndex, vector: Floats, radius: float, oid: str) -> tuple[ImageHits, int]:
        (found,) = index.search(vector[None], NEAR_MOST)
        pairs = zip(found.entries, found.scores, strict=True)
        near = [one.object_id for one, score in pairs if score >= 1.0 - radius and one.object_id != oid]
        self._backlog.add(near)
        return found, len(near)

    def follow(
        self, index: ImageIndex, gone: Sequence[Exemplar], radius: Callable[[Exemplar], float],
        said: Mapping[str, Sequence[Statement]],
    ) -> None:  # fmt: skip
        """Have the images near to these exemplars tagged again, and move statements. Raises as the index does."""
        for exemplar in {one.object_id: one for one in gone}.values():
            found, near = self._queue(index, exemplar.vector, radius(exemplar), exemplar.object_id)
            log.info("exemplar gone", object=exemplar.object_id, label=exemplar.label, tagged_again=near)
            if self._etags([exemplar.object_id])[0]:
                continue  # overwritten
            statements = said.get(exemplar.object_id, ())
            etags = {one.etag for one in statements}
            hashes = {one.hash for one in statements if telling(one.hash)}
            for entry in found.entries[:LOOKED_AT]:
                same = entry.etag in etags or (entry.hash is not None and entry.hash in hashes)
                if same and self.mover.move(exemplar.object_id, entry.object_id, entry.etag):
                    break


def telling(number: bytes | None) -> bool:
    """Whether two images with exactly this perceptual hash are of one picture: not so for forms and text."""
    return number is not None and not bool(has_small_parts(words_of([number])).any())
