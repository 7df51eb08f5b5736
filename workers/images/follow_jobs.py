"""Jobs that seek the images that captions concern, in Redis: they survive the end of whoever began them.

A job goes on step by step through the ids of the index. Each step stores what it has found together with the place
where it ended, and only if the job is still where the step began. So steps may be lost and repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tasks.message_parts import Vectors
from vectordb.decoders import from_json, from_msgpack
from vectordb.errors import Permanent
from workers.images.backlog import packed
from workers.redis import scripts
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys

LIFETIME_S = 86_400
GOES_ON_S = 10.0  # without progress, after which the job is sent again
PREPARED_S = 60.0  # after which it begins though nobody has begun it: its captions may have been added
BEGINNING = "-1"  # below all ids
DRY, REAL = b"1", b"0"


class JobGone(Permanent):
    """The job has expired, or Redis has lost it."""


class FollowJob(msgspec.Struct, frozen=True):
    """A job as it is now. ``after``: the last id that was compared.

    ``images``: how many are concerned, each counted once. ``counts``: how many each caption concerns. ``fault``: why
    the last step has failed.
    """

    id: str
    vectors: Vectors
    captions_version: str
    dry: bool
    after: int
    images: int
    counts: tuple[int, ...]
    done: bool
    fault: str | None


class FollowJobs:
    """The jobs. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, clock: Callable[[], float]) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._keys = keys
        self._clock = clock
        self._follow_on = self._redis.register_script(scripts.source("follow_on"))

    def prepare(self, vectors: Vectors, captions_version: str, *, dry: bool) -> str:
        """Store a job and return its id. It begins by itself after a minute, unless it only counts (``dry``)."""
        job = secrets.token_hex(8)
        fields = {
            "captions": msgspec.msgpack.encode(vectors), "captions_version": captions_version,
            "dry": DRY if dry else REAL, "after": BEGINNING, "images": 0,
            "counts": msgspec.json.encode([0] * len(vectors.array())), "done": 0,
        }  # fmt: skip
        with translated():
            pipe = self._redis.pipeline()
            pipe.hset(self._keys.follow(job), mapping=fields)
            pipe.expire(self._keys.follow(job), LIFETIME_S)
            if not dry:
                pipe.zadd(self._keys.follows, {job: self._clock() + PREPARED_S})
            pipe.execute()
        return job

    def read(self, job: str) -> FollowJob:
        """Raises ``JobGone``."""
        names = "captions", "captions_version", "dry", "after", "images", "counts", "done", "fault"
        with translated():
            captions, version, dry, after, images, counts, done, fault = self._redis.hmget(
                self._keys.follow(job), *names
            )
        if captions is None:
            with translated():
                self._redis.zrem(self._keys.follows, job)
            raise JobGone("the images that captions concern are not sought any more: Redis has lost the job")
        return FollowJob(
            job, from_msgpack(captions, Vectors), text(version), dry == DRY, int(after), int(images),
            from_json(counts, tuple[int, ...]), done == b"1", None if fault is None else text(fault),
        )  # fmt: skip

    def found(self, job: FollowJob, after: int, oids: Sequence[str], counts: Sequence[int], *, done: bool) -> bool:
        """Store what the step after ``job`` has found, and put it into the backlog.

        ``False`` if the job has gone on meanwhile: nothing was stored.
        """
        images = job.images + len(oids)
        totals = [one + more for one, more in zip(job.counts, counts, strict=True)]
        keys, latest = self._keys, self._clock() + GOES_ON_S
        pages = [] if job.dry else packed(oids)
        args: list[Any] = [
            job.id,
            job.after,
            after,
            images,
            msgspec.json.encode(totals),
            int(done),
            latest,
            len(oids),
            *pages,
        ]
        with translated():
            stored = self._follow_on(
                keys=[keys.follow(job.id), keys.follows, keys.backlog, keys.backlog_objects], args=args
            )
        return bool(stored)

    def failed(self, job: str, reason: str) -> None:
        """Note why a step has failed, for whoever waits. The job is tried again."""
        with translated():
            if self._redis.exists(self._keys.follow(job)):
                self._redis.hset(self._keys.follow(job), "fault", reason)

    def postpone(self, job: str) -> None:
        """Have the job wait for its progress."""
        with translated():
            self._redis.zadd(self._keys.follows, {job: self._clock() + GOES_ON_S}, xx=True)

    def stalled(self) -> str | None:
        """A job that is to be sent (again); it is due again later."""
        with translated():
            now = self._clock()
            due = self._redis.zrangebyscore(self._keys.follows, "-inf", now, start=0, num=1)
            if not due:  # planned before the clock was set back
                due = self._redis.zrangebyscore(self._keys.follows, now + 2 * PREPARED_S, "+inf", start=0, num=1)
        if not due:
            return None
        self.postpone(text(due[0]))
        return text(due[0])

    def unfinished(self) -> int:
        """The number of jobs that are not done."""
        with translated():
            return int(self._redis.zcard(self._keys.follows))
