"""Objects that a comparison has found missing, and what their bucket says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vectordb.errors import Permanent
from workers.lifecycle.record_reader import PAGE, Records, in_pages
from workers.redis.connection import Client, text, translated
from workers.redis.keys import Keys
from workers.stores.lookup import look
from workers.stores.store import BucketMissing, ObjectError, ObjectStore


class Missing:
    """The objects that a comparison has found missing, kept in Redis until it knows how many they are.

    ``name``: of the pass; a pass that is resumed finds what it has collected. Raises ``StoreUnavailable``.
    """

    LIFETIME_S = 86_400

    def __init__(self, client: Client, keys: Keys, name: str) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self._key = keys.missing(name)

    def add(self, keys: Sequence[str]) -> None:
        """Add keys of the bucket."""
        if keys:
            with translated():
                self._redis.zadd(self._key, dict.fromkeys(keys, 0))
                self._redis.expire(self._key, self.LIFETIME_S)

    def count(self) -> int:
        """Number of missing objects."""
        with translated():
            return int(self._redis.zcard(self._key))

    def pages(self) -> Iterator[list[str]]:
        """All keys in pages. A page may be discarded before the next one is read."""
        start: bytes = b"-"
        while True:
            with translated():
                page = self._redis.zrangebylex(self._key, start, b"+", start=0, num=PAGE)
            if not page:
                return
            yield [text(key) for key in page]
            start = b"(" + page[-1]

    def discard(self, keys: Sequence[str]) -> None:
        """Remove keys that were processed or are back."""
        if keys:
            with translated():
                self._redis.zrem(self._key, *keys)

    def clear(self) -> None:
        """Forget all."""
        with translated():
            self._redis.delete(self._key)


def emptied(store: ObjectStore, bucket: str) -> str | None:
    """Why a bucket is not to be trusted; ``None`` if it lists objects. Raises ``Transient``."""
    try:
        if next(store.list(bucket), None) is not None:
            return None
    except (Permanent, BucketMissing) as exc:
        return f"the bucket cannot be listed: {exc}"
    return "the bucket is empty: a share may not be mounted, or the server may have lost it"


def gone_of(store: ObjectStore, bucket: str, keys: Sequence[str]) -> list[str]:
    """Those keys whose object is gone. Access denied or no answer does not mean gone. Raises errors of the bucket."""
    gone = []
    for (_, key), found in look(store, ((bucket, key) for key in keys)).items():
        if found is None:
            gone.append(key)
        elif isinstance(found, Permanent) and not isinstance(found, ObjectError):
            raise found
    return gone


def confirmed_missing(store: ObjectStore, bucket: str, missing: Missing) -> Iterator[int]:
    """Look up what is missing, page by page, discard what is there, and yield the number of those that are gone.

    A store may know objects that it does not list, such as side files that an earlier version has tagged.
    """
    count = 0
    for keys in missing.pages():
        gone = set(gone_of(store, bucket, keys))
        missing.discard([key for key in keys if key not in gone])
        count += len(gone)
        yield count


def moved_objects(store: ObjectStore, bucket: str, records: Records, missing: Missing) -> Iterator[int]:
    """Yield the number of missing objects that were found under another key, after each page of the bucket.

    Such an object has the same ETag, and no record or a newer one. Each accounts for one missing object.
    """
    lost: dict[str, list[float]] = {}  # ETag → when the records of the missing objects were written
    for keys in missing.pages():
        for found in filter(None, records.get([f"{bucket}/{key}" for key in keys])):
            lost.setdefault(found.etag, []).append(found.finished_at)
    moved = 0
    for page in in_pages(store.list(bucket), PAGE):
        same = [info.ref for info in page if lost.get(info.ref.etag)]
        for ref, record in zip(same, records.get([ref.id for ref in same]), strict=True):
            times = lost[ref.etag]
            if times and (record is None or record.finished_at > min(times)):
                times.remove(min(times))
                moved += 1
        yield moved
