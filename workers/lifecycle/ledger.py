"""The ledger: every accepted object without a final record, and the only place where records are written.

The broker may lose, repeat or reorder messages; the ledger does not. An object enters it once a version and
leaves it only by a final record or by being removed from the bucket. All changes are Lua scripts, so each is
whole or not there (see ``workers/redis/keys.py`` for the keys and ``workers/scripts`` for the rules).
Every method raises ``StoreUnavailable`` when Redis is away; every method may be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from tasks.messages import ObjectRef, Revision
from workers.lifecycle.record import Record
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys


@dataclass(frozen=True)
class Arrival:
    """What the dispatcher knows of one object. ``verified``: seen in the bucket, not only told by an event.

    ``rule``: how the settings have it segmented, or empty. ``turn``: it has waited for its turn to be.
    """

    ref: ObjectRef
    sequence: str = ""
    verified: bool = False
    force: bool = False
    rule: str = ""
    turn: bool = False


@dataclass(frozen=True)
class Overdue:
    """An object whose deadline passed. ``attempts``: how often a worker began it."""

    ref: ObjectRef
    revision: str
    stage: str
    attempts: int
    accepted_at: float
    fault: str | None


class Ledger:
    """Enter, advance, finish, remove; and find what is overdue."""

    def __init__(self, client: Client, keys: Keys, feed_length: int) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._feed_length = feed_length
        self._enter = self._script("enter")
        self._advance = self._script("advance")
        self._finish = self._script("forget_tags", "finish")
        self._remove = self._script("forget_tags", "remove")
        self._overdue = self._script("overdue")
        self._postpone = self._script("postpone")
        self._go_on = self._script("go_on")

    def enter(self, arrivals: Sequence[Arrival], revision: Revision, now: float, deadline: float) -> list[str]:
        """Accept objects. Only ``entered`` (and ``again``: forced) ones are to be sent.

        ``waiting``: it waits in ``Keys.segments`` for its turn to be segmented.
        """
        rows = [
            (a.ref.id, a.ref.etag, token(revision), a.sequence, msgspec.msgpack.encode(a.ref), now, deadline,
             int(a.verified), int(a.force), a.rule, int(a.turn))
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
        """Push deadlines on. Gives when each object was accepted, ``None`` for those nobody waits for any more.

        ``begin``: it counts as an attempt. ``handed``: it is only put on the stage's queue; see ``go_on``.
        """
        rows = [(r.id, r.etag, token(revision), stage, deadline, int(begin), now, int(handed)) for r in refs]
        return [None if answer is None else float(answer) for answer in self._many(self._advance, rows)]

    def finish(self, records: Sequence[Record], now: float) -> list[bool]:
        """Write final records. ``False`` where the ledger did not wait for that: nothing was written."""
        rows = [
            (r.id, r.etag, token(Revision(r.space_id, r.captions_version)), r.state, r.json(), now,
             self._feed_length, r.segmentation_method, *(value for tag in r.tags for value in (tag.label, tag.score)))
            for r in records
        ]  # fmt: skip
        return [answer == b"written" for answer in self._many(self._finish, rows)]

    def remove(self, oids: Sequence[str]) -> list[bool]:
        """Forget objects that are gone from the bucket. ``False`` where nothing was known of one."""
        rows = [(oid, self._feed_length) for oid in oids]
        return [answer == b"removed" for answer in self._many(self._remove, rows)]

    def overdue(self, now: float, deadline: float, limit: int = 100) -> list[Overdue]:
        """Take objects whose deadline has passed; their next deadline is ``deadline``."""
        with translated():
            taken = self._overdue(args=[self._keys.prefix, now, deadline, limit])
        return [
            Overdue(
                msgspec.msgpack.decode(ref, type=ObjectRef), text(revision), text(stage), int(attempts),
                float(accepted), text(fault) or None,
            )
            for _oid, ref, revision, stage, attempts, accepted, fault in taken
        ]  # fmt: skip

    def postpone(self, refs: Sequence[ObjectRef], revision: Revision, until: float, fault: str) -> None:
        """Come back to these objects later, since ``fault`` will pass."""
        self._many(self._postpone, [(r.id, r.etag, token(revision), until, fault) for r in refs])

    def segmentation_methods(self, refs: Sequence[ObjectRef]) -> list[str]:
        """The segmentation method of each object; empty if it is not to be segmented."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for ref in refs:
                pipe.hget(self._keys.entry(ref.id), "segment")
            return [text(method or b"") for method in pipe.execute()]

    def go_on(self, ref: ObjectRef, stage: str, deadline: float) -> None:
        """Push on the deadline of an object that takes long, and of those on the queue behind it."""
        self._many(self._go_on, [(ref.id, stage, deadline)])

    def segmenting(self) -> int:
        """How many objects that are on their way are to be segmented."""
        with translated():
            return int(self._redis.scard(self._keys.segmenting))

    def in_flight(self) -> int:
        """How many objects are accepted and have no record."""
        with translated():
            return int(self._redis.zcard(self._keys.ledger))

    def on_the_queues(self) -> int:
        """The same without those that are to be segmented, which wait in a queue of their own."""
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            pipe.zcard(self._keys.ledger)
            pipe.scard(self._keys.segmenting)
            accepted, segmenting = map(int, pipe.execute())
        return max(0, accepted - segmenting)

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
    """One string for what a result depends on besides the image."""
    return f"{revision.space_id}/{revision.captions_version}"
