"""Looking at many objects of a store: several at once, and no more of them once the store has gone silent."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from vectordb.errors import Permanent, Transient
from workers.stores.store import ObjectInfo, ObjectStore, StoreAway

THREADS = 8  # fewer than the connections that the S3 client keeps open
SILENCES = 3  # objects for which the store did not answer, before it is left alone

Place = tuple[str, str]
"""Bucket and key."""

Seen = ObjectInfo | Permanent | Transient | None
"""What ``stat`` said: a version, nothing, or the error that it raised."""


class NotAsked(StoreAway):
    """The store was silent about others, and not asked about this object."""


def look(store: ObjectStore, places: Iterable[Place]) -> dict[Place, Seen]:
    """What the store says of each object.

    Questions that are on their way when the store goes silent are waited for: up to ``THREADS`` at once.
    """
    silent: list[Transient] = []

    def one(place: Place) -> Seen:
        if len(silent) >= SILENCES:
            return NotAsked("the store does not answer; not asked again in this turn")
        try:
            return store.stat(*place)
        except Permanent as exc:
            return exc
        except Transient as exc:
            silent.append(exc)
            return exc

    asked = list(dict.fromkeys(places))
    if len(asked) < 2:
        return {place: one(place) for place in asked}
    pool = ThreadPoolExecutor(min(THREADS, len(asked)), "look")
    try:
        return dict(zip(asked, pool.map(one, asked), strict=True))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # who is interrupted does not wait for the rest
