"""Looks up many objects in parallel, and stops when the store does not answer."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from vectordb.errors import Permanent, Transient
from workers.stores.store import ObjectInfo, ObjectStore, StoreAway

THREADS = 8  # fewer than the connections that the S3 client keeps open
SILENCES = 3  # number of unanswered requests after which no further ones are sent

Place = tuple[str, str]
"""Bucket and key."""

Seen = ObjectInfo | Permanent | Transient | None
"""The result of ``stat``: a version, ``None``, or the error that it raised."""


class NotAsked(StoreAway):
    """The store did not answer for other objects, so this one was not requested."""


def look(store: ObjectStore, places: Iterable[Place]) -> dict[Place, Seen]:
    """Look up each object in the store.

    Requests in progress when the store stops answering are waited for: up to ``THREADS`` at once.
    """
    silent: list[Transient] = []

    def one(place: Place) -> Seen:
        if len(silent) >= SILENCES:
            return NotAsked("the store does not answer; the remaining objects are checked later")
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
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupted caller does not wait for the rest
