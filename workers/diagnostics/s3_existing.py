"""Tag an existing object again and trace it, for a key pair that may only read and list."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from vectordb.errors import WildtagError
from workers.diagnostics.check import Check
from workers.diagnostics.s3_delays import SourceDelays
from workers.diagnostics.s3_probe import FORMATS
from workers.diagnostics.s3_trail import Stack, Trail
from workers.events.sink import PROBE
from workers.lifecycle.event import ObjectEvent
from workers.stores.object_filter import ObjectFilter
from workers.stores.store import ObjectInfo, ObjectStore

LISTED = 5_000  # objects that are searched for the newest one
SMALL = 4 * 2**20  # bytes
ENDS = (*(end for _, end in FORMATS.values()), ".jpeg", ".tiff")
UNTRIED = "uploading and removing an object, which would show the delay of each event source"


def newest(store: ObjectStore, bucket: str, object_filter: ObjectFilter) -> ObjectInfo | None:
    """The newest small image among the first objects of a bucket. Raises the same errors as ``store.list``."""
    found = [
        info for info in islice(store.list(bucket), LISTED)
        if object_filter.key(info.ref.key) and info.ref.key.lower().endswith(ENDS)
        and 0 < (info.ref.size or 0) <= SMALL
    ]  # fmt: skip
    return max(found, key=lambda info: info.modified or 0.0, default=None)


class ExistingObject:
    """Traces an object of a bucket to a new record: ``key``, or the newest small image."""

    def __init__(
        self,
        store: ObjectStore,
        stack: Stack,
        delays: SourceDelays,
        bucket: str,
        object_filter: ObjectFilter,
        key: str | None = None,
    ) -> None:
        self._store = store
        self._stack = stack
        self._delays = delays
        self._bucket = bucket
        self._object_filter = object_filter
        self._key = key

    def follow(self, refused: str | None = None) -> Iterator[Check]:
        """A check for each step, as it is reached. ``refused``: why the upload of a probe failed, if it was tried."""
        if refused is not None:
            resource = f"arn:aws:s3:::{self._bucket}/{PROBE}*"
            remedy = f"to test this too, allow s3:PutObject and s3:DeleteObject on {resource}"
            yield Check.note("not tested", f"{UNTRIED}: {refused}", remedy)
        else:
            yield Check.note("not tested", f"{UNTRIED}: --key was given", "to test this too, leave out --key")
        try:
            info = self._chosen()
        except WildtagError as exc:
            yield Check.failed("object", str(exc), "check that this key pair may list and read the bucket")
            return
        if info is None:
            detail = self._key or f"no small image among the first {LISTED:,} objects of the bucket"
            yield Check.failed("object", f"not found: {detail}", "name an existing object with --key")
            return
        yield Check.passed("object", f"{info.ref.key}, to be tagged again")
        if not self._object_filter.key(info.ref.key):
            remedy = "change WILDTAG_FOLLOW_… and WILDTAG_IGNORE_…, or name another object with --key"
            yield Check.failed("followed", "the filters exclude this key", remedy)
            return
        try:
            yield from self._delays.conditions()
            since = self._stack.clock()
            self._stack.inbox.append([replace(ObjectEvent.seen(info), force=True)])
            yield from Trail(self._stack, info, since).follow()
        except WildtagError as exc:  # Redis became unavailable
            yield Check.failed(
                "followed", str(exc), "check that Redis is running and that WILDTAG_REDIS_URL is right"
            )

    def _chosen(self) -> ObjectInfo | None:
        if self._key is not None:
            return self._store.stat(self._bucket, self._key)
        return newest(self._store, self._bucket, self._object_filter)
