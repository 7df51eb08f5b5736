"""Looks up many objects in parallel, and stops when the store does not answer.

A store cannot be asked for some keys, such as ``a/../b``, but may list them: then the listing decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from vectordb.errors import Permanent, Transient
from workers.stores.store import ObjectInfo, ObjectNameRefused, ObjectStore, StoreAway

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
            try:
                return store.stat(*place)
            except ObjectNameRefused:
                return _listed(store, *place)
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


def _listed(store: ObjectStore, bucket: str, key: str) -> ObjectInfo | None:
    """The object as the bucket lists it; ``None`` if it does not, or if no key can be written so."""
    try:
        key.encode()
        first = next(iter(store.list(bucket, key)), None)
    except (UnicodeEncodeError, ObjectNameRefused):
        return None
    return first if first is not None and first.ref.key == key else None
