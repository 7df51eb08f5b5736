"""Following an object that is there already, for a key pair that may only read and list: it is tagged once more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from vectordb.errors import WildtagError
from workers.diagnostics.doctor import Check
from workers.diagnostics.s3_probe import FORMATS
from workers.diagnostics.s3_trail import Stack, Trail
from workers.diagnostics.s3_ways import Ways
from workers.events.sink import PROBE
from workers.lifecycle.event import ObjectEvent
from workers.stores.object_filter import ObjectFilter
from workers.stores.store import ObjectInfo, ObjectStore

LISTED = 5_000  # objects among which the newest is looked for
SMALL = 4 * 2**20  # bytes
ENDS = (*(end for _, end in FORMATS.values()), ".jpeg", ".tiff")
UNTRIED = "putting an object and removing it, and so how long each source of events takes to tell of that"


def newest(store: ObjectStore, bucket: str, object_filter: ObjectFilter) -> ObjectInfo | None:
    """The newest small image among the first objects of a bucket. Raises what listing raises."""
    found = [
        info for info in islice(store.list(bucket), LISTED)
        if object_filter.key(info.ref.key) and info.ref.key.lower().endswith(ENDS)
        and 0 < (info.ref.size or 0) <= SMALL
    ]  # fmt: skip
    return max(found, key=lambda info: info.modified or 0.0, default=None)


class Existing:
    """An object of a bucket, ``key`` or the newest small image, on its way to another record."""

    def __init__(
        self,
        store: ObjectStore,
        stack: Stack,
        ways: Ways,
        bucket: str,
        object_filter: ObjectFilter,
        key: str | None = None,
    ) -> None:
        self._store = store
        self._stack = stack
        self._ways = ways
        self._bucket = bucket
        self._object_filter = object_filter
        self._key = key

    def follow(self, refused: str | None = None) -> Iterator[Check]:
        """Each step as it is reached. ``refused``: why no object can be put there, where that was tried."""
        if refused is not None:
            resource = f"arn:aws:s3:::{self._bucket}/{PROBE}*"
            remedy = f"to try that too, allow s3:PutObject and s3:DeleteObject on {resource}"
            yield Check.remark("not tried", f"{UNTRIED}: {refused}", remedy)
        else:
            yield Check.remark("not tried", f"{UNTRIED}: --key names an object", "to try that too, leave out --key")
        try:
            info = self._chosen()
        except WildtagError as exc:
            yield Check.missing("object", str(exc), "see what the message names")
            return
        if info is None:
            said = self._key or f"no small image is among the first {LISTED:,} objects of the bucket"
            yield Check.missing("object", f"there is none: {said}", "name one that is there by --key")
            return
        yield Check.fine("object", f"{info.ref.key}, which is tagged once more")
        if not self._object_filter.key(info.ref.key):
            remedy = "see WILDTAG_FOLLOW_… and WILDTAG_IGNORE_…, or name another one by --key"
            yield Check.missing("followed", "no object of this key is tagged", remedy)
            return
        try:
            yield from self._ways.conditions()
            since = self._stack.clock()
            self._stack.inbox.append([replace(ObjectEvent.seen(info), force=True)])
            yield from Trail(self._stack, info, since).follow()
        except WildtagError as exc:  # Redis went away
            yield Check.missing("followed", str(exc), "see WILDTAG_REDIS_URL")

    def _chosen(self) -> ObjectInfo | None:
        if self._key is not None:
            return self._store.stat(self._bucket, self._key)
        return newest(self._store, self._bucket, self._object_filter)
