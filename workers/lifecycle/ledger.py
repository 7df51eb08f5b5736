"""The ledger: every accepted object without a final record, and the only place that writes records.

The broker may lose, repeat or reorder messages; the ledger does not. An object is entered once per version. It leaves
the ledger only by a final record, by being removed from the bucket, or while its removal is held
(``workers.dispatch.interrupted``). All changes are Lua scripts and therefore
atomic (see ``workers/redis/keys.py`` for the keys and ``workers/redis/scripts`` for the rules). Every method raises
``StoreUnavailable`` when Redis is unavailable, and every method may be repeated.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from redis.exceptions import NoPermissionError

from tasks.message_parts import ObjectRef, Revision
from vectordb.decoders import from_msgpack
from workers.lifecycle.record import Record, decode
from workers.lifecycle.tag_entries import as_arguments, tag_entries
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

UNCHECKED = b"*"  # what people said is not part of a record


@dataclass(frozen=True)
class Arrival:
    """What the dispatcher knows about one object. ``verified``: seen in the bucket, not only reported by an event.

    ``rule``: how the settings want it segmented, or empty. ``from_queue``: it comes from the segmentation queue.
    """

    ref: ObjectRef
    sequence: str = ""
    verified: bool = False
    force: bool = False
    rule: str = ""
    from_queue: bool = False


@dataclass(frozen=True)
class Overdue:
    """An object whose deadline has passed. ``attempts``: how often a worker started it."""

    ref: ObjectRef
    revision: str
    stage: str
    attempts: int
    accepted_at: float
    fault: str | None


class Ledger:
    """Enters, advances, finishes and removes objects, and finds overdue ones."""

    def __init__(self, client: Client, keys: Keys, feed_length: int) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._feed_length = feed_length
        self._enter = self._script("enter")
        self._advance = self._script("advance")
        self._finish = self._script("tag_index", "finish")
        self._remove = self._script("tag_index", "remove")
        self._revise = self._script("tag_index", "revise")
        self._overdue = self._script("overdue")
        self._postpone = self._script("postpone")
        self._go_on = self._script("go_on")
        self._adopt = self._script("adopt")

    def enter(self, arrivals: Sequence[Arrival], revision: Revision, now: float, deadline: float) -> list[str]:
        """Accept objects and return each one's outcome. Send only ``entered``, ``known`` and ``again`` (forced) ones.

        ``known``: entered; this version has been tagged before, so that its vector may be in the index of images.

        ``waiting``: the object waits in ``Keys.segmentation_queue`` to be segmented.
        """
        rows = [
            (a.ref.id, a.ref.etag, token(revision), a.sequence, msgspec.msgpack.encode(a.ref), now, deadline,
             int(a.verified), int(a.force), a.rule, int(a.from_queue))
            for a in arrivals
        ]  # fmt: skip
        return [text(answer) for answer in self._many(self._enter, rows)]

    def advance(
        self,
        refs: Sequence[ObjectRef],
        revision: Revision,
        stage: str,
        deadline: float,
        *,
        now: float,
        begin: bool = False,
        handed: bool = False,
    ) -> list[float | None]:
        """Extend deadlines. Returns when each object was accepted, ``None`` for objects not in the ledger.

        ``begin``: count an attempt. ``handed``: the object is only put on the stage's queue; see ``extend``.
        """
        rows = [(r.id, r.etag, token(revision), stage, deadline, int(begin), now, int(handed)) for r in refs]
        return [None if answer is None else float(answer) for answer in self._many(self._advance, rows)]

    def finish(self, records: Sequence[Record], now: float) -> list[bool]:
        """Write final records. ``False`` for objects not in the ledger: nothing was written."""
        return [answer == "written" for answer in self.finish_said(records, [UNCHECKED] * len(records), now)]

    def finish_said(self, records: Sequence[Record], said: Sequence[bytes], now: float) -> list[str]:
        """Write final records that contain what people said, ``said`` as it was stored (``Statements.stored``).

        Returns for each ``written``, ``refused`` (not in the ledger), or ``said``: people have said something else
        meanwhile, and nothing was written.
        """
        rows = [
            (r.id, r.etag, token(Revision(r.space_id, r.captions_version)), r.state, r.json(), now,
             self._feed_length, r.segmentation_method, known, *as_arguments(tag_entries(r)))
            for r, known in zip(records, said, strict=True)
        ]  # fmt: skip
        return [text(answer) for answer in self._many(self._finish, rows)]

    def revise(self, oid: str, body: bytes, record: Record) -> bool:
        """Replace the JSON ``body`` of a record by one with other labels. ``False`` if it has changed meanwhile."""
        row = (oid, body, record.json(), self._feed_length, *as_arguments(tag_entries(record)))
        return [text(answer) for answer in self._many(self._revise, [row])] == ["revised"]

    def adopt(self, same: Sequence[tuple[ObjectRef, bytes]]) -> list[bool]:
        """Give records the ETags of these objects, which have the same content. No entry is added to the feed.

        ``same``: objects, each with the JSON of its record. ``False`` if the record has changed meanwhile.
        """
        rows = [
            (ref.id, body, ref.etag, msgspec.structs.replace(decode(body), etag=ref.etag).json())
            for ref, body in same
        ]  # fmt: skip
        return [answer == b"adopted" for answer in self._many(self._adopt, rows)]

    def remove(self, oids: Sequence[str]) -> list[bool]:
        """Remove objects that are gone from the bucket. ``False`` for unknown objects."""
        rows = [(oid, self._feed_length) for oid in oids]
        return [answer == b"removed" for answer in self._many(self._remove, rows)]

    def overdue(self, now: float, deadline: float, limit: int = 100) -> list[Overdue]:
        """Claim objects whose deadline has passed; their next deadline is ``deadline``."""
        return self._claim(now, deadline, limit, untroubled=False)

    def overdue_by(self, at: float, deadline: float) -> list[Overdue]:
        """Claim all objects whose deadline is at or before ``at``, except those with a fault and in segmentation."""
        return self._claim(at, deadline, -1, untroubled=True)

    def _claim(self, at: float, deadline: float, limit: int, *, untroubled: bool) -> list[Overdue]:
        with translated():
            taken = self._overdue(args=[self._keys.prefix, at, deadline, limit, int(untroubled)])
        return [
            Overdue(
                from_msgpack(ref, ObjectRef), text(revision), text(stage), int(attempts),
                float(accepted), text(fault) or None,
            )
            for _oid, ref, revision, stage, attempts, accepted, fault in taken
        ]  # fmt: skip

    def postpone(self, refs: Sequence[ObjectRef], revision: Revision, until: float, fault: str) -> None:
        """Retry these objects after ``until``, because ``fault`` is temporary."""
        self._many(self._postpone, [(r.id, r.etag, token(revision), until, fault) for r in refs])

    def segmentation_methods(self, refs: Sequence[ObjectRef]) -> list[str]:
        """The segmentation method of each object; empty if it is not to be segmented."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for ref in refs:
                pipe.hget(self._keys.entry(ref.id), "segment")
            return [text(method or b"") for method in pipe.execute()]

    def extend(self, ref: ObjectRef, stage: str, deadline: float) -> None:
        """Extend the deadline of a long-running object, and of those behind it on the queue."""
        self._many(self._go_on, [(ref.id, stage, deadline)])

    def segmenting(self) -> int:
        """Number of objects in progress that are to be segmented."""
        with translated():
            return int(self._redis.scard(self._keys.segmenting))

    def in_flight(self) -> int:
        """Number of accepted objects without a final record."""
        with translated():
            return int(self._redis.zcard(self._keys.ledger))

    def queued(self) -> int:
        """The same, without objects to be segmented, which have their own queue."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            pipe.zcard(self._keys.ledger)
            pipe.scard(self._keys.segmenting)
            accepted, segmenting = map(int, pipe.execute())
        return max(0, accepted - segmenting)

    def server_run(self) -> str:
        """Identifies the run of the Redis server, which changes with a restart. Empty if it is not reported."""
        with translated(), contextlib.suppress(NoPermissionError):
            return str(self._redis.info("server").get("run_id", ""))
        return ""

    def _script(self, *names: str) -> Any:
        return self._redis.register_script(scripts.source(*names))

    def _many(self, script: Any, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        if not rows:
            return []
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for row in rows:
                script(args=[self._keys.prefix, *row], client=pipe)
            return cast("list[Any]", pipe.execute())


def token(revision: Revision) -> str:
    """One string for everything except the image that a result depends on."""
    return f"{revision.space_id}/{revision.captions_version}"
